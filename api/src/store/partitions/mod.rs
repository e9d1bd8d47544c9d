//! Partitions made ahead of time, one after the other, without holding up a write.
//!
//! A partition is made as a table of its own and attached: `create table … partition of` would
//! wait for every statement on the log and let every other wait behind it.

mod going;

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, FromRow, PgConnection, PgExecutor, PgPool,
};
use time::macros::datetime;
use time::{Duration, OffsetDateTime, UtcDateTime};

pub use going::{drop_erasable, drop_old_keys};

use super::migrations::Profile;

/// How far ahead of now there are always partitions.
const AHEAD: Duration = Duration::days(14);

/// Below this, the service says that it is not ready.
pub const AHEAD_MIN: Duration = Duration::days(2);

/// Width of a partition of idempotency keys.
const KEYS_WIDTH: Duration = Duration::hours(6);

/// How far ahead there are always partitions of idempotency keys.
const KEYS_AHEAD: Duration = Duration::days(4);

/// Where every width is counted from.
const MONDAY: OffsetDateTime = datetime!(2001-01-01 0:00 UTC);

/// Held by whoever works on partitions: "audit" and "part" as bytes would do, any number does.
const ROUND_LOCK: i64 = 0x6175_6469_7470;

/// Tries of one partition's work before it is left for the next round.
const TRIES_MAX: u32 = 50;

/// A table that is partitioned by `recorded_at`.
#[derive(Debug, Clone, Copy)]
struct Table {
    name: &'static str,
    width: Duration,
    ahead: Duration,
}

/// One partition's range.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    name: String,
    from: OffsetDateTime,
    to: OffsetDateTime,
}

/// Whether this session has partitions to itself, until its connection closes: when somebody else
/// works on them, that does for everybody.
pub async fn take_turn(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(ROUND_LOCK).fetch_one(db).await
}

/// Makes what is missing, of the log (on the native profile) and of the idempotency keys.
/// Returns how many were made. The session must be able to become `audit_owner`.
pub async fn make_ahead(
    connection: &mut PgConnection,
    profile: Profile,
    partition_days: u16,
) -> anyhow::Result<usize> {
    let keys = Table { name: "idempotency_key", width: KEYS_WIDTH, ahead: KEYS_AHEAD };
    let mut made = make_table_ahead(connection, keys).await?;
    if profile == Profile::Native {
        let width = Duration::days(partition_days.into());
        let log = Table { name: "audit_log", width, ahead: AHEAD.max(width) };
        made += make_table_ahead(connection, log).await?;
    }
    Ok(made)
}

async fn make_table_ahead(connection: &mut PgConnection, table: Table) -> anyhow::Result<usize> {
    let now: OffsetDateTime =
        sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *connection).await?;
    let spans = attached(&mut *connection, table.name).await?;
    let ranges = missing(table, &spans, now);
    for range in &ranges {
        let mut tries = Tries::default();
        while let Err(error) = attach(connection, table.name, range).await {
            tries.again(error).await?;
        }
    }
    Ok(ranges.len())
}

/// The ranges that no partition holds, from now to far enough ahead.
fn missing(table: Table, spans: &[Span], now: OffsetDateTime) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut from = covered(spans, round_down(now, table.width));
    while from < now + table.ahead {
        let next = spans.iter().map(|span| span.begins).filter(|begins| *begins > from).min();
        let whole = round_down(from, table.width) + table.width;
        let to = next.map_or(whole, |next| whole.min(next));
        ranges.push(Range { name: partition_name(table.name, from), from, to });
        from = covered(spans, to);
    }
    ranges
}

/// How far partitions follow each other from a time on without a hole.
fn covered(spans: &[Span], from: OffsetDateTime) -> OffsetDateTime {
    let mut to = from;
    while let Some(span) = spans.iter().find(|span| (span.begins..span.ends).contains(&to)) {
        to = span.ends;
    }
    to
}

/// The start of the range of this width that holds a time; weeks begin on Mondays.
fn round_down(at: OffsetDateTime, width: Duration) -> OffsetDateTime {
    let since = (at - MONDAY).whole_seconds();
    MONDAY + Duration::seconds(since - since.rem_euclid(width.whole_seconds()))
}

fn partition_name(table: &str, from: OffsetDateTime) -> String {
    let at = UtcDateTime::from(from);
    let (year, month, day) = at.to_calendar_date();
    format!("{table}_{year:04}{:02}{day:02}_{:02}", u8::from(month), at.hour())
}

/// The range of an attached partition, or of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Span {
    /// The first moment in it.
    pub begins: OffsetDateTime,
    /// The first one after it.
    pub ends: OffsetDateTime,
}

/// The ranges of time for which the log has room.
pub async fn spans(db: impl PgExecutor<'_>, profile: Profile) -> sqlx::Result<Vec<Span>> {
    match profile {
        Profile::Native => attached(db, "audit_log").await,
        Profile::Timescale => {
            sqlx::query_as(
                "select distinct range_start as begins, range_end as ends
                 from timescaledb_information.chunks
                 where hypertable_schema = 'public'
                    and hypertable_name = 'audit_log'",
            )
            .fetch_all(db)
            .await
        }
    }
}

async fn attached(db: impl PgExecutor<'_>, table: &str) -> sqlx::Result<Vec<Span>> {
    sqlx::query_as(
        "select
            substring(b.bound from $$FROM \\('([^']+)'\\)$$)::timestamptz as begins,
            substring(b.bound from $$TO \\('([^']+)'\\)$$)::timestamptz as ends
         from pg_inherits i
         join pg_class c on c.oid = i.inhrelid
         cross join lateral pg_get_expr(c.relpartbound, c.oid) b (bound)
         where i.inhparent = to_regclass($1)",
    )
    .bind(table)
    .fetch_all(db)
    .await
}

/// Whether there are partitions for the days to come, of the log and of the keys.
pub async fn reach(db: &PgPool, profile: Profile) -> sqlx::Result<bool> {
    Ok(ahead(db, profile).await? >= AHEAD_MIN)
}

/// For how long from now on there are.
pub async fn ahead(db: &PgPool, profile: Profile) -> sqlx::Result<std::time::Duration> {
    let now = OffsetDateTime::now_utc();
    let mut to = covered(&attached(db, "idempotency_key").await?, now);
    // TimescaleDB makes chunks when they are needed.
    if profile == Profile::Native {
        to = to.min(covered(&attached(db, "audit_log").await?, now));
    }
    Ok((to - now).unsigned_abs())
}

/// Makes a table like the parent and attaches it, in one short transaction.
async fn attach(
    connection: &mut PgConnection,
    table: &'static str,
    range: &Range,
) -> sqlx::Result<()> {
    let name = &range.name;
    let (from, to) = (literal(range.from), literal(range.to));
    // The CHECK spares ATTACH a scan, and is in the way afterwards.
    let script = format!(
        "set local lock_timeout = '200ms';
         set local role audit_owner;
         create table {name} (like {table} including all);
         alter table {name} add constraint {name}_range
            check (recorded_at >= '{from}' and recorded_at < '{to}');
         alter table {table} attach partition {name} for values from ('{from}') to ('{to}');
         alter table {name} drop constraint {name}_range;"
    );
    let mut transaction = connection.begin().await?;
    transaction.execute(AssertSqlSafe(script)).await?;
    transaction.commit().await
}

fn literal(at: OffsetDateTime) -> String {
    let at = UtcDateTime::from(at);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.as_hms();
    format!("{year:04}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02}+00", u8::from(month))
}

/// Counts tries of work that gives way to everybody else's.
#[derive(Debug, Default)]
struct Tries(u32);

impl Tries {
    /// Waits a moment after a lock that was not had; any other error, or too many, is final.
    async fn again(&mut self, error: sqlx::Error) -> sqlx::Result<()> {
        self.0 += 1;
        if self.0 >= TRIES_MAX || !is_lock_timeout(&error) {
            return Err(error);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        Ok(())
    }
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEKS: Table =
        Table { name: "audit_log", width: Duration::days(7), ahead: Duration::days(14) };

    fn span(begins: OffsetDateTime, ends: OffsetDateTime) -> Span {
        Span { begins, ends }
    }

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    #[test]
    fn first_partition_holds_now_and_begins_on_a_monday() {
        let ranges = missing(WEEKS, &[], NOW);
        assert_eq!(ranges[0].from, datetime!(2026-11-16 0:00 UTC));
        assert_eq!(ranges[0].name, "audit_log_20261116_00");
        assert!(ranges.last().is_some_and(|range| range.to >= NOW + WEEKS.ahead));
    }

    #[test]
    fn ranges_follow_each_other_without_a_hole_when_the_width_changes() {
        let end = datetime!(2026-11-24 0:00 UTC);
        let ranges = missing(WEEKS, &[span(datetime!(2026-11-10 0:00 UTC), end)], NOW);
        assert_eq!(ranges[0].from, end);
        assert_eq!(ranges[0].to, datetime!(2026-11-30 0:00 UTC));
        assert!(ranges.windows(2).all(|pair| pair[0].to == pair[1].from));
    }

    #[test]
    fn a_hole_before_later_partitions_is_filled_and_no_more() {
        let later = span(datetime!(2026-11-25 0:00 UTC), datetime!(2027-01-04 0:00 UTC));
        let ranges = missing(WEEKS, &[later], NOW);
        let found: Vec<_> = ranges.iter().map(|range| (range.from, range.to)).collect();
        let monday = datetime!(2026-11-23 0:00 UTC);
        assert_eq!(found, [(datetime!(2026-11-16 0:00 UTC), monday), (monday, later.begins)]);
        assert_eq!(covered(&[later], NOW), NOW);
    }

    #[test]
    fn after_a_long_pause_no_past_partitions_are_made() {
        let old = span(datetime!(2019-12-01 0:00 UTC), datetime!(2020-01-01 0:00 UTC));
        assert_eq!(missing(WEEKS, &[old], NOW)[0].from, datetime!(2026-11-16 0:00 UTC));
    }

    #[test]
    fn nothing_is_missing_when_there_is_enough() {
        let enough = span(datetime!(2026-11-16 0:00 UTC), datetime!(2027-01-04 0:00 UTC));
        assert_eq!(missing(WEEKS, &[enough], NOW), []);
    }
}
