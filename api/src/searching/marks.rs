//! Up to where the index holds all of a log: counted, remembered, and moved by counting.
//!
//! The mark of a log, S, says that the index has exactly the entries from the floor to S. Whoever
//! searches counts that range again in the same request, so a mark that is wrong, or was learnt
//! before documents were lost, is found out and never answered from.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::TenantId;

use crate::store::bounds::Bounds;
use crate::store::index_marks::MARKS_MAX;

/// Logs whose marks are remembered.
const KNOWN_MAX: usize = 10_000;

/// How long a count is good for.
pub(super) const COUNTED_FOR: Duration = Duration::from_millis(250);

/// Ranges above a mark that are counted at a time.
pub(super) const PROBES_MAX: usize = 16;

/// Parts that a range is divided into to find what is missing in it.
const PARTS: i64 = 32;

/// What has been counted of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// The log's bounds that it was counted between.
    pub(super) bounds: Bounds,
    /// The mark.
    pub(super) settled: i64,
    /// Documents from the floor to the head.
    pub(super) indexed: u64,
}

impl Counted {
    /// Entries from the floor to the head.
    pub(super) fn expected(&self) -> u64 {
        len((self.bounds.floor_seq, self.bounds.head_seq()))
    }
}

#[derive(Debug, Clone, Copy)]
struct Known {
    counted: Counted,
    at: Instant,
    /// What is written of it.
    stored: i64,
    /// Whether the log was the same the time before.
    is_quiet: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Marks {
    known: Mutex<HashMap<TenantId, Known>>,
}

impl Marks {
    /// The mark of a log, if it is remembered.
    pub(super) fn settled(&self, tenant_id: TenantId) -> Option<i64> {
        self.lock().get(&tenant_id).map(|known| known.counted.settled)
    }

    /// What was counted a moment ago from this floor.
    pub(super) fn fresh(&self, tenant_id: TenantId, floor_seq: i64) -> Option<Counted> {
        let known = self.lock().get(&tenant_id).copied()?;
        let fresh = known.at.elapsed() < COUNTED_FOR && known.counted.bounds.floor_seq == floor_seq;
        fresh.then_some(known.counted)
    }

    /// The bounds of a log that seems to rest, all of it in the index when they were last seen.
    pub(super) fn resting(&self, tenant_id: TenantId) -> Option<Bounds> {
        let known = self.lock().get(&tenant_id).copied()?;
        let Counted { bounds, settled, .. } = known.counted;
        let is_whole = settled == bounds.head_seq() && settled >= bounds.floor_seq;
        (known.is_quiet && is_whole).then_some(bounds)
    }

    /// The log does not rest.
    pub(super) fn stir(&self, tenant_id: TenantId) {
        if let Some(known) = self.lock().get_mut(&tenant_id) {
            known.is_quiet = false;
        }
    }

    /// Remembers what was counted just now.
    pub(super) fn note(&self, tenant_id: TenantId, counted: Counted) {
        let mut all = self.lock();
        let before = all.get(&tenant_id);
        let known = Known {
            counted,
            at: Instant::now(),
            stored: before.map_or(0, |known| known.stored),
            is_quiet: before.is_some_and(|known| known.counted.bounds == counted.bounds),
        };
        all.insert(tenant_id, known);
        if all.len() > KNOWN_MAX {
            let oldest = all.iter().min_by_key(|(_, known)| known.at).map(|(id, _)| *id);
            oldest.and_then(|id| all.remove(&id));
        }
    }

    /// Forgets a mark above this number, and that it was counted.
    pub(super) fn lower(&self, tenant_id: TenantId, settled: i64) {
        if let Some(known) = self.lock().get_mut(&tenant_id) {
            known.counted.settled = known.counted.settled.min(settled);
            known.at = known.at.checked_sub(COUNTED_FOR).unwrap_or(known.at);
        }
    }

    /// Marks that have moved since they were last taken.
    pub(super) fn take_moved(&self) -> Vec<(TenantId, i64)> {
        let mut all = self.lock();
        let moved = all.iter_mut().filter(|(_, known)| known.stored != known.counted.settled);
        let taken = moved.take(MARKS_MAX).map(|(tenant_id, known)| {
            known.stored = known.counted.settled;
            (*tenant_id, known.stored)
        });
        taken.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries of a range, both ends inclusive.
pub(super) fn len(range: (i64, i64)) -> u64 {
    u64::try_from(range.1 - range.0 + 1).unwrap_or(0)
}

/// Ranges from behind a mark up to the head, each as long as all before it together: counted, they
/// move the mark at least half of the way that it can go.
pub(super) fn probes(settled: i64, head_seq: i64) -> Vec<(i64, i64)> {
    let entries = (head_seq - settled).max(0);
    let mut ranges = Vec::with_capacity(PROBES_MAX);
    let mut first = settled + 1;
    let mut size = first_probe(entries);
    while first <= head_seq {
        let last = if ranges.len() + 1 == PROBES_MAX { head_seq } else { first + size - 1 };
        ranges.push((first, last.min(head_seq)));
        if ranges.len() > 1 {
            size *= 2;
        }
        first = last + 1;
    }
    ranges
}

/// How long the first is, so that the last, twice as long as the one before, reaches the head.
fn first_probe(entries: i64) -> i64 {
    let parts = 1 << (PROBES_MAX - 1);
    ((entries + parts - 1) / parts).max(1)
}

/// Where the ranges stop being in the index as a whole: the mark that their counts allow.
pub(super) fn advance(settled: i64, ranges: &[(i64, i64)], counts: &[u64]) -> i64 {
    let whole = ranges.iter().zip(counts).take_while(|(range, count)| len(**range) == **count);
    whole.last().map_or(settled, |(range, _)| range.1)
}

/// A range in parts of equal length, from low to high.
pub(super) fn parts((first, last): (i64, i64)) -> Vec<(i64, i64)> {
    let size = ((last - first) / PARTS + 1).max(1);
    let begins = (0..PARTS).map(|n| first + n * size).take_while(|begin| *begin <= last);
    begins.map(|begin| (begin, (begin + size - 1).min(last))).collect()
}

#[cfg(test)]
mod tests {
    use domain::{Place, Seq, Timestamp};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId::new(Uuid::from_u128(n))
    }

    fn counted(settled: i64) -> Counted {
        let at = Timestamp::from_millis(9);
        let head = Seq::new(9).map(|seq| Place { recorded_at: at, seq });
        Counted { bounds: Bounds { head, floor_seq: 1, floor_at: at }, settled, indexed: 9 }
    }

    #[test]
    fn a_mark_is_remembered_lowered_and_written_once() {
        let marks = Marks::default();
        marks.note(tenant(1), counted(7));
        assert_eq!(marks.fresh(tenant(1), 1), Some(counted(7)));
        assert_eq!(marks.fresh(tenant(1), 2), None, "counted from another floor");
        assert_eq!(marks.take_moved(), [(tenant(1), 7)]);
        assert_eq!(marks.take_moved(), []);
        marks.lower(tenant(1), 3);
        assert_eq!((marks.settled(tenant(1)), marks.fresh(tenant(1), 1)), (Some(3), None));
        assert_eq!(marks.take_moved(), [(tenant(1), 3)]);
    }

    #[test]
    fn a_log_rests_when_it_was_the_same_twice_and_all_of_it_was_there() {
        let marks = Marks::default();
        marks.note(tenant(1), counted(9));
        assert_eq!(marks.resting(tenant(1)), None, "seen once");
        marks.note(tenant(1), counted(9));
        assert_eq!(marks.resting(tenant(1)), Some(counted(9).bounds));
        marks.stir(tenant(1));
        assert_eq!(marks.resting(tenant(1)), None, "somebody knows better");
        marks.note(tenant(1), counted(8));
        assert_eq!(marks.resting(tenant(1)), None, "an entry is missing");
        let grown = Bounds { floor_seq: 2, ..counted(9).bounds };
        marks.note(tenant(1), Counted { bounds: grown, ..counted(9) });
        assert_eq!(marks.resting(tenant(1)), None, "its floor has moved");
    }

    #[test]
    fn only_so_many_are_remembered() {
        let marks = Marks::default();
        (0..KNOWN_MAX as u128 + 5).for_each(|n| marks.note(tenant(n), counted(1)));
        assert_eq!(marks.lock().len(), KNOWN_MAX);
        assert_eq!(marks.take_moved().len(), MARKS_MAX);
    }

    proptest! {
        #[test]
        fn ranges_follow_each_other_without_gap_or_overlap(first in 1..1_000_i64, entries in 0..1_i64 << 38) {
            let last = first + entries - 1;
            for ranges in [probes(first - 1, last), parts((first, last))] {
                let mut next = first;
                for (low, high) in &ranges {
                    prop_assert_eq!(*low, next);
                    prop_assert!(high >= low);
                    next = high + 1;
                }
                prop_assert_eq!(next, last + 1);
                prop_assert!(ranges.len() <= 32);
            }
            prop_assert!(probes(first - 1, last).len() <= PROBES_MAX);
        }

        #[test]
        fn a_mark_moves_half_the_way_and_never_too_far(entries in 1..40_000_i64, there in 0..40_000_i64) {
            let there = there.min(entries);
            let ranges = probes(0, entries);
            let counts: Vec<u64> = ranges
                .iter()
                .map(|(low, high)| len((*low, (*high).min(there))))
                .collect();
            let settled = advance(0, &ranges, &counts);
            prop_assert!(settled <= there);
            prop_assert!(settled * 2 + first_probe(entries) >= there, "{settled} of {there}");
        }
    }
}
