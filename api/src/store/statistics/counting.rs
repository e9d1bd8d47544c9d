//! The kept counts brought up to date, for the worker.

use domain::TenantId;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

/// Entries that [`count_window`] counts at most; the function in the database has the limit.
pub const WINDOW_ENTRIES_MAX: i32 = 20_000;

/// Rows that [`forget`] removes at most; likewise.
pub const FORGOTTEN_MAX: i32 = 5_000;

/// Logs on one page of [`lagging`] and [`expired`].
pub const LOGS_MAX: i64 = 1_000;

/// Logs after a tenant's, by its id, of which so many entries have not been counted.
pub async fn lagging(
    db: &PgPool,
    after: Option<TenantId>,
    entries_min: i64,
) -> sqlx::Result<Vec<TenantId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select h.tenant_id
         from log_head h
         join log_floor f using (tenant_id)
         left join log_cursor c on c.tenant_id = h.tenant_id and c.consumer = 'statistics'
         where ($1::uuid is null or h.tenant_id > $1)
            and h.seq - greatest(coalesce(c.seq, 0), f.floor_seq - 1) >= $2
         order by h.tenant_id
         limit $3",
    )
    .bind(after.as_ref().map(TenantId::as_uuid))
    .bind(entries_min)
    .bind(LOGS_MAX)
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(TenantId::new).collect())
}

/// Logs after a tenant's, by its id, whose floor has moved since its counts were last removed.
pub async fn expired(db: &PgPool, after: Option<TenantId>) -> sqlx::Result<Vec<TenantId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select f.tenant_id
         from log_floor f
         left join log_cursor c on c.tenant_id = f.tenant_id and c.consumer = 'statistics_expired'
         where ($1::uuid is null or f.tenant_id > $1)
            and f.floor_seq > coalesce(c.seq, 1)
         order by f.tenant_id
         limit $2",
    )
    .bind(after.as_ref().map(TenantId::as_uuid))
    .bind(LOGS_MAX)
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(TenantId::new).collect())
}

/// Counts the next window of a log and says how many entries it held; `None` when another replica
/// is counting it.
pub async fn count_window(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
) -> sqlx::Result<Option<i32>> {
    let query = sqlx::query_scalar("select count_window($1)");
    query.bind(tenant_id.as_uuid()).fetch_one(db).await
}

/// Removes counts of what has expired and says how many rows; `None` when another replica is at
/// it.
pub async fn forget(db: impl PgExecutor<'_>, tenant_id: TenantId) -> sqlx::Result<Option<i32>> {
    let query = sqlx::query_scalar("select forget_counts($1)");
    query.bind(tenant_id.as_uuid()).fetch_one(db).await
}
