//! Which part of a log a read is about, and whether a cursor still stands in it.

use domain::{Filter, Order, Place, TenantId, Timestamp};
use sqlx::{FromRow, PgConnection, PgExecutor, Postgres, QueryBuilder};
use time::{Date, OffsetDateTime};

use super::bounds::{self, Bounds};
use super::{from_sql, rows, to_sql};

/// How far the two clocks behind `occurred_at` and `recorded_at` may be apart.
pub(super) const CLOCKS_APART_MS: i64 = 10 * 60 * 1_000;

/// A number in a log, and a time that its entry and all beyond it keep to: when it is a first
/// number, none of them was recorded before; when it is a last one, none after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The time.
    pub at: Timestamp,
    /// The number.
    pub seq: i64,
}

impl Edge {
    /// Where this entry stands.
    pub fn of(place: Place) -> Self {
        Self { at: place.recorded_at, seq: place.seq.get() }
    }

    /// The entry below one.
    pub fn below(place: Place) -> Self {
        Self { at: place.recorded_at, seq: place.seq.get() - 1 }
    }
}

/// A range of a log, both ends inclusive; empty when the first number is above the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Its low end.
    pub first: Edge,
    /// Its high end.
    pub last: Edge,
    /// The log's bounds when this was made.
    pub bounds: Bounds,
    /// The head that the read ends at; `None` in an empty log.
    pub until: Option<Place>,
}

/// Where a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct From {
    /// Which way it goes.
    pub order: Order,
    /// The last place that was looked at.
    pub after: Option<Place>,
    /// The head that its first page saw.
    pub until: Option<Place>,
    /// Whether it must begin with the log's very first entry, as a cursor of an empty log does.
    pub whole: bool,
}

impl From {
    /// At the log's end that the order begins with.
    pub fn start(order: Order) -> Self {
        Self { order, after: None, until: None, whole: false }
    }
}

/// Why a read cannot go on from a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// What comes next has expired.
    Expired {
        /// The place that everything not expired comes after.
        oldest: Place,
    },
    /// The log does not hold what the place says: a restore has undone it.
    HistoryChanged,
    /// Entries expire faster than they can be read.
    Overtaken,
}

/// Finds the range that a read is about.
pub async fn find(
    db: &mut PgConnection,
    tenant_id: TenantId,
    filter: &Filter,
    from: From,
) -> sqlx::Result<Result<Range, Lost>> {
    let (bounds, held) = bounds::get_with(&mut *db, tenant_id, from.after).await?;
    let undone = from.until.is_some_and(|until| until.seq.get() > bounds.head_seq());
    let gone = from.after.and_then(|after| look(&bounds, after, held));
    if let Some(lost) = gone.or(undone.then_some(Lost::HistoryChanged)) {
        return Ok(Err(lost));
    }
    if let Some(oldest) = bounds.below_floor().filter(|_| from.whole) {
        return Ok(Err(Lost::Expired { oldest }));
    }
    let until = from.until.or(bounds.head);
    let mut first = first(db, tenant_id, filter, &bounds).await?;
    let mut last = until.map_or(Edge { at: bounds.floor_at, seq: 0 }, Edge::of);
    match (from.order, from.after.map(Edge::of)) {
        (Order::Asc, Some(after)) if after.seq >= first.seq => {
            first = Edge { at: after.at, seq: after.seq + 1 };
        }
        (Order::Desc, Some(after)) if after.seq <= last.seq => {
            last = Edge { at: after.at, seq: after.seq - 1 };
        }
        _ => {}
    }
    Ok(Ok(Range { first, last, bounds, until }))
}

/// The first entry that a filter can let pass.
pub async fn first(
    db: &mut PgConnection,
    tenant_id: TenantId,
    filter: &Filter,
    bounds: &Bounds,
) -> sqlx::Result<Edge> {
    let floor = Edge { at: bounds.floor_at, seq: bounds.floor_seq };
    match recorded_since(filter) {
        Some(since) => first_since(db, tenant_id, floor, since, bounds).await,
        None => Ok(floor),
    }
}

/// When the earliest entry that passes can have been recorded.
pub(super) fn recorded_since(filter: &Filter) -> Option<Timestamp> {
    filter.from.map(|from| from.plus_millis(-CLOCKS_APART_MS))
}

/// What is wrong with a place that a client came back with.
fn look(bounds: &Bounds, place: Place, held: bool) -> Option<Lost> {
    if place.seq.get() > bounds.head_seq() {
        return Some(Lost::HistoryChanged);
    }
    match bounds.below_floor() {
        // Upwards nothing is missing, and downwards nothing is left.
        Some(oldest) if place.seq == oldest.seq => None,
        Some(oldest) if place.seq < oldest.seq => Some(Lost::Expired { oldest }),
        _ => (!held).then_some(Lost::HistoryChanged),
    }
}

/// The first entry recorded then or later, from `first` on.
async fn first_since(
    db: &mut PgConnection,
    tenant_id: TenantId,
    first: Edge,
    since: Timestamp,
    bounds: &Bounds,
) -> sqlx::Result<Edge> {
    if since <= first.at {
        return Ok(first);
    }
    let today = to_sql(since).date();
    let days = days(&mut *db, tenant_id, Order::Asc, today, 2).await?;
    if days.first().is_some_and(|day| day.day == today) {
        let found = first_of_day(db, tenant_id, since).await?;
        if let Some(place) = found {
            return Ok(Edge::of(place));
        }
    }
    let next = days.iter().find(|day| day.day > today);
    Ok(next.map_or(Edge { at: since, seq: bounds.head_seq() + 1 }, |day| Edge {
        at: day.begins(),
        seq: day.first_seq,
    }))
}

async fn first_of_day(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    since: Timestamp,
) -> sqlx::Result<Option<Place>> {
    let row = sqlx::query(
        "select recorded_at, seq
         from entry
         where tenant_id = $1
            and recorded_at >= $2
            and recorded_at < $3
         order by recorded_at, seq
         limit 1",
    )
    .bind(tenant_id.as_uuid())
    .bind(to_sql(since))
    .bind(to_sql(since.start_of_utc_day().plus_millis(DAY_MS)))
    .fetch_optional(db)
    .await?;
    row.map(|row| rows::place(&row)).transpose()
}

/// Looks that narrow a day down to one of its milliseconds.
const LOOKS_MAX: usize = 32;

/// The number with the time of its entry, which must not be below the range's first.
///
/// Numbers have no index; but they grow with time, which has one.
pub(super) async fn edge_at(
    db: &mut PgConnection,
    tenant_id: TenantId,
    range: &Range,
    seq: i64,
) -> sqlx::Result<Option<Edge>> {
    let Some(day) = day_of(&mut *db, tenant_id, seq).await? else { return Ok(None) };
    if day.first_seq == seq {
        return Ok(Some(Edge { at: day.begins().max(range.first.at), seq }));
    }
    // The entry was recorded in here, and the first one from `low` on is not behind it.
    let mut low = day.begins().max(range.first.at);
    let mut high = day.ends().min(range.last.at);
    for _ in 0..LOOKS_MAX {
        if low >= high {
            break;
        }
        let middle = low.plus_millis((high.as_millis() - low.as_millis() + 1) / 2);
        match first_of_day(&mut *db, tenant_id, middle).await? {
            Some(place) if place.seq.get() <= seq => low = place.recorded_at,
            _ => high = middle.plus_millis(-1),
        }
    }
    Ok(Some(Edge { at: low, seq }))
}

/// The day that an entry was recorded on.
async fn day_of(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    seq: i64,
) -> sqlx::Result<Option<Day>> {
    sqlx::query_as(
        "select day, first_seq
         from entry_day
         where tenant_id = $1
            and first_seq <= $2
         order by day desc
         limit 1",
    )
    .bind(tenant_id.as_uuid())
    .bind(seq)
    .fetch_optional(db)
    .await
}

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A UTC day of a log that has entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(super) struct Day {
    pub(super) day: Date,
    pub(super) first_seq: i64,
}

impl Day {
    pub(super) fn begins(self) -> Timestamp {
        from_sql(OffsetDateTime::new_utc(self.day, time::Time::MIDNIGHT))
    }

    /// The day's last millisecond.
    pub(super) fn ends(self) -> Timestamp {
        self.begins().plus_millis(DAY_MS - 1)
    }
}

/// How an order compares and sorts in SQL.
pub(super) fn in_sql(order: Order) -> (&'static str, &'static str) {
    match order {
        Order::Asc => (">=", ""),
        Order::Desc => ("<=", " desc"),
    }
}

/// Days with entries, from one on in this order.
pub(super) async fn days(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    order: Order,
    from: Date,
    limit: i64,
) -> sqlx::Result<Vec<Day>> {
    let (from_on, direction) = in_sql(order);
    let mut query = QueryBuilder::<Postgres>::new("select day, first_seq from entry_day");
    query.push(" where tenant_id = ").push_bind(tenant_id.as_uuid());
    query.push(format_args!(" and day {from_on} ")).push_bind(from);
    query.push(format_args!(" order by day{direction} limit ")).push_bind(limit);
    query.build_query_as().fetch_all(db).await
}
