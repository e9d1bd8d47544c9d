//! Entries of days gone by, as if they had been recorded then.

use domain::TenantId;
use sqlx::{AssertSqlSafe, PgConnection};
use time::{Date, Duration, OffsetDateTime};

use super::database::run;

/// The UTC day so many days ago.
pub(crate) fn day(days_ago: i64) -> Date {
    OffsetDateTime::now_utc().date() - Duration::days(days_ago)
}

/// Its first moment, as a client writes it.
pub(crate) fn midnight(days_ago: i64) -> String {
    format!("{}T00:00:00.000Z", day(days_ago))
}

/// Appends entries to a log, the same number on each of these days, given from old to new.
///
/// The session is the owner's or a superuser's.
pub(crate) async fn record(
    admin: &mut PgConnection,
    tenant_id: TenantId,
    days_ago: impl IntoIterator<Item = i64>,
    entries: i64,
) {
    record_as(admin, tenant_id, days_ago, entries, "VIEW', 'thing").await;
}

/// The same with another action and type, with `', '` between.
pub(crate) async fn record_as(
    admin: &mut PgConnection,
    tenant_id: TenantId,
    days_ago: impl IntoIterator<Item = i64>,
    entries: i64,
    what: &str,
) {
    for ago in days_ago {
        make_partition(admin, ago).await;
        let day = day(ago);
        let statements = format!(
            "set role audit_owner;
             insert into log_day (tenant_id, day, first_seq)
             select tenant_id, '{day}', seq + 1 from log_head where tenant_id = '{tenant_id}'
             on conflict do nothing;
             insert into audit_log (tenant_id, recorded_at, seq, recorded_by, occurred_at, user_id,
                action, resource_type, severity)
             select h.tenant_id, t.at, h.seq + n, 'alice', t.at, 'alice', '{what}', 0
             from log_head h,
                generate_series(1, {entries}) n,
                lateral (
                    select timestamptz '{day} 00:00+00' + (n - 1) * 80000000::bigint / {entries}
                        * interval '1 millisecond' as at
                ) t
             where h.tenant_id = '{tenant_id}';
             update log_head
             set seq = seq + {entries},
                recorded_at = (
                    select max(recorded_at) from audit_log
                    where tenant_id = '{tenant_id}' and recorded_at >= '{day} 00:00+00'
                )
             where tenant_id = '{tenant_id}';
             reset role;"
        );
        run(admin, statements).await;
    }
}

/// The partition that upkeep would have made for a day, where the log is kept in partitions.
async fn make_partition(admin: &mut PgConnection, days_ago: i64) {
    let day = day(days_ago);
    let from = day - Duration::days(day.weekday().number_days_from_monday().into());
    let to = from + Duration::days(7);
    let name = partition(days_ago);
    let statements = format!(
        "do $$ begin
            if to_regclass('{name}') is null
                and (select relkind = 'p' from pg_class where oid = 'audit_log'::regclass)
            then
                set local role audit_owner;
                create table {name} partition of audit_log
                    for values from ('{from} 00:00+00') to ('{to} 00:00+00');
            end if;
         end $$"
    );
    run(admin, statements).await;
}

/// The name of the partition of a day.
pub(crate) fn partition(days_ago: i64) -> String {
    let day = day(days_ago);
    let monday = day - Duration::days(day.weekday().number_days_from_monday().into());
    format!("audit_log_{}_00", monday.to_string().replace('-', ""))
}

/// Whether a partition of the log is there.
pub(crate) async fn has_partition(admin: &mut PgConnection, name: &str) -> bool {
    sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(name)
        .fetch_one(admin)
        .await
        .unwrap()
}

/// The first entry that has not expired, and how many rows the table has below and from there on.
pub(crate) async fn floor_and_rows(
    admin: &mut PgConnection,
    tenant_id: TenantId,
) -> (i64, i64, i64) {
    sqlx::query_as(AssertSqlSafe(format!(
        "select f.floor_seq,
            (select count(*) from audit_log a
             where a.tenant_id = f.tenant_id and a.seq < f.floor_seq),
            (select count(*) from audit_log a
             where a.tenant_id = f.tenant_id and a.seq >= f.floor_seq)
         from log_floor f where f.tenant_id = '{tenant_id}'"
    )))
    .fetch_one(admin)
    .await
    .unwrap()
}

pub(crate) async fn floor(admin: &mut PgConnection, tenant_id: TenantId) -> i64 {
    floor_and_rows(admin, tenant_id).await.0
}
