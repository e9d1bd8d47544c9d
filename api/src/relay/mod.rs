//! The relay: announces what is in the logs to the search index, through the queue.
//!
//! Any number of replicas work beside each other. Each leases logs that have something to send,
//! reads, sends, and moves their cursors over what the queue has taken, by compare-and-set; then it
//! gives them back. A lease that has run out is anybody's. No transaction is open while something
//! is sent, and nobody who writes waits for any of this.
//!
//! Each entry is sent at least once: who sent and could not move the cursor any more has sent in
//! vain. Logs take turns, so one with millions of entries holds up nobody.

mod bell;
mod courier;
mod packing;
mod pass;
mod resend;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::TenantId;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use traces::{Kind, Span, TraceContext, Traces};
use tracing::{error, info, warn};
use uuid::Uuid;

pub use self::bell::Bell;
use self::bell::TENANTS_MAX;
use self::pass::{Done, Pass};
pub use self::resend::{ResendError, resend};
use crate::metrics::{Metrics, Worker};
use crate::queue::EntryQueue;
use crate::store::Store;
use crate::store::relay::{self as cursors, Lease};

/// How often all logs are looked through for something to send.
const SCAN_PERIOD: Duration = Duration::from_secs(5);

/// Logs that a replica has at a time.
const LOGS_MAX: usize = 100;

/// How long a lease lasts; a replica that was killed holds its logs up for so long.
const LEASE: Duration = Duration::from_secs(15);

/// How long logs with more to send are kept for another pass, unless somebody waits.
const ROUND_TIME: Duration = Duration::from_secs(2);

/// A round that the bell has called begins at the earliest so long after the one before: what comes
/// drop by drop goes in fewer messages, sends and calls of the Lambda, and an entry after a pause
/// goes at once.
const PACE: Duration = Duration::from_millis(100);

/// How soon logs are tried again that another replica has.
const TAKEN_PAUSE: Duration = Duration::from_millis(100);

/// The pause after a failure, which doubles with each further one.
const FAILURE_PAUSE: Duration = Duration::from_millis(200);

/// The longest one.
const FAILURE_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long a stop may take: a pass, with sends that are not answered.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(12);

/// See the module.
#[derive(Debug)]
pub struct Relay<Q> {
    store: Store,
    queue: Arc<Q>,
    send_bytes_max: usize,
    bell: Bell,
    replica: Uuid,
    /// Logs that may have something to send.
    waiting: HashSet<TenantId>,
    /// Logs whose entries the queue refused: they go in messages of their own.
    apart: HashSet<TenantId>,
    /// The bytes of an entry as they lately were.
    entry_bytes: usize,
    scan_at: Instant,
    /// Whether the last look did not find all there is.
    found_part: bool,
    failures: u32,
    /// Whether it was said that nothing can be sent.
    has_told: bool,
    metrics: Metrics,
    traces: Traces,
}

/// How a round went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// There was nothing to do.
    Idle,
    /// Something was sent, or nothing waits that could be.
    Done,
    /// Others have the logs that wait.
    Taken,
    /// Nothing could be sent.
    Failed,
}

impl<Q: EntryQueue> Relay<Q> {
    /// A relay of this replica. The store should be its own: it waits for no handler's connection.
    pub fn new(store: Store, queue: Arc<Q>, send_bytes_max: usize, bell: Bell) -> Self {
        Self {
            store,
            queue,
            send_bytes_max,
            bell,
            replica: Uuid::new_v4(),
            waiting: HashSet::new(),
            apart: HashSet::new(),
            entry_bytes: pass::ENTRY_BYTES_GUESS,
            scan_at: Instant::now(),
            found_part: false,
            failures: 0,
            has_told: false,
            metrics: Metrics::default(),
            traces: Traces::default(),
        }
    }

    /// Counts what it does where an operator sees it.
    #[must_use]
    pub fn counted(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Tells where its passes belong in traces.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Works until it is stopped; what it has begun is finished first.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let begun = Instant::now();
            let round = match self.round(&stop).await {
                Ok(round) => {
                    if round != Round::Failed {
                        self.metrics.rounds.ended(Worker::Relay);
                    }
                    round
                }
                Err(error) => {
                    self.tell_failure(&error);
                    Round::Failed
                }
            };
            let pause = self.pause(round);
            let bell = self.bell.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                () = bell.rings(), if round != Round::Failed => {
                    let _ = stop.run_until_cancelled(sleep_until(begun + PACE)).await;
                }
                () = sleep(pause) => {}
            }
        }
    }

    /// How long to wait, unless the bell rings.
    fn pause(&mut self, round: Round) -> Duration {
        if round == Round::Failed {
            let pause = FAILURE_PAUSE * (1 << self.failures.min(5));
            self.failures = self.failures.saturating_add(1);
            return pause.min(FAILURE_PAUSE_MAX).mul_f64(rand::random_range(0.5..1.0));
        }
        if round != Round::Taken {
            self.failures = 0;
            if std::mem::take(&mut self.has_told) {
                info!("what kept entries from being sent to the queue is over");
            }
        }
        match round {
            Round::Done if self.found_part || !self.waiting.is_empty() => Duration::ZERO,
            Round::Taken => TAKEN_PAUSE,
            _ => self.scan_at.saturating_duration_since(Instant::now()),
        }
    }

    fn tell_failure(&mut self, error: &impl std::fmt::Display) {
        if !std::mem::replace(&mut self.has_told, true) {
            error!(error = %error, "entries could not be sent to the queue; it is tried again");
        }
    }

    /// One turn for some of the logs that wait.
    async fn round(&mut self, stop: &CancellationToken) -> sqlx::Result<Round> {
        self.gather().await?;
        if self.waiting.is_empty() {
            return Ok(Round::Idle);
        }
        let waiting: Vec<TenantId> = self.waiting.iter().copied().collect();
        let logs_max = i64::try_from(LOGS_MAX).unwrap_or(i64::MAX);
        let db = &self.store.worker;
        let leases = cursors::lease(db, self.replica, &waiting, logs_max, LEASE).await?;
        for lease in &leases {
            self.waiting.remove(&lease.tenant_id);
        }
        if leases.len() < LOGS_MAX {
            self.forget_those_without().await?;
        }
        if leases.is_empty() {
            return Ok(if self.waiting.is_empty() { Round::Idle } else { Round::Taken });
        }
        self.work(leases, stop).await
    }

    /// Adds the logs that have grown, and from time to time all that are behind.
    async fn gather(&mut self) -> sqlx::Result<()> {
        self.waiting.extend(self.bell.take());
        if Instant::now() >= self.scan_at || (self.found_part && self.waiting.is_empty()) {
            let enrolled = cursors::enrol(&self.store.worker, None).await?;
            cursors::hold_expiry(&self.store.worker, true).await?;
            let behind = cursors::behind(&self.store.worker, None).await?;
            let page = usize::try_from(cursors::LOGS_MAX).unwrap_or(usize::MAX);
            self.found_part = enrolled >= page as u64 || behind.len() >= page;
            self.waiting.extend(behind);
            self.scan_at = Instant::now() + SCAN_PERIOD;
        }
        if self.waiting.len() > TENANTS_MAX {
            // The next look finds those that are left out.
            self.waiting = self.waiting.drain().take(TENANTS_MAX).collect();
        }
        Ok(())
    }

    /// Keeps of the logs that wait those that have something to send, which others have now.
    async fn forget_those_without(&mut self) -> sqlx::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let waiting: Vec<TenantId> = self.waiting.iter().copied().collect();
        cursors::enrol(&self.store.worker, Some(&waiting)).await?;
        let behind = cursors::behind(&self.store.worker, Some(&waiting)).await?;
        self.waiting = behind.into_iter().collect();
        Ok(())
    }

    /// Works on leased logs and gives them back.
    async fn work(&mut self, leases: Vec<Lease>, stop: &CancellationToken) -> sqlx::Result<Round> {
        let all: Vec<TenantId> = leases.iter().map(|lease| lease.tenant_id).collect();
        let mut unserved = Vec::new();
        let worked = self.passes(leases, stop, &mut unserved).await;
        if !unserved.is_empty() {
            cursors::release(&self.store.worker, self.replica, &unserved, false).await?;
        }
        cursors::release(&self.store.worker, self.replica, &all, true).await?;
        worked
    }

    /// Passes over logs until they have nothing left, or somebody else's turn has come.
    async fn passes(
        &mut self,
        mut leases: Vec<Lease>,
        stop: &CancellationToken,
        unserved: &mut Vec<TenantId>,
    ) -> sqlx::Result<Round> {
        let begun = Instant::now();
        loop {
            let (mut span, traced) = self.span(&leases);
            let traceparent = span.context().map(|context| context.traceparent());
            let pass = Pass::new(&self.store, Arc::clone(&self.queue), self.send_bytes_max);
            let pass = pass.traced(traceparent);
            let done = pass.run(&leases, &self.apart, begun, &mut self.entry_bytes).await;
            span.count("audit.entries.sent", usize::try_from(done.sent).unwrap_or(usize::MAX));
            if !done.troubled.is_empty() {
                span.fail("not_all_sent");
            }
            drop(span);
            self.bell.give_back(traced.into_iter().filter(|(id, _)| done.has_left(id)));
            leases = cursors::advance(&self.store.worker, self.replica, &done.moves).await?;
            leases.retain(|lease| !done.troubled.contains(&lease.tenant_id));
            self.heed(&done);
            unserved.extend(&done.unserved);
            if !done.moves.is_empty() {
                // A queue that takes a part of what it gets is not away for long.
                self.failures = 0;
            }
            if done.is_away {
                self.waiting.extend(done.troubled.iter().chain(&done.unserved));
                return Ok(Round::Failed);
            }
            let is_over = begun.elapsed() > ROUND_TIME || stop.is_cancelled();
            let others_wait = !self.waiting.is_empty() || self.bell.has_rung();
            if leases.is_empty() || is_over || others_wait {
                let more = leases.iter().map(|lease| lease.tenant_id);
                self.waiting.extend(more.chain(done.unserved));
                return Ok(Round::Done);
            }
        }
    }

    /// Of a pass over logs, where one of them was written to in a trace that is known here.
    fn span(&self, leases: &[Lease]) -> (Span, Vec<(TenantId, TraceContext)>) {
        if !self.traces.is_on() {
            return (Span::default(), Vec::new());
        }
        let traced = self.bell.take_traces(leases.iter().map(|lease| lease.tenant_id));
        let behind = traced.iter().map(|(_, context)| context.clone());
        (self.traces.follow("relay", Kind::Producer, behind), traced)
    }

    /// Sets logs apart whose entries the queue refuses, and tells what went wrong.
    fn heed(&mut self, done: &Done) {
        for moved in &done.moves {
            self.apart.remove(&moved.lease.tenant_id);
        }
        self.metrics.relay.sent(done.sent);
        self.metrics.relay.troubled(done.troubled.len());
        self.apart.extend(&done.refused);
        let Some(trouble) = &done.trouble else { return };
        if done.is_away {
            self.tell_failure(trouble);
        } else {
            let logs = done.troubled.len();
            warn!(logs, error = trouble, "some entries were not sent; they are tried again");
        }
    }
}
