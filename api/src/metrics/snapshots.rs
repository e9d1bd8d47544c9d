//! How old the oldest snapshot is that somebody holds in the database.
//!
//! Only a superuser sees when others' transactions began, but everybody sees which transaction ids
//! they hold. So it is remembered which id was the next one at each look: the oldest one held was
//! the next when its holder began, or later.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Looks that are remembered: more than an hour of them.
const LOOKS_MAX: usize = 1_024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// When it was looked, and the id that was next.
    looks: VecDeque<(Instant, i64)>,
}

impl Snapshots {
    /// Takes a look; says for how long the oldest id has been held, at least.
    pub(super) fn age(&mut self, now: Instant, next_id: i64, held_ids: i64) -> Duration {
        if self.looks.len() >= LOOKS_MAX {
            self.looks.pop_front();
        }
        // After a restore the ids begin anew.
        self.looks.retain(|(_, id)| *id <= next_id);
        self.looks.push_back((now, next_id));
        let oldest_id = next_id - held_ids;
        let before = self.looks.iter().rev().find(|(_, id)| *id <= oldest_id);
        let since = before.or(self.looks.front()).map_or(now, |(at, _)| *at);
        now.saturating_duration_since(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_as_old_as_the_last_look_before_it() {
        let (mut snapshots, begun) = (Snapshots::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(snapshots.age(at(0), 100, 0), Duration::ZERO);
        assert_eq!(snapshots.age(at(10), 120, 0), Duration::ZERO);
        // Somebody holds 110, which was not used up at the first look.
        assert_eq!(snapshots.age(at(20), 130, 20), Duration::from_secs(20));
        assert_eq!(snapshots.age(at(30), 130, 10), Duration::from_secs(20));
        assert_eq!(snapshots.age(at(40), 130, 0), Duration::ZERO);
        // Older than all that is remembered: at least so old.
        assert_eq!(snapshots.age(at(50), 140, 100), Duration::from_secs(50));
        // A restore.
        assert_eq!(snapshots.age(at(60), 50, 0), Duration::ZERO);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut snapshots, begun) = (Snapshots::default(), Instant::now());
        for n in 0..5_000 {
            snapshots.age(begun + Duration::from_secs(n), n as i64, 0);
        }
        assert_eq!(snapshots.looks.len(), LOOKS_MAX);
    }
}
