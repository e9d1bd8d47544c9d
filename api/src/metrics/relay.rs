//! What the relay of this replica sent to the queue.

use prometheus::IntCounter;

use super::made::Maker;

/// See the module.
#[derive(Debug)]
pub struct Relay {
    entries: IntCounter,
    troubled: IntCounter,
}

impl Relay {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            entries: maker.counter(
                "audit_relay_sent_entries_total",
                "Entries that the queue took from this replica's relay; those sent again count again.",
            ),
            troubled: maker.counter(
                "audit_relay_troubled_logs_total",
                "Logs of which a pass could not send all. Rising: docs/runbooks/relay-stuck.md.",
            ),
        }
    }

    /// Counts entries that the queue has.
    pub fn sent(&self, entries: u64) {
        self.entries.inc_by(entries);
    }

    /// Counts logs whose entries were not all sent.
    pub fn troubled(&self, logs: usize) {
        self.troubled.inc_by(logs as u64);
    }
}
