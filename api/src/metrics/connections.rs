//! Who is connected, what each connection is at, and who was not let in or not let stay.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::made::{Maker, signed};

/// What a connection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// TLS is agreed on.
    Handshake,
    /// It waits for the next request.
    Idle,
    /// A request's head is to come, or comes.
    Head,
    /// A handler works.
    Asked,
    /// An answer goes out.
    Answering,
    /// It is a WebSocket now.
    Upgraded,
}

impl ConnectionState {
    const ALL: [Self; 6] =
        [Self::Handshake, Self::Idle, Self::Head, Self::Asked, Self::Answering, Self::Upgraded];

    fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Asked => "asked",
            Self::Answering => "answering",
            Self::Upgraded => "upgraded",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Connections {
    by_state: [IntGauge; ConnectionState::ALL.len()],
    limit: IntGauge,
    refused: IntCounterVec,
    cut: [IntCounter; ConnectionState::ALL.len()],
    handshakes_failed: IntCounter,
}

impl Connections {
    pub(super) fn new(maker: &Maker) -> Self {
        let open = maker.gauges(
            "audit_connections",
            "Connections of clients, by what they are at; `upgraded` are WebSockets. Many in `head` or `answering`: \
             clients that send or take slowly.",
            &["state"],
        );
        let cut = maker.counters(
            "audit_connections_cut_total",
            "Connections that were ended for being silent or slow, by what they were at. In `idle` that is how \
             connections end; much else: somebody holds connections on purpose.",
            &["state"],
        );
        let refused = maker.counters(
            "audit_connections_refused_total",
            "Connections that were not let in, as there were too many in all (`service`) or of one address. Those \
             that could be told so are among the refused requests, too. docs/runbooks/connections-full.md.",
            &["limit"],
        );
        for limit in ["service", "address"] {
            refused.with_label_values(&[limit]);
        }
        Self {
            by_state: ConnectionState::ALL.map(|state| open.with_label_values(&[state.as_str()])),
            limit: maker.gauge(
                "audit_connections_limit",
                "How many connections this replica takes: AUDIT_CONNECTIONS_MAX. At it the next are refused.",
            ),
            refused,
            cut: ConnectionState::ALL.map(|state| cut.with_label_values(&[state.as_str()])),
            handshakes_failed: maker.counter(
                "audit_tls_handshakes_failed_total",
                "Connections that came to no agreement on TLS: probes that speak none, or clients that do not trust the \
                 certificate. Those that were too slow are cut, in `handshake`.",
            ),
        }
    }

    /// How many there may be.
    pub fn limited_to(&self, connections: usize) {
        self.limit.set(signed(connections));
    }

    /// Counts one that was not let in, by the name of the limit.
    pub fn refused(&self, limit: &'static str) {
        self.refused.with_label_values(&[limit]).inc();
    }

    /// Counts one that ended before a request could be read.
    pub fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    fn gauge(&self, state: ConnectionState) -> &IntGauge {
        &self.by_state[state as usize]
    }
}

/// A connection that is counted, until dropped.
#[derive(Debug)]
pub struct Counted {
    metrics: super::Metrics,
    state: ConnectionState,
}

impl Counted {
    /// From now on, as being at this.
    pub fn new(metrics: super::Metrics, state: ConnectionState) -> Self {
        metrics.connections.gauge(state).inc();
        Self { metrics, state }
    }

    /// It is at something else now.
    pub fn enter(&mut self, state: ConnectionState) {
        if state != self.state {
            self.metrics.connections.gauge(self.state).dec();
            self.metrics.connections.gauge(state).inc();
            self.state = state;
        }
    }

    /// It is ended for being silent or slow.
    pub fn cut(&self) {
        self.metrics.connections.cut[self.state as usize].inc();
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.connections.gauge(self.state).dec();
    }
}
