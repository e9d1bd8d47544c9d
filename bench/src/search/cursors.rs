//! The relay's cursors, put where a measurement begins. No service may run meanwhile.

use uuid::Uuid;

use crate::database::Database;

/// Those of these tenants go to the beginnings of their logs, all others to the ends.
pub(super) async fn put(database: &Database, to_beginning: &[Uuid]) -> anyhow::Result<()> {
    let mut owner = database.connect().await?;
    sqlx::query(
        "insert into log_cursor (tenant_id, consumer, recorded_at, seq, holds_expiry)
         select
            tenant_id,
            'relay',
            case when tenant_id = any ($1) then 'epoch' else recorded_at end,
            case when tenant_id = any ($1) then 0 else seq end,
            true
         from log_head
         on conflict on constraint log_cursor_pkey do update
         set recorded_at = excluded.recorded_at,
            seq = excluded.seq,
            leased_by = null,
            leased_until = null",
    )
    .bind(to_beginning)
    .execute(&mut owner)
    .await?;
    Ok(sqlx::Connection::close(owner).await?)
}

/// How many entries are still to be sent.
pub(super) async fn left(db: &mut sqlx::PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select coalesce(sum(h.seq - coalesce(c.seq, 0)), 0)::bigint
         from log_head h
         left join log_cursor c on c.tenant_id = h.tenant_id and c.consumer = 'relay'",
    )
    .fetch_one(db)
    .await
}

/// The entries of all logs.
pub(super) async fn entries(db: &mut sqlx::PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select coalesce(sum(seq), 0)::bigint from log_head").fetch_one(db).await
}
