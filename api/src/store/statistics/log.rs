//! Entries counted one by one, in windows, the newest first.

use domain::{Filter, QUARTER_MS, StatsQuery, Tally, TenantId};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, Row as _};
use time::{Duration, OffsetDateTime};

use super::super::range::{Day, recorded_since};
use super::super::{filter, from_sql, to_sql};
use super::{Bounds, push_groups, read_group};

/// Entries that one statement looks at.
const WINDOW_ENTRIES_MAX: i64 = 20_000;

/// Entries that one answer looks at.
const ENTRIES_MAX: i64 = 200_000;

/// A part of a log: the entries from `first_seq` on that were recorded at `since` or later and
/// stand before a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogRange {
    first_seq: i64,
    since: OffsetDateTime,
    before: (OffsetDateTime, i64),
    /// The end of what is asked for, if that lies behind the head.
    to: Option<OffsetDateTime>,
}

/// What a window held.
#[derive(Debug, FromRow)]
struct Edge {
    looked_at: i64,
    seq: Option<i64>,
    recorded_at: Option<OffsetDateTime>,
}

impl LogRange {
    /// The whole log, or what is behind the kept counts, as far as the filter can find something.
    pub(super) fn of(bounds: &Bounds, behind_counted: bool, filter: &Filter) -> Self {
        let (mut first_seq, mut since) = (bounds.floor_seq, bounds.floor_at);
        if behind_counted {
            first_seq = first_seq.max(bounds.counted_seq + 1);
            since = since.max(bounds.counted_recorded_at);
        }
        if let Some(earliest) = recorded_since(filter) {
            since = since.max(to_sql(earliest));
        }
        let before = (bounds.head_recorded_at, bounds.head_seq + 1);
        Self { first_seq, since, before, to: filter.to.map(to_sql).filter(|to| *to < before.0) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first_seq >= self.before.1 || self.since > self.before.0
    }
}

/// Counts a range. `false`: it holds more entries than an answer looks at.
pub(super) async fn count(
    db: &mut PgConnection,
    tenant_id: TenantId,
    range: &LogRange,
    query: &StatsQuery,
    tally: &mut Tally,
) -> sqlx::Result<bool> {
    let days = days(db, tenant_id, range).await?;
    let mut left = ENTRIES_MAX;
    // Most of what occurred before `to` was recorded by then: that comes before the late ones.
    for part in parts(db, tenant_id, range, &days).await? {
        let mut before = part.before;
        loop {
            let lowest = part.first_seq.max(before.1 - WINDOW_ENTRIES_MAX);
            let window = LogRange { since: part.since.max(day_of(&days, lowest)), before, ..part };
            if window.is_empty() {
                break;
            }
            if left == 0 {
                return Ok(false);
            }
            let edge = count_window(db, tenant_id, &window, left, query, tally).await?;
            left -= edge.looked_at;
            let (Some(seq), Some(recorded_at)) = (edge.seq, edge.recorded_at) else { break };
            if seq > lowest && left > 0 {
                break;
            }
            before = (recorded_at, seq);
        }
    }
    Ok(true)
}

/// The days that a range touches.
async fn days(
    db: &mut PgConnection,
    tenant_id: TenantId,
    range: &LogRange,
) -> sqlx::Result<Vec<Day>> {
    sqlx::query_as(
        "select day, first_seq
         from entry_day
         where tenant_id = $1
            and day between $2 and $3
         order by day",
    )
    .bind(tenant_id.as_uuid())
    .bind(range.since.date())
    .bind(range.before.0.date())
    .fetch_all(db)
    .await
}

/// The beginning of the day that an entry was recorded on, or an earlier time.
fn day_of(days: &[Day], seq: i64) -> OffsetDateTime {
    let after = days.partition_point(|day| day.first_seq <= seq);
    let day = after.checked_sub(1).map(|n| days[n].day);
    day.map_or(OffsetDateTime::UNIX_EPOCH, |day| day.midnight().assume_utc())
}

/// A range cut where `to` lies, the part before it first.
async fn parts(
    db: &mut PgConnection,
    tenant_id: TenantId,
    range: &LogRange,
    days: &[Day],
) -> sqlx::Result<Vec<LogRange>> {
    let Some(to) = range.to else { return Ok(vec![*range]) };
    let until = days.partition_point(|day| day.day.midnight().assume_utc() <= to);
    let Some(day) = until.checked_sub(1).map(|n| days[n]) else { return Ok(vec![*range]) };
    let begin = day.day.midnight().assume_utc();
    let last: Option<(OffsetDateTime, i64)> = sqlx::query_as(
        "select recorded_at, seq
         from entry
         where tenant_id = $1
            and recorded_at between $2 and $3
         order by recorded_at desc, seq desc
         limit 1",
    )
    .bind(tenant_id.as_uuid())
    .bind(begin)
    .bind(to)
    .fetch_optional(db)
    .await?;
    let cut = last.map_or((begin, day.first_seq), |(at, seq)| (at, seq + 1));
    let late =
        LogRange { first_seq: range.first_seq.max(cut.1), since: range.since.max(cut.0), ..*range };
    Ok(vec![LogRange { before: cut, ..*range }, late])
}

/// Counts what stands in one window.
async fn count_window(
    db: &mut PgConnection,
    tenant_id: TenantId,
    window: &LogRange,
    left: i64,
    query: &StatsQuery,
    tally: &mut Tally,
) -> sqlx::Result<Edge> {
    let limit = left.min(WINDOW_ENTRIES_MAX);
    let rows = select(tenant_id, window, limit, query).build().fetch_all(db).await?;
    for row in &rows {
        add(row, query, tally)?;
    }
    rows.first().map_or(Err(sqlx::Error::RowNotFound), Edge::from_row)
}

fn select(
    tenant_id: TenantId,
    window: &LogRange,
    limit: i64,
    query: &StatsQuery,
) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(
        "with looked_at as materialized (
            select
                recorded_at, seq, occurred_at, user_id, session_id, request_id, action,
                resource_type, resource_id, severity
            from entry
            where tenant_id = ",
    );
    sql.push_bind(tenant_id.as_uuid());
    sql.push(" and recorded_at between ").push_bind(window.since);
    sql.push(" and ").push_bind(window.before.0);
    sql.push(" and (recorded_at, seq) < (").push_bind(window.before.0);
    sql.push(", ").push_bind(window.before.1);
    sql.push(") and seq >= ").push_bind(window.first_seq);
    sql.push(" order by recorded_at desc, seq desc limit ").push_bind(limit);
    sql.push("), counted as (select count(*) as n, ");
    match &query.calendar {
        None => sql.push("null::timestamptz as at"),
        Some(calendar) => {
            let grain = Duration::milliseconds(calendar.grain_ms().min(QUARTER_MS));
            sql.push("date_bin(make_interval(secs => ").push_bind(grain.as_seconds_f64());
            sql.push("), occurred_at, 'epoch') as at")
        }
    };
    push_groups(&mut sql, &query.group_by);
    sql.push(" from looked_at where true");
    filter::push(&mut sql, &query.filter);
    sql.push(" group by at");
    for n in 0..query.group_by.len() {
        sql.push(format_args!(", group_{n}"));
    }
    sql.push(
        ") select *
         from (
            select count(*) as looked_at, min(seq) as seq, min(recorded_at) as recorded_at
            from looked_at
         ) edge
         left join counted on true",
    );
    sql
}

fn add(row: &PgRow, query: &StatsQuery, tally: &mut Tally) -> sqlx::Result<()> {
    // There is a row even if nothing passed.
    let Some(n) = row.try_get("n")? else { return Ok(()) };
    let at: Option<OffsetDateTime> = row.try_get("at")?;
    tally.add(at.map(from_sql), read_group(row, &query.group_by)?, n);
    Ok(())
}
