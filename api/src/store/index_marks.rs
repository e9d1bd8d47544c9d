//! Up to where the search index has been seen to hold all of a log.
//!
//! Kept so that a replica that starts need not count from the floor; whoever uses a mark counts
//! what it says once more.

use domain::TenantId;
use sqlx::PgExecutor;
use uuid::Uuid;

/// Marks that one statement writes.
pub const MARKS_MAX: usize = 1_000;

/// The mark of the reader's own log; 0 when there is none.
pub async fn get(db: impl PgExecutor<'_>, tenant_id: TenantId) -> sqlx::Result<i64> {
    let seq = sqlx::query_scalar("select seq from indexed_until where tenant_id = $1")
        .bind(tenant_id.as_uuid())
        .fetch_optional(db)
        .await?;
    Ok(seq.unwrap_or_default())
}

/// Sets marks of several logs, at most [`MARKS_MAX`], for the worker.
pub async fn set(db: impl PgExecutor<'_>, marks: &[(TenantId, i64)]) -> sqlx::Result<()> {
    debug_assert!(marks.len() <= MARKS_MAX, "see the caller");
    // In one order, so that replicas never wait for each other in a circle.
    let mut sorted = marks.to_vec();
    sorted.sort_unstable();
    let (ids, seqs): (Vec<Uuid>, Vec<i64>) =
        sorted.iter().map(|(tenant_id, seq)| (tenant_id.as_uuid(), *seq)).unzip();
    sqlx::query(
        "insert into index_mark (tenant_id, seq)
         select m.tenant_id, m.seq
         from unnest($1::uuid[], $2::bigint[]) m (tenant_id, seq)
         join tenant t on t.id = m.tenant_id
         order by m.tenant_id
         on conflict on constraint index_mark_pkey do update
         set seq = excluded.seq, counted_at = excluded.counted_at
         where index_mark.seq <> excluded.seq",
    )
    .bind(ids)
    .bind(seqs)
    .execute(db)
    .await?;
    Ok(())
}
