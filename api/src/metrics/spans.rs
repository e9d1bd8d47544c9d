//! What became of spans on their way to the collector.

use prometheus::IntCounter;
use traces::Fate;

use super::made::Maker;

/// See the module.
#[derive(Debug)]
pub struct Spans {
    sent: IntCounter,
    no_room: IntCounter,
    lost: IntCounter,
    refused: IntCounter,
}

impl Spans {
    pub(super) fn new(maker: &Maker) -> Self {
        let dropped = maker.counters(
            "audit_trace_spans_dropped_total",
            "Spans that the collector of traces does not have: there was no room for them to wait (`no_room`), it did \
             not answer (`lost`) or did not want them (`refused`). Nothing but traces suffers; the log says why.",
            &["reason"],
        );
        let dropped = |reason| dropped.with_label_values(&[reason]);
        Self {
            sent: maker.counter(
                "audit_trace_spans_sent_total",
                "Spans that the collector of traces has taken. Always 0 where OTEL_EXPORTER_OTLP_ENDPOINT is unset.",
            ),
            no_room: dropped("no_room"),
            lost: dropped("lost"),
            refused: dropped("refused"),
        }
    }

    /// Counts what became of spans.
    pub fn ended(&self, fate: Fate, spans: u64) {
        let counter = match fate {
            Fate::Sent => &self.sent,
            Fate::NoRoom => &self.no_room,
            Fate::Lost => &self.lost,
            Fate::Refused => &self.refused,
        };
        counter.inc_by(spans);
    }
}
