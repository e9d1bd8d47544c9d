//! Up to where the search index has been seen to hold all of a log.
//!
//! Kept so that a replica that starts need not count from the floor; whoever uses a mark counts
//! what it says once more. Searches move it, and the repair, which finds out sooner what was lost.

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

/// What a look at a log's range has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// Whose log.
    pub tenant_id: TenantId,
    /// Where the range begins.
    pub first_seq: i64,
    /// From there up to this number the index holds exactly the log.
    pub held_seq: i64,
    /// Whether it does not hold what follows.
    pub is_broken: bool,
}

/// Moves the marks that lie in what was looked at, or right before it, to where the index stops
/// holding the log, for the worker. One look of a log, at most [`MARKS_MAX`].
pub async fn follow(db: impl PgExecutor<'_>, looked: &[Looked]) -> sqlx::Result<()> {
    debug_assert!(looked.len() <= MARKS_MAX, "see the caller");
    let column = |of: fn(&Looked) -> i64| looked.iter().map(of).collect::<Vec<i64>>();
    sqlx::query(
        "insert into index_mark (tenant_id, seq)
         select
            l.tenant_id,
            case when l.is_broken then l.held_seq else greatest(l.held_seq, m.seq) end
         from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::boolean[])
            l (tenant_id, first_seq, held_seq, is_broken)
         join log_floor f using (tenant_id)
         left join index_mark m using (tenant_id)
         where l.first_seq <= f.floor_seq
            or l.first_seq <= m.seq + 1
         order by l.tenant_id
         on conflict on constraint index_mark_pkey do update
         set seq = excluded.seq, counted_at = excluded.counted_at
         where index_mark.seq <> excluded.seq",
    )
    .bind(looked.iter().map(|look| look.tenant_id.as_uuid()).collect::<Vec<Uuid>>())
    .bind(column(|look| look.first_seq))
    .bind(column(|look| look.held_seq))
    .bind(looked.iter().map(|look| look.is_broken).collect::<Vec<bool>>())
    .execute(db)
    .await?;
    Ok(())
}
