//! Time passed, made up: rows are moved back, into partitions that a running service would have.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::database::run;

/// Makes a partition for all the time before the first one.
pub(crate) async fn make_partition(admin: &mut PgConnection, table: &str) {
    let start: String = sqlx::query_scalar(AssertSqlSafe(
        "select min(substring(pg_get_expr(c.relpartbound, c.oid) from $$FROM \\('([^']+)'\\)$$))
         from pg_inherits i
         join pg_class c on c.oid = i.inhrelid
         where i.inhparent = to_regclass($1)",
    ))
    .bind(table)
    .fetch_one(&mut *admin)
    .await
    .unwrap();
    let partition = format!(
        "create table {table}_past partition of {table} for values from ('2000-01-01') to ('{start}')"
    );
    run(admin, partition).await;
}

/// The state of a log whose upkeep has not run for weeks.
pub(crate) const DROP_ALL_PARTITIONS: &str = "
    do $$
    declare
        v_partition regclass;
    begin
        for v_partition in
            select inhrelid from pg_inherits where inhparent = 'audit_log'::regclass
        loop
            execute format('drop table %s', v_partition);
        end loop;
    end
    $$";

/// Keeps upkeep from making or dropping partitions while this session lives.
pub(crate) async fn stop_upkeep(session: &mut PgConnection) {
    // The lock that keeps rounds apart; one under way is waited for.
    let lock = format!("select pg_advisory_lock({})", 0x6175_6469_7470_i64);
    session.execute(AssertSqlSafe(lock)).await.unwrap();
}

/// Keeps services from expiring anything by themselves while this session lives.
pub(crate) async fn stop_expiry(session: &mut PgConnection) {
    let lock = format!("select pg_advisory_lock({})", 0x6175_6469_7465_i64);
    session.execute(AssertSqlSafe(lock)).await.unwrap();
}
