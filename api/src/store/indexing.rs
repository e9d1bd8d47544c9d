//! What the index is held against: where every log begins and ends, and the places in it.
//!
//! The worker sees all logs; entries and places are read as the reader that sees one tenant.

use domain::{Filter, Order, Place, TenantId, Timestamp};
use sqlx::{FromRow, PgConnection, PgExecutor, Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::range::{self, Edge, From, Range, edge_at};
use super::walk::Walk;
use super::{from_sql, rows, to_sql};

/// Logs on one page of [`logs`].
pub const LOGS_MAX: i64 = 1_000;

/// Entries whose places one statement reads.
pub const PLACES_MAX: i64 = 5_000;

/// Held by whoever compares the index with the logs: any number does that nobody else takes.
const REPAIR_LOCK: i64 = 0x6175_6469_7478;

/// Held by whoever rebuilds the index.
const REINDEX_LOCK: i64 = 0x6175_6469_7269;

/// Where a log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The number of its last entry, 0 when there is none.
    pub head_seq: i64,
    /// When that was recorded.
    pub head_at: Timestamp,
    /// The first number that has not expired.
    pub floor_seq: i64,
    /// Everything recorded before has expired.
    pub floor_at: Timestamp,
    /// The last number that the relay has sent, 0 when it never did.
    pub relayed_seq: i64,
}

#[derive(FromRow)]
struct LogRow {
    tenant_id: Uuid,
    head_seq: i64,
    head_at: OffsetDateTime,
    floor_seq: i64,
    floor_at: OffsetDateTime,
    relayed_seq: i64,
}

impl LogRow {
    fn log(self) -> Log {
        Log {
            tenant_id: TenantId::new(self.tenant_id),
            head_seq: self.head_seq,
            head_at: from_sql(self.head_at),
            floor_seq: self.floor_seq,
            floor_at: from_sql(self.floor_at),
            relayed_seq: self.relayed_seq,
        }
    }
}

impl Log {
    /// How many entries have not expired.
    pub fn len(&self) -> i64 {
        (self.head_seq - self.floor_seq + 1).max(0)
    }

    /// Whether none is left, or none ever was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether this session is the one that repairs, until its connection closes. Asking again is
/// allowed.
pub async fn take_repair(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(REPAIR_LOCK).fetch_one(db).await
}

/// Whether this session is the one that rebuilds, until its connection closes.
pub async fn take_reindex(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(REINDEX_LOCK).fetch_one(db).await
}

/// Lets somebody else rebuild.
pub async fn release_reindex(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_unlock($1)").bind(REINDEX_LOCK).execute(db).await?;
    Ok(())
}

/// The columns of a [`LogRow`]; what follows says of which logs.
const LOGS: &str = "
    select
        h.tenant_id, h.seq as head_seq, h.recorded_at as head_at, f.floor_seq, f.floor_at,
        coalesce(c.seq, 0) as relayed_seq
    from log_head h
    join log_floor f using (tenant_id)
    left join log_cursor c on c.tenant_id = h.tenant_id and c.consumer = 'relay'
";

/// Reads the logs after a tenant's, by its id, at most [`LOGS_MAX`].
pub async fn logs(db: impl PgExecutor<'_>, after: Option<TenantId>) -> sqlx::Result<Vec<Log>> {
    let mut query = QueryBuilder::<Postgres>::new(LOGS);
    if let Some(after) = after {
        query.push(" where h.tenant_id > ").push_bind(after.as_uuid());
    }
    query.push(" order by h.tenant_id limit ").push_bind(LOGS_MAX);
    let rows: Vec<LogRow> = query.build_query_as().fetch_all(db).await?;
    Ok(rows.into_iter().map(LogRow::log).collect())
}

/// Reads one log; `None` when there is no such tenant.
pub async fn log(db: impl PgExecutor<'_>, tenant_id: TenantId) -> sqlx::Result<Option<Log>> {
    let mut query = QueryBuilder::<Postgres>::new(LOGS);
    query.push(" where h.tenant_id = ").push_bind(tenant_id.as_uuid());
    let row: Option<LogRow> = query.build_query_as().fetch_optional(db).await?;
    Ok(row.map(LogRow::log))
}

/// Those of these ids that are tenants'.
pub async fn known(db: impl PgExecutor<'_>, ids: &[TenantId]) -> sqlx::Result<Vec<TenantId>> {
    let ids: Vec<Uuid> = ids.iter().map(TenantId::as_uuid).collect();
    let known: Vec<Uuid> = sqlx::query_scalar("select id from tenant where id = any ($1)")
        .bind(ids)
        .fetch_all(db)
        .await?;
    Ok(known.into_iter().map(TenantId::new).collect())
}

/// How many entries there are in all logs that have not expired.
pub async fn entries(db: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select coalesce(sum(greatest(h.seq - f.floor_seq + 1, 0)), 0)::bigint
         from log_head h
         join log_floor f using (tenant_id)",
    )
    .fetch_one(db)
    .await
}

/// When the oldest entry was recorded that has not expired, to the day, over all logs.
pub async fn kept_since(db: impl PgExecutor<'_>) -> sqlx::Result<Option<Timestamp>> {
    let first: Option<OffsetDateTime> = sqlx::query_scalar(
        "select min(d.day)::timestamp at time zone 'utc'
         from log_head h
         join log_floor f using (tenant_id)
         cross join lateral (
            select d.day
            from log_day d
            where d.tenant_id = h.tenant_id
                and d.day >= (f.floor_at at time zone 'utc')::date
            order by d.day
            limit 1
         ) d
         where h.seq >= f.floor_seq",
    )
    .fetch_one(db)
    .await?;
    Ok(first.map(from_sql))
}

/// The numbers of what was recorded in a log from one time up to another, both the beginnings of
/// days, and has not expired; `None` when that is nothing.
pub async fn numbers_between(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    from: Timestamp,
    to: Timestamp,
) -> sqlx::Result<Option<(i64, i64)>> {
    let (first_seq, last_seq): (Option<i64>, i64) = sqlx::query_as(
        "select
            (
                select greatest(d.first_seq, f.floor_seq)
                from log_day d
                where d.tenant_id = h.tenant_id
                    and d.day >= ($2 at time zone 'utc')::date
                    and d.day >= (f.floor_at at time zone 'utc')::date
                order by d.day
                limit 1
            ),
            coalesce(
                (
                    select d.first_seq - 1
                    from log_day d
                    where d.tenant_id = h.tenant_id
                        and d.day >= ($3 at time zone 'utc')::date
                    order by d.day
                    limit 1
                ),
                h.seq
            )
         from log_head h
         join log_floor f using (tenant_id)
         where h.tenant_id = $1",
    )
    .bind(tenant_id.as_uuid())
    .bind(to_sql(from))
    .bind(to_sql(to))
    .fetch_one(db)
    .await?;
    Ok(first_seq.filter(|first| *first <= last_seq).map(|first| (first, last_seq)))
}

/// What every entry passes.
pub(super) static ALL: Filter = Filter::ALL;

/// A walk over all entries of a range of numbers that have not expired, upwards; `None` when there
/// are none.
pub async fn walk(
    db: &mut PgConnection,
    tenant_id: TenantId,
    range: (i64, i64),
) -> sqlx::Result<Option<Walk<'static>>> {
    let found = find(db, tenant_id, range).await?;
    Ok(found.map(|range| Walk::new(tenant_id, &ALL, Order::Asc, &range)))
}

/// Reads places of a range of numbers from its first on, or from the log's floor, at most
/// [`PLACES_MAX`]; those recorded long after the first are left for another call.
///
/// `before` is the place before the first one, where it is known.
pub async fn places(
    db: &mut PgConnection,
    tenant_id: TenantId,
    range: (i64, i64),
    before: Option<Place>,
) -> sqlx::Result<Vec<Place>> {
    if let Some(before) = before.filter(|before| before.seq.get() == range.0 - 1) {
        let first = Edge { at: before.recorded_at, seq: range.0 };
        let places = places_from(&mut *db, tenant_id, first, range.1).await?;
        if !places.is_empty() {
            return Ok(places);
        }
    }
    match find(&mut *db, tenant_id, range).await? {
        Some(range) => places_from(db, tenant_id, range.first, range.last.seq).await,
        None => Ok(Vec::new()),
    }
}

/// The part of a range of numbers that the log holds.
async fn find(
    db: &mut PgConnection,
    tenant_id: TenantId,
    (first_seq, last_seq): (i64, i64),
) -> sqlx::Result<Option<Range>> {
    let start = From::start(Order::Asc);
    let Ok(mut range) = range::find(&mut *db, tenant_id, &ALL, start).await? else {
        return Ok(None);
    };
    range.last.seq = range.last.seq.min(last_seq);
    // Also where that is the floor: its time may lie long before its entry's.
    let first_seq = first_seq.max(range.first.seq);
    let Some(first) = edge_at(db, tenant_id, &range, first_seq).await? else { return Ok(None) };
    range.first = first;
    Ok((range.first.seq <= range.last.seq).then_some(range))
}

async fn places_from(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    first: Edge,
    last_seq: i64,
) -> sqlx::Result<Vec<Place>> {
    let rows = sqlx::query(
        "select recorded_at, seq
         from entry
         where tenant_id = $1
            and recorded_at >= $2
            and recorded_at <= $3
            and (recorded_at, seq) >= ($2, $4)
            and seq <= $5
         order by recorded_at, seq
         limit $6",
    )
    .bind(tenant_id.as_uuid())
    .bind(to_sql(first.at))
    .bind(to_sql(first.at.plus_millis(SPAN_MS)))
    .bind(first.seq)
    .bind(last_seq)
    .bind(PLACES_MAX)
    .fetch_all(db)
    .await?;
    rows.iter().map(rows::place).collect()
}

/// Time that one statement spans: few partitions.
const SPAN_MS: i64 = 35 * 24 * 60 * 60 * 1_000;
