//! What is remembered of each log between two looks: how far it must have arrived, and how far it
//! has been found equal. No input or output; lost with the process, and made anew by looking.

use std::collections::HashMap;
use std::time::Duration;

use domain::TenantId;
use tokio::time::Instant;

use crate::store::index_marks::Looked;
use crate::store::indexing::Log;

/// How long after it was sent something must have arrived, where little waits in the queue.
pub const SETTLING: Duration = Duration::from_mins(1);

/// The same where the queue is empty, or there is none: OpenSearch shows it with its next refresh.
pub const SETTLING_EMPTY: Duration = Duration::from_secs(5);

/// The same where nobody can say what waits.
pub const SETTLING_UNKNOWN: Duration = Duration::from_mins(15);

/// Messages that wait in a queue that keeps up.
pub const CALM_MAX: u64 = 100;

/// What waits in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// So many messages, and so many more that somebody is at.
    Known {
        /// Waiting.
        waiting: u64,
        /// Taken, and not done.
        taken: u64,
    },
    /// It does not say.
    Unknown,
}

impl Backlog {
    /// There is none where there is no queue.
    pub const NONE: Self = Self::Known { waiting: 0, taken: 0 };

    /// How long ago something must have been sent to have arrived; `None`: nothing is sure to have.
    pub fn settling(self) -> Option<Duration> {
        match self {
            Self::Known { waiting: 0, taken: 0 } => Some(SETTLING_EMPTY),
            Self::Known { waiting, .. } if waiting <= CALM_MAX => Some(SETTLING),
            // What was sent waits with the rest. To send it again would make that longer.
            Self::Known { .. } => None,
            Self::Unknown => Some(SETTLING_UNKNOWN),
        }
    }
}

/// One log.
#[derive(Debug, Default)]
struct Watched {
    /// The last number that must have arrived.
    settled_seq: i64,
    /// One that was sent, and since when that is known.
    sent: Option<(Instant, i64)>,
    /// Below this, the index was equal or has been mended since the last full look.
    next_seq: i64,
    /// Since when it has been mended, and from which number on.
    mended: Option<(Instant, i64)>,
}

/// All logs.
#[derive(Debug, Default)]
pub struct Watch {
    logs: HashMap<TenantId, Watched>,
    /// What was seen of the index since that was last taken.
    seen: HashMap<TenantId, Looked>,
}

impl Watch {
    /// Notes how far a log was sent, and what has settled since. `sent_seq` is settled at once
    /// where nothing is between the log and the index.
    pub fn note(&mut self, log: &Log, sent_seq: i64, now: Instant, backlog: Backlog) {
        let arrived = |at: Instant| backlog.settling().is_some_and(|time| at + time <= now);
        let watched = self.logs.entry(log.tenant_id).or_default();
        if let Some((_, seq)) = watched.sent.take_if(|(at, _)| arrived(*at)) {
            watched.settled_seq = seq;
        }
        if watched.sent.is_none() && sent_seq > watched.settled_seq {
            watched.sent = Some((now, sent_seq));
        }
        if let Some((_, from)) = watched.mended.take_if(|(at, _)| arrived(*at)) {
            watched.next_seq = watched.next_seq.min(from);
        }
        // A database that was set back has given numbers up.
        watched.settled_seq = watched.settled_seq.min(log.head_seq);
        watched.next_seq = watched.next_seq.min(log.head_seq + 1);
    }

    /// Nothing is between the log and the index: all of it is settled.
    pub fn settle(&mut self, log: &Log) {
        self.logs.entry(log.tenant_id).or_default().settled_seq = log.head_seq;
    }

    /// The numbers to compare now: those that must have arrived and have not been looked at.
    pub fn range(&self, log: &Log) -> Option<(i64, i64)> {
        let watched = self.logs.get(&log.tenant_id)?;
        let range = (watched.next_seq.max(log.floor_seq), watched.settled_seq);
        (range.0 <= range.1).then_some(range)
    }

    /// The last number of a log that must have arrived, if nothing of it was mended and is on its
    /// way.
    pub fn settled_seq(&self, tenant_id: TenantId) -> Option<i64> {
        let watched = self.logs.get(&tenant_id).filter(|watched| watched.mended.is_none())?;
        Some(watched.settled_seq)
    }

    /// The index holds exactly the log in this range.
    pub fn held(&mut self, tenant_id: TenantId, (first_seq, held_seq): (i64, i64)) {
        let looked = Looked { tenant_id, first_seq, held_seq, is_broken: false };
        self.seen.insert(tenant_id, looked);
    }

    /// From a number on, it does, but not at this one.
    pub fn broken(&mut self, tenant_id: TenantId, first_seq: i64, at_seq: i64) {
        let looked = Looked { tenant_id, first_seq, held_seq: at_seq - 1, is_broken: true };
        // What was found first lies lowest.
        let seen = self.seen.entry(tenant_id).or_insert(looked);
        if !seen.is_broken {
            *seen = looked;
        }
    }

    /// What was seen, once.
    pub fn take_seen(&mut self) -> Vec<Looked> {
        self.seen.drain().map(|(_, looked)| looked).collect()
    }

    /// Everything below this number was equal, or has been mended now.
    pub fn looked_at(&mut self, tenant_id: TenantId, next_seq: i64) {
        if let Some(watched) = self.logs.get_mut(&tenant_id) {
            watched.next_seq = next_seq;
        }
    }

    /// From this number on something was mended, which is to be looked at when it has arrived.
    pub fn mended(&mut self, tenant_id: TenantId, from: i64, now: Instant) {
        if let Some(watched) = self.logs.get_mut(&tenant_id) {
            let from = watched.mended.map_or(from, |(_, before)| before.min(from));
            watched.mended = Some((now, from));
        }
    }

    /// All is to be looked at again, but for what is on its way.
    pub fn begin_anew(&mut self) {
        for watched in self.logs.values_mut().filter(|watched| watched.mended.is_none()) {
            watched.next_seq = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn log(head_seq: i64) -> Log {
        Log {
            tenant_id: TenantId::new(Uuid::from_u128(1)),
            head_seq,
            head_at: Timestamp::EPOCH,
            floor_seq: 1,
            floor_at: Timestamp::EPOCH,
            relayed_seq: head_seq,
        }
    }

    const EMPTY: Backlog = Backlog::NONE;
    const BUSY: Backlog = Backlog::Known { waiting: CALM_MAX + 1, taken: 0 };

    #[tokio::test]
    async fn what_was_sent_is_compared_once_it_must_have_arrived() {
        let (mut watch, log, begun) = (Watch::default(), log(10), Instant::now());
        watch.note(&log, 8, begun, EMPTY);
        assert_eq!(watch.range(&log), None);
        watch.note(&log, 10, begun + SETTLING_EMPTY, EMPTY);
        assert_eq!(watch.range(&log), Some((1, 8)));
        watch.looked_at(log.tenant_id, 9);
        assert_eq!(watch.range(&log), None);
        watch.note(&log, 10, begun + SETTLING_EMPTY * 2, EMPTY);
        assert_eq!(watch.range(&log), Some((9, 10)));
    }

    #[tokio::test]
    async fn nothing_settles_behind_a_backlog() {
        let (mut watch, log, begun) = (Watch::default(), log(10), Instant::now());
        watch.note(&log, 10, begun, BUSY);
        watch.note(&log, 10, begun + SETTLING * 100, BUSY);
        assert_eq!(watch.range(&log), None);
        watch.note(&log, 10, begun + SETTLING * 101, Backlog::Known { waiting: 1, taken: 9 });
        assert_eq!(watch.range(&log), Some((1, 10)));
    }

    #[tokio::test]
    async fn what_was_mended_is_looked_at_again_but_not_before_it_can_have_arrived() {
        let (mut watch, log, begun) = (Watch::default(), log(10), Instant::now());
        watch.note(&log, 10, begun, EMPTY);
        watch.note(&log, 10, begun + SETTLING_EMPTY, EMPTY);
        let mended_at = begun + SETTLING_EMPTY;
        watch.mended(log.tenant_id, 3, mended_at);
        watch.looked_at(log.tenant_id, 11);
        watch.begin_anew();
        watch.note(&log, 10, mended_at + SETTLING, BUSY);
        assert_eq!(watch.range(&log), None);
        watch.note(&log, 10, mended_at + SETTLING, EMPTY);
        assert_eq!(watch.range(&log), Some((3, 10)));
    }

    #[test]
    fn of_what_was_seen_the_lowest_that_is_broken_is_told_once() {
        let (mut watch, tenant_id) = (Watch::default(), log(10).tenant_id);
        let looked = |held_seq, is_broken| Looked { tenant_id, first_seq: 1, held_seq, is_broken };
        watch.held(tenant_id, (1, 10));
        assert_eq!(watch.take_seen(), [looked(10, false)]);
        watch.held(tenant_id, (1, 10));
        watch.broken(tenant_id, 1, 4);
        watch.broken(tenant_id, 5, 7);
        assert_eq!(watch.take_seen(), [looked(3, true)]);
        assert_eq!(watch.take_seen(), []);
    }

    #[tokio::test]
    async fn a_log_that_was_set_back_is_not_waited_for() {
        let (mut watch, begun) = (Watch::default(), Instant::now());
        watch.settle(&log(10));
        watch.looked_at(log(10).tenant_id, 11);
        let back = log(4);
        watch.note(&back, 4, begun, EMPTY);
        assert_eq!(watch.range(&back), None);
        watch.begin_anew();
        assert_eq!(watch.range(&back), Some((1, 4)));
    }
}
