//! A log read upwards for streams, a bounded piece at a time, and the heads of watched logs.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use domain::{Filter, Order, Place, Seq, StoredEntry, TenantId};
use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::bounds::{self, Bounds};
use super::from_sql;
use super::indexing::ALL;
use super::range::{self, CLOCKS_APART_MS, Edge, From, Lost, Range};
use super::walk::{Allowance, Step, Walk};

/// Entries that one statement looks at.
const LOOKED_AT_MAX: i64 = 20_000;

/// How long one piece takes, and the statement under way.
const TIME_MAX: Duration = Duration::from_millis(300);

/// A place in a log that everything up to it was looked at; `None` before its first entry.
pub type After = Option<Place>;

/// What was read of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The last place that was looked at.
    pub to: After,
    /// The log's bounds when it was read.
    pub bounds: Bounds,
}

#[derive(FromRow)]
struct HeadRow {
    tenant_id: Uuid,
    seq: i64,
    recorded_at: OffsetDateTime,
}

/// The heads of these logs, in one question.
pub async fn heads(db: &PgPool, tenants: &[TenantId]) -> sqlx::Result<Vec<(TenantId, After)>> {
    let ids: Vec<Uuid> = tenants.iter().map(TenantId::as_uuid).collect();
    let rows: Vec<HeadRow> = sqlx::query_as(
        "select tenant_id, seq, recorded_at
         from log_head
         where tenant_id = any ($1)",
    )
    .bind(ids)
    .fetch_all(db)
    .await?;
    let head = |row: HeadRow| {
        let recorded_at = from_sql(row.recorded_at);
        let place = Seq::new(row.seq).map(|seq| Place { recorded_at, seq });
        (TenantId::new(row.tenant_id), place)
    };
    Ok(rows.into_iter().map(head).collect())
}

/// Gives entries after a place that pass a filter to `take`, at most so many, until it refuses
/// one: then that one was not looked at.
pub async fn read(
    db: &mut PgConnection,
    tenant_id: TenantId,
    filter: &Filter,
    after: After,
    entries_max: i64,
    mut take: impl FnMut(&StoredEntry<'_>) -> ControlFlow<()>,
) -> sqlx::Result<Result<Piece, Lost>> {
    let range = match range::find(&mut *db, tenant_id, filter, from(after)).await? {
        Ok(range) => range,
        Err(lost) => return Ok(Err(lost)),
    };
    let mut walk = Walk::new(tenant_id, filter, Order::Asc, &range);
    let (begun, mut left) = (Instant::now(), entries_max);
    let mut refused = false;
    while !walk.is_done() && left > 0 && !refused && begun.elapsed() < TIME_MAX {
        let looked_at = if filter.is_empty() { left } else { LOOKED_AT_MAX };
        let step = walk.step(&mut *db, Allowance { looked_at, given: left }, |entry| {
            let taken = take(entry);
            refused = taken.is_break();
            left -= i64::from(!refused);
            taken
        });
        if step.await? == Step::Moved {
            break;
        }
    }
    let to = if walk.is_done() { range.until } else { walk.last().or(after) };
    Ok(Ok(Piece { to, bounds: range.bounds }))
}

fn from(after: After) -> From {
    From { after, whole: after.is_none(), ..From::start(Order::Asc) }
}

/// Whether a stream can go on from a place, and the log's bounds.
pub async fn look(
    db: &mut PgConnection,
    tenant_id: TenantId,
    after: After,
) -> sqlx::Result<Result<Bounds, Lost>> {
    let found = range::find(db, tenant_id, &ALL, from(after)).await?;
    Ok(found.map(|range| range.bounds))
}

/// Where to go on when a restore has undone a place, and the first number that is told anew.
///
/// What the log got since was recorded after all that was undone: it comes, all of it, although
/// its numbers were used before.
pub async fn before_restore(
    db: &mut PgConnection,
    tenant_id: TenantId,
    undone: Place,
) -> sqlx::Result<(After, Bounds)> {
    let bounds = bounds::get(&mut *db, tenant_id).await?;
    // A filter reaches back by as much as two clocks may be apart; this is about one clock.
    let since = undone.recorded_at.plus_millis(CLOCKS_APART_MS);
    let filter = Filter { from: Some(since), ..Filter::ALL };
    let first = range::first(&mut *db, tenant_id, &filter, &bounds).await?;
    if first.seq > bounds.head_seq() {
        return Ok((bounds.head, bounds));
    }
    if first.seq <= bounds.floor_seq {
        return Ok((bounds.below_floor(), bounds));
    }
    let floor = Edge { at: bounds.floor_at, seq: bounds.floor_seq };
    let last = Edge { at: first.at, seq: first.seq - 1 };
    let range = Range { first: floor, last, bounds, until: None };
    let mut walk = Walk::new(tenant_id, &ALL, Order::Desc, &range);
    let one = Allowance { looked_at: 1, given: 1 };
    walk.step(db, one, |_| ControlFlow::Continue(())).await?;
    Ok((walk.last(), bounds))
}
