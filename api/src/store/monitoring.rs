//! What metrics tell of the whole database, asked by the worker: few rows, or sums over the heads.

use std::ops::ControlFlow;
use std::time::Duration;

use domain::{Place, Seq, TenantId, Timestamp};
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::relay::{Lease, read_after};
use super::{Store, from_sql};

/// Logs whose oldest entry that was not sent is looked up: so many that ended longest ago, and so
/// many with most to send.
const LAGGING_LOOKED_AT: i64 = 4;

/// Which transaction ids are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Held {
    /// The next one that will be given.
    pub next_id: i64,
    /// How many before it the oldest is that somebody still needs.
    pub held_ids: i64,
}

/// Asks which ids sessions, replication slots and prepared transactions hold; the asker's aside.
pub async fn held(db: impl PgExecutor<'_>) -> sqlx::Result<Held> {
    sqlx::query_as(
        "select
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next_id,
            coalesce(
                greatest(
                    (
                        select max(greatest(age(a.backend_xmin), age(a.backend_xid)))
                        from pg_stat_activity a
                        where a.pid <> pg_backend_pid()
                            and (a.datid is null or a.datname = current_database())
                    ),
                    (select max(greatest(age(s.xmin), age(s.catalog_xmin))) from pg_replication_slots s),
                    (
                        select max(age(p.transaction))
                        from pg_prepared_xacts p
                        where p.database = current_database()
                    )
                ),
                0
            )::bigint as held_ids",
    )
    .fetch_one(db)
    .await
}

/// Sums over all logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Totals {
    /// How many there are.
    pub logs: i64,
    /// Entries that have not expired.
    pub entries: i64,
    /// Of those, how many lie above the marks of the index; `None` without an index.
    pub unconfirmed: Option<i64>,
}

/// Adds up all logs.
pub async fn totals(db: impl PgExecutor<'_>, has_index: bool) -> sqlx::Result<Totals> {
    sqlx::query_as(
        "select
            count(*) as logs,
            coalesce(sum(greatest(h.seq - f.floor_seq + 1, 0)), 0)::bigint as entries,
            case when $1 then
                coalesce(
                    sum(greatest(h.seq - greatest(coalesce(m.seq, 0), f.floor_seq - 1), 0)), 0
                )::bigint
            end as unconfirmed
         from log_head h
         join log_floor f using (tenant_id)
         left join index_mark m using (tenant_id)",
    )
    .bind(has_index)
    .fetch_one(db)
    .await
}

/// What was not sent to the queue yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayBacklog {
    /// Logs with such entries.
    pub logs: i64,
    /// How many entries.
    pub entries: i64,
    /// Age of the oldest one that was found; of all, if few logs lag.
    pub oldest: Duration,
}

#[derive(Debug, FromRow)]
struct LaggingRow {
    tenant_id: Uuid,
    recorded_at: OffsetDateTime,
    seq: i64,
}

/// Adds up what the relay has before it, and looks up how old that is.
pub async fn relay_backlog(store: &Store) -> sqlx::Result<RelayBacklog> {
    let (logs, entries): (i64, i64) = sqlx::query_as(
        "select count(*), coalesce(sum(h.seq - c.seq), 0)::bigint
         from log_cursor c
         join log_head h using (tenant_id)
         where c.consumer = 'relay'
            and h.seq > c.seq",
    )
    .fetch_one(&store.worker)
    .await?;
    let mut oldest = Duration::ZERO;
    for lease in lagging(&store.worker).await? {
        let mut unsent = None;
        let note = |entry: &domain::StoredEntry<'_>| {
            unsent = Some(entry.place.recorded_at);
            ControlFlow::Break(())
        };
        read_after(store, lease, 1, note).await?;
        oldest = oldest.max(unsent.map_or(Duration::ZERO, age));
    }
    Ok(RelayBacklog { logs, entries, oldest })
}

async fn lagging(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Lease>> {
    let rows: Vec<LaggingRow> = sqlx::query_as(
        "with lagging as (
            select c.tenant_id, c.recorded_at, c.seq, h.recorded_at as head_at, h.seq - c.seq as left_over
            from log_cursor c
            join log_head h using (tenant_id)
            where c.consumer = 'relay'
                and h.seq > c.seq
         )
         (select tenant_id, recorded_at, seq from lagging order by head_at limit $1)
         union
         (select tenant_id, recorded_at, seq from lagging order by left_over desc limit $1)",
    )
    .bind(LAGGING_LOOKED_AT)
    .fetch_all(db)
    .await?;
    let lease = |row: LaggingRow| {
        let recorded_at = from_sql(row.recorded_at);
        let sent = Seq::new(row.seq).map(|seq| Place { recorded_at, seq });
        Lease { tenant_id: TenantId::new(row.tenant_id), sent }
    };
    Ok(rows.into_iter().map(lease).collect())
}

fn age(at: Timestamp) -> Duration {
    let millis = Timestamp::now().as_millis().saturating_sub(at.as_millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// How long ago the oldest range expired whose rows are still there, in seconds; 0 without one.
#[derive(Debug, Clone, Copy, PartialEq, FromRow)]
pub struct Erasure {
    /// Of those that a cleanup let expire, which are deleted at once.
    pub cleanup_s: f64,
    /// Of those that retention did, which wait for their partition.
    pub retention_s: f64,
}

/// Looks at the certificates that are open.
pub async fn erasure(db: impl PgExecutor<'_>) -> sqlx::Result<Erasure> {
    sqlx::query_as(
        "select
            coalesce(extract(epoch from clock_timestamp() - min(expired_at) filter (where rule = 'cleanup')), 0)
                ::double precision as cleanup_s,
            coalesce(extract(epoch from clock_timestamp() - min(expired_at) filter (where rule = 'retention')), 0)
                ::double precision as retention_s
         from expiry
         where erased_at is null",
    )
    .fetch_one(db)
    .await
}

/// What PostgreSQL has on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Disk {
    /// This database.
    pub database_bytes: i64,
    /// WAL that is kept for a replication slot.
    pub wal_retained_bytes: i64,
}

/// Asks for sizes. A login may be forbidden to.
pub async fn disk(db: impl PgExecutor<'_>) -> sqlx::Result<Disk> {
    sqlx::query_as(
        "select
            pg_database_size(current_database()) as database_bytes,
            (
                select coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::bigint
                from pg_replication_slots
            ) as wal_retained_bytes",
    )
    .fetch_one(db)
    .await
}
