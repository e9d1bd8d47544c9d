//! What an operator's Prometheus reads: counted where it happens, looked up when it is asked for.
//!
//! On the way of a request there are only atomic additions to counters that were made at the start:
//! no lock, no allocation. Labels are words of this code (routes, codes, names of pools), never
//! anything that a client sent, and never a tenant. What only the database or the queue knows is
//! asked when somebody looks, once in a while and bounded in time (`look`).

mod connections;
mod index;
mod listener;
mod look;
mod made;
mod process;
mod relay;
mod requests;
mod rounds;
mod snapshots;
mod spans;
mod state;
mod streams;
mod writing;

use std::ops::Deref;
use std::sync::Arc;

use prometheus::{Registry, TextEncoder};

pub use self::connections::{ConnectionState, Connections, Counted};
pub use self::index::{Index, Seen};
pub use self::listener::serve;
pub use self::look::Look;
pub use self::made::Described;
pub use self::relay::Relay;
pub use self::requests::{OTHER, Requests};
pub use self::rounds::{Rounds, Worker};
pub use self::spans::Spans;
pub use self::streams::Streams;
pub use self::writing::Writing;

use self::look::Looked;
use self::made::Maker;
use self::process::Process;
use self::state::State;
use crate::app::App;

/// How a scrape is told what it gets.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Everything that is counted in this process's service; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

/// The counters, by whose work they count.
#[derive(Debug)]
pub struct Inner {
    registry: Registry,
    described: Vec<Described>,
    /// Who is connected.
    pub connections: Connections,
    /// What came in over HTTP.
    pub requests: Requests,
    /// What the writer wrote.
    pub writing: Writing,
    /// What the relay sent.
    pub relay: Relay,
    /// What the repair found.
    pub index: Index,
    /// What was watched.
    pub streams: Streams,
    /// What became of spans.
    pub spans: Spans,
    /// When workers last came to the end of a round.
    pub rounds: Rounds,
    state: State,
    looked: Looked,
    process: Process,
}

impl Default for Metrics {
    fn default() -> Self {
        let maker = &Maker::default();
        maker.build_info();
        let connections = Connections::new(maker);
        let (requests, writing) = (Requests::new(maker), Writing::new(maker));
        let (relay, index) = (Relay::new(maker), Index::new(maker));
        let (streams, rounds) = (Streams::new(maker), Rounds::new(maker));
        let spans = Spans::new(maker);
        let (state, looked) = (State::new(maker), Looked::new(maker));
        let process = Process::new(maker);
        Self(Arc::new(Inner {
            registry: maker.registry.clone(),
            described: maker.described.take(),
            connections,
            requests,
            writing,
            relay,
            index,
            streams,
            spans,
            rounds,
            state,
            looked,
            process,
        }))
    }
}

impl Deref for Metrics {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Metrics {
    /// All metrics that there can be, whether they have a value now or not.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// All of it as Prometheus reads it, with what the service holds at this moment.
    pub async fn scrape(&self, app: &App, look: &Look) -> String {
        self.state.fill(app);
        self.looked.fill(&look.fresh().await);
        self.process.fill();
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(error = %error, "metrics could not be written: this is a defect");
        }
        text
    }
}
