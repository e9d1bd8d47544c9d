//! When those who work beside the requests last came to the end of a round.

use std::time::{SystemTime, UNIX_EPOCH};

use super::made::{Labelled, Maker};

/// Who works in rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worker {
    /// Partitions, keys, marks.
    Upkeep,
    /// Floors, and rows below them.
    Expiry,
    /// Statistics.
    Counter,
    /// Entries into the queue.
    Relay,
    /// The index against the log.
    Repair,
}

impl Worker {
    fn as_str(self) -> &'static str {
        match self {
            Self::Upkeep => "upkeep",
            Self::Expiry => "expiry",
            Self::Counter => "counter",
            Self::Relay => "relay",
            Self::Repair => "repair",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Rounds(Labelled);

impl Rounds {
    pub(super) fn new(maker: &Maker) -> Self {
        Self(maker.labelled(
            "audit_worker_round_timestamp_seconds",
            "When a worker's last round ended well, here or, while another replica has its lock, there; from the \
             start of the service on. Long ago: its errors are in the log of this replica.",
            &["worker"],
        ))
    }

    /// A worker begins: until its first round has ended, this moment counts.
    pub fn begun(&self, worker: Worker) {
        self.ended(worker);
    }

    /// A round has ended well.
    pub fn ended(&self, worker: Worker) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.0.set(worker.as_str(), Some(now.as_secs_f64()));
    }
}
