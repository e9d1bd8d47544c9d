//! What every handler can reach.

use std::ops::Deref;
use std::sync::Arc;

use traces::Traces;

use crate::admission::Admission;
use crate::export::slots::Exports;
use crate::identity::Authenticator;
use crate::metrics::Metrics;
use crate::rates::Rates;
use crate::reads::Reads;
use crate::retention::Retention;
use crate::searching::Searches;
use crate::store::Store;
use crate::store::migrations::Profile;
use crate::streaming::Streams;
use crate::tenants::Tenants;
use crate::writer::LogWriter;

/// Shared by all requests; cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

/// The parts of a running service.
#[derive(Debug)]
pub struct Parts {
    /// The way into a log.
    pub writer: LogWriter,
    /// The way to read one.
    pub store: Store,
    /// What keeps the log.
    pub profile: Profile,
    /// Who is calling.
    pub authenticator: Authenticator,
    /// Whose log.
    pub tenants: Tenants,
    /// How much at a time.
    pub admission: Arc<Admission>,
    /// How often.
    pub rates: Rates,
    /// What every tenant's retention is bound by.
    pub retention: Retention,
    /// How many exports at a time.
    pub exports: Exports,
    /// What of the log is found by words.
    pub searches: Searches,
    /// Who has read what.
    pub reads: Reads,
    /// Who watches logs as they grow.
    pub streams: Streams,
    /// What an operator sees of it.
    pub metrics: Metrics,
    /// Where spans go.
    pub traces: Traces,
}

impl App {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
