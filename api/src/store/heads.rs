//! Which entries each log should have, for who looks at all logs.

use domain::TenantId;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

/// The numbers that one log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The first number that has not expired.
    pub floor_seq: i64,
    /// The last number, 0 when there never was one.
    pub head_seq: i64,
}

impl Held {
    /// How many entries those are.
    pub fn len(&self) -> u64 {
        u64::try_from(self.head_seq - self.floor_seq + 1).unwrap_or_default()
    }

    /// Whether all have expired, or none ever was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(FromRow)]
struct HeldRow {
    tenant_id: Uuid,
    floor_seq: i64,
    head_seq: i64,
}

/// Reads the logs after a tenant's, by its id, at most `limit`.
pub async fn page(
    db: impl PgExecutor<'_>,
    after: Option<TenantId>,
    limit: i64,
) -> sqlx::Result<Vec<Held>> {
    let rows: Vec<HeldRow> = sqlx::query_as(
        "select h.tenant_id, f.floor_seq, h.seq as head_seq
         from log_head h
         join log_floor f using (tenant_id)
         where $1::uuid is null or h.tenant_id > $1
         order by h.tenant_id
         limit $2",
    )
    .bind(after.map(|id| id.as_uuid()))
    .bind(limit)
    .fetch_all(db)
    .await?;
    let held = |row: HeldRow| Held {
        tenant_id: TenantId::new(row.tenant_id),
        floor_seq: row.floor_seq,
        head_seq: row.head_seq,
    };
    Ok(rows.into_iter().map(held).collect())
}
