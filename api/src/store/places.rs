//! Entries read by their places, such as those that an index has named.

use domain::{Place, StoredEntry, TenantId};
use futures_util::TryStreamExt as _;
use sqlx::PgConnection;
use time::{Date, Duration, OffsetDateTime};

use super::bounds::{self, Bounds};
use super::{Plans, rows, to_sql};

/// Places that are read at a time.
pub const PLACES_MAX: usize = 128;

/// Days that one statement spans.
const SPAN: Duration = Duration::days(35);

/// Whether places are all recent, and since when that is.
///
/// They are read by a statement that names that day, by a plan that is kept, with the partitions
/// since then. It is a Monday, so the statement is another only once a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recent(Option<Date>);

impl Recent {
    /// Of these places, at this time.
    pub fn of(places: &[Place], now: OffsetDateTime) -> Self {
        let day = (now - SPAN).date();
        let monday = day - Duration::days(day.weekday().number_days_from_monday().into());
        let since = monday.midnight().assume_utc();
        let are_recent = places.iter().all(|place| to_sql(place.recorded_at) >= since);
        Self(are_recent.then_some(monday))
    }

    /// How a transaction is to plan that reads them.
    pub fn plans(self) -> Plans {
        self.0.map_or(Plans::Fresh, |_| Plans::Kept)
    }
}

/// Gives those entries to `each` that stand at these places and have not expired, in any order, and
/// returns the log's bounds as they were then.
pub async fn read(
    db: &mut PgConnection,
    tenant_id: TenantId,
    places: &[Place],
    recent: Recent,
    mut each: impl FnMut(&StoredEntry<'_>),
) -> sqlx::Result<Bounds> {
    debug_assert!(places.len() <= PLACES_MAX, "see the caller");
    let mut sorted: Vec<_> =
        places.iter().map(|place| (to_sql(place.recorded_at), place.seq.get())).collect();
    sorted.sort_unstable();
    let mut rest = &sorted[..];
    // A statement for recent entries is about all of them.
    let span_max = recent.0.map_or(SPAN, |_| Duration::MAX);
    loop {
        let near = |first: &(OffsetDateTime, i64)| {
            rest.partition_point(|place| place.0 - first.0 <= span_max)
        };
        let (span, later) = rest.split_at(rest.first().map_or(0, near));
        let bounds = read_span(&mut *db, tenant_id, span, recent, &mut each).await?;
        if later.is_empty() {
            return Ok(bounds);
        }
        rest = later;
    }
}

/// Sorted places that are not far apart.
async fn read_span(
    db: &mut PgConnection,
    tenant_id: TenantId,
    span: &[(OffsetDateTime, i64)],
    recent: Recent,
    each: &mut impl FnMut(&StoredEntry<'_>),
) -> sqlx::Result<Bounds> {
    let since = recent.0.map(|day| format!("and recorded_at >= '{day} 00:00Z'"));
    // The limit keeps this a look-up by key for each place, whatever else would seem cheaper. The
    // bounds come with every row, and in one without an entry when there is none.
    let sql = format!(
        "select e.*, b.*
         from (select {} from log_bound where tenant_id = $1) b
         left join lateral (
            select found.*
            from unnest($2::timestamptz[], $3::bigint[]) p (at, n)
            cross join lateral (
                select {}
                from entry
                where tenant_id = $1
                    and recorded_at = p.at
                    and recorded_at >= $4
                    and recorded_at <= $5
                    {}
                    and seq = p.n
                    and seq >= b.floor_seq
                limit 1
            ) found
         ) e on true",
        bounds::COLUMNS,
        rows::COLUMNS,
        since.unwrap_or_default()
    );
    let (ats, seqs): (Vec<_>, Vec<_>) = span.iter().copied().unzip();
    let query = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant_id.as_uuid())
        .bind(&ats)
        .bind(&seqs)
        .bind(ats.first().copied())
        .bind(ats.last().copied());
    let mut found = query.fetch(db);
    let mut bounds = None;
    while let Some(row) = found.try_next().await? {
        if rows::is_entry(&row)? {
            each(&rows::read(&row)?);
        }
        if bounds.is_none() {
            bounds = Some(bounds::of(&row)?);
        }
    }
    bounds.ok_or(sqlx::Error::RowNotFound)
}
