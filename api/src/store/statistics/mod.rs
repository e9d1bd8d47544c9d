//! Entries counted: from the kept counts of quarters where they suffice, else from the log.
//!
//! Every answer is about one head and one floor. What is summed of the kept counts, how far they
//! reach, head and floor come from one snapshot; the log behind them does not change, but for the
//! floor, which is looked at once more after reading.

pub mod counting;
mod kept;
mod log;

use domain::{
    Filter, GroupBy, GroupValue, OTHER, QUARTER_MS, Severity, StatsQuery, StatsRow, Tally,
    TenantId, TooManyBuckets,
};
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, QueryBuilder, Row as _};
use thiserror::Error;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{Store, bounds};

/// How often counting begins anew because entries expired meanwhile.
const TRIES_MAX: u32 = 3;

/// The answer to a [`StatsQuery`].
#[derive(Debug, Serialize, ToSchema)]
pub struct Stats {
    /// By bucket, then by group.
    #[schema(value_type = Vec<Object>)]
    pub data: Vec<StatsRow>,
    /// Whether something that was asked for is not in `data`, or not told apart.
    pub partial: bool,
    /// The last entry that was looked at.
    pub head_seq: i64,
    /// The first one.
    pub floor_seq: i64,
}

/// Why nothing was counted.
#[derive(Debug, Error)]
pub enum CountError {
    /// The range is too wide for the interval.
    #[error(transparent)]
    TooManyBuckets(#[from] TooManyBuckets),
    /// Entries kept expiring while they were counted.
    #[error("the log's floor keeps moving")]
    FloorMoves,
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Where a log began and ended at one moment, and how far it was counted.
#[derive(Debug, Clone, Copy, FromRow)]
struct Bounds {
    head_seq: i64,
    head_recorded_at: OffsetDateTime,
    floor_seq: i64,
    floor_at: OffsetDateTime,
    counted_seq: i64,
    counted_recorded_at: OffsetDateTime,
}

/// Counts the entries of one tenant.
pub async fn count(
    store: &Store,
    tenant_id: TenantId,
    query: &StatsQuery,
) -> Result<Stats, CountError> {
    for _ in 0..TRIES_MAX {
        if let Some(stats) = try_count(store, tenant_id, query).await? {
            return Ok(stats);
        }
    }
    Err(CountError::FloorMoves)
}

/// `None` when entries expired meanwhile.
async fn try_count(
    store: &Store,
    tenant_id: TenantId,
    query: &StatsQuery,
) -> Result<Option<Stats>, CountError> {
    let mut tally = Tally::default();
    let mut partial = false;
    let by_quarters = fits_quarters(query);
    let snapshot = store.read(tenant_id, async |db| {
        let bounds = snapshot_bounds(db, tenant_id).await?;
        let kept = if by_quarters {
            Some(kept::sum(db, tenant_id, &bounds, query, &mut tally).await?)
        } else {
            None
        };
        Ok((bounds, kept))
    });
    let (bounds, kept) = snapshot.await?;
    if let Some(summed) = kept {
        partial |= !summed?;
    }
    let range = log::LogRange::of(&bounds, by_quarters, &query.filter);
    if !range.is_empty() {
        let reading = store.read(tenant_id, async |db| {
            let complete = log::count(db, tenant_id, &range, query, &mut tally).await?;
            Ok((complete, bounds::get(db, tenant_id).await?.floor_seq))
        });
        let (complete, floor_now) = reading.await?;
        if floor_now != bounds.floor_seq {
            return Ok(None);
        }
        partial |= !complete;
    }
    let (data, all_fit) = tally.rows(query)?;
    partial |= !all_fit;
    let (head_seq, floor_seq) = (bounds.head_seq, bounds.floor_seq);
    Ok(Some(Stats { data, partial, head_seq, floor_seq }))
}

/// Whether the kept counts know all that is asked for.
fn fits_quarters(query: &StatsQuery) -> bool {
    let filter = &query.filter;
    let known = Filter {
        from: filter.from,
        to: filter.to,
        action: filter.action.clone(),
        resource_type: filter.resource_type.clone(),
        severity: filter.severity.clone(),
        severity_min: filter.severity_min,
        ..Filter::default()
    };
    let mut edges = filter.from.iter().chain(&filter.to);
    *filter == known
        && !query.group_by.contains(&GroupBy::UserId)
        && edges.all(|edge| edge.as_millis() % QUARTER_MS == 0)
        && query.calendar.as_ref().is_none_or(|calendar| calendar.grain_ms() == QUARTER_MS)
}

/// Makes the transaction one snapshot, and reads the bounds in it.
async fn snapshot_bounds(db: &mut PgConnection, tenant_id: TenantId) -> sqlx::Result<Bounds> {
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *db).await?;
    sqlx::query_as(
        "select
            b.head_seq, b.head_recorded_at, b.floor_seq, b.floor_at,
            coalesce(c.seq, 0) as counted_seq,
            coalesce(c.recorded_at, 'epoch') as counted_recorded_at
         from log_bound b
         left join counted_until c using (tenant_id)
         where b.tenant_id = $1",
    )
    .bind(tenant_id.as_uuid())
    .fetch_one(db)
    .await
}

/// Adds a column for each field to group by: `group_0`, `group_1`.
fn push_groups(sql: &mut QueryBuilder<sqlx::Postgres>, group_by: &[GroupBy]) {
    for (n, field) in group_by.iter().enumerate() {
        sql.push(format_args!(", {} as group_{n}", field.as_str()));
    }
}

/// The group of a row that has such columns.
fn read_group(row: &PgRow, group_by: &[GroupBy]) -> sqlx::Result<Vec<GroupValue>> {
    let fields = group_by.iter().enumerate();
    let values = fields.map(|(n, field)| {
        let column = &*format!("group_{n}");
        if *field == GroupBy::Severity {
            let severity = Severity::from_rank(row.try_get(column)?);
            let severity = severity.ok_or_else(|| sqlx::Error::Decode("no severity".into()))?;
            return Ok(GroupValue::Severity(severity));
        }
        let text: String = row.try_get(column)?;
        // No entry's own action or type is empty.
        Ok(GroupValue::Text(if text.is_empty() { OTHER.to_owned() } else { text }))
    });
    values.collect()
}

/// Whether the answer tells actions or types apart.
fn is_about_kinds(query: &StatsQuery) -> bool {
    let StatsQuery { filter, group_by, .. } = query;
    let is_kind = |field: &GroupBy| matches!(field, GroupBy::Action | GroupBy::ResourceType);
    group_by.iter().any(is_kind) || !filter.action.is_empty() || !filter.resource_type.is_empty()
}
