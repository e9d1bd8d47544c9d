//! What was watched live.

use prometheus::{IntCounter, IntCounterVec};

use super::made::Maker;

/// See the module.
#[derive(Debug)]
pub struct Streams {
    gaps: IntCounterVec,
    entries: IntCounter,
    ended: IntCounterVec,
    tickets: IntCounter,
}

impl Streams {
    pub(super) fn new(maker: &Maker) -> Self {
        let gaps = maker.counters(
            "audit_stream_gaps_total",
            "Gaps told to streams, by reason: what was missed had expired, or a restore has undone it.",
            &["reason"],
        );
        for reason in ["expired", "history_changed"] {
            gaps.with_label_values(&[reason]);
        }
        Self {
            gaps,
            entries: maker.counter(
                "audit_stream_entries_total",
                "Entries sent over streams, counted when one pauses or ends.",
            ),
            ended: maker.counters(
                "audit_streams_ended_total",
                "Streams that have ended, by why, in the words of the close reason.",
                &["reason"],
            ),
            tickets: maker.counter(
                "audit_stream_tickets_issued_total",
                "Tickets given out, each good for one stream within 30 s.",
            ),
        }
    }

    /// Counts a gap.
    pub fn gap(&self, reason: &'static str) {
        self.gaps.with_label_values(&[reason]).inc();
    }

    /// Counts entries that were sent.
    pub fn sent(&self, entries: usize) {
        self.entries.inc_by(entries as u64);
    }

    /// Counts a stream that has ended.
    pub fn ended(&self, reason: &'static str) {
        self.ended.with_label_values(&[reason]).inc();
    }

    /// Counts a ticket.
    pub fn ticket_issued(&self) {
        self.tickets.inc();
    }
}
