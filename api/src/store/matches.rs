//! Entries that match, found by looking at the log from new to old: bounded in entries and time.
//!
//! The filter is PostgreSQL's, the query is ours: no index of words is kept there.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use domain::{Order, Place, Selection, StoredEntry, TenantId};
use sqlx::PgConnection;

use super::range::Range;
use super::walk::{Allowance, Step, Walk};

/// Entries that one look at the log goes over.
pub const LOOKED_AT_MAX: i64 = 50_000;

/// How long one look takes.
pub const TIME_MAX: Duration = Duration::from_millis(300);

/// Entries that one statement goes over when each of them comes here.
const WINDOW_MAX: i64 = 5_000;

/// Entries that one statement goes over when a filter leaves some behind.
const FILTERED_WINDOW_MAX: i64 = 20_000;

/// How far a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Entries that it goes over.
    pub entries: i64,
    /// When it ends, but for its first entry; `None`: it has an end that is near enough.
    pub lasts: Option<Duration>,
}

/// Where a look has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// The last entry looked at.
    pub last: Option<Place>,
    /// Whether that was the last of the range.
    pub is_done: bool,
    /// Entries that must be there are not: the floor has moved, or history has.
    pub has_moved: bool,
}

impl Default for Looked {
    /// At the end of a range without a single entry.
    fn default() -> Self {
        Self { last: None, is_done: true, has_moved: false }
    }
}

/// Gives the entries of a range that match to `take`, from new to old, until it has had enough.
pub async fn look(
    db: &mut PgConnection,
    tenant_id: TenantId,
    selection: &Selection,
    range: &Range,
    reach: Reach,
    mut take: impl FnMut(&StoredEntry<'_>) -> ControlFlow<()>,
) -> sqlx::Result<Looked> {
    let until = reach.lasts.map(|lasts| Instant::now() + lasts);
    let mut walk = Walk::new(tenant_id, &selection.filter, Order::Desc, range);
    let mut enough = false;
    let mut has_moved = false;
    while !walk.is_done() && !enough && !has_moved {
        let left = reach.entries - (range.last.seq - walk.next_seq());
        let is_late = |begun: bool| begun && until.is_some_and(|until| Instant::now() >= until);
        if left <= 0 || is_late(walk.last().is_some()) {
            break;
        }
        let mut begun = walk.last().is_some();
        let step = walk.step(&mut *db, allowance(selection, left), |entry| {
            if enough || is_late(begun) {
                enough = true;
                return ControlFlow::Break(());
            }
            begun = true;
            if selection.query().is_none_or(|query| query.matches(entry)) {
                enough = take(entry).is_break();
            }
            ControlFlow::Continue(())
        });
        has_moved = step.await? == Step::Moved;
    }
    Ok(Looked { last: walk.last(), is_done: walk.is_done(), has_moved })
}

fn allowance(selection: &Selection, left: i64) -> Allowance {
    let window = if selection.filter.is_empty() { WINDOW_MAX } else { FILTERED_WINDOW_MAX };
    Allowance { looked_at: window.min(left), given: window.min(left) }
}
