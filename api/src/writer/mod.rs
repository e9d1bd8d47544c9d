//! The log writer: one task that takes what is waiting, writes it in one transaction and answers.
//!
//! Batches make themselves: while one commits, the next gathers. There is no timer. An answer
//! is given after COMMIT and never before; when it cannot be known whether a batch committed,
//! the writer's mark tells (see `Writer::settle`).

pub(crate) mod fault;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use domain::{NewEntry, TenantId, Timestamp};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use thiserror::Error;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use traces::{Kind, Span, Traces};
use tracing::{error, info, warn};
use uuid::Uuid;

pub(crate) use self::fault::Fault;
use self::queue::{Batch, Pending, Queue};
use crate::admission::Permit;
use crate::metrics::Metrics;
use crate::relay::Bell;
use crate::store::append::{self, CallId, Outcome, RequestRow, Written};
use crate::store::{self, DbRole, marks};
use crate::streaming::Streams;

/// How long one call of `append` may take. Longer than the session's `statement_timeout`, so that
/// held heads are told by the database; short enough that other tenants go on within seconds.
const CALL_TIMEOUT: Duration = Duration::from_millis(2_400);

/// How long after a call its session is used again without asking whether it still lives. What
/// is sent into a dead one has to be settled; a question has not.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// A batch of more than that leaves a buffer behind in the session which is not worth keeping.
const SESSION_BYTES_MAX: usize = 1 << 20;

/// How long a session may take to say that it lives.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a tenant's next request may wait to be written; after that no more are let in. Longer
/// than a call takes, so that one without an answer turns nobody away; and short enough for all
/// that waits to be written within 5 s after an overload.
const WAITING_MAX: Duration = Duration::from_millis(2_500);

/// How long a lost answer is looked for before it is called unknown.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(2_500);

/// One tenant's entries, to be written whole or not at all.
#[derive(Debug)]
pub struct Request {
    /// Whose log.
    pub tenant_id: TenantId,
    /// The version of the tenant's settings that the entries were checked under.
    pub settings_version: i32,
    /// The principal.
    pub recorded_by: String,
    /// What makes a repetition known.
    pub key: Option<Key>,
    /// What a partial request refused, as JSON, for the replay.
    pub refused: Option<String>,
    /// Checked; at least one.
    pub entries: Vec<NewEntry>,
}

/// An idempotency key and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// As the client sent it.
    pub text: String,
    /// Over everything that makes a request the same.
    pub fingerprint: [u8; 32],
}

/// A request that is in the log now, or was before.
#[derive(Debug)]
pub struct Appended {
    /// Where the entries stand.
    pub written: Written,
    /// How many there are.
    pub count: usize,
    /// What was refused of a partial request, as JSON.
    pub refused: Option<String>,
    /// The entries, given back; `None` when an earlier request with the same key wrote them.
    pub entries: Option<Vec<NewEntry>>,
}

/// Why a request is not in the log, or not known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The key stood for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Somebody holds the end of this log.
    #[error("the log is held by somebody else")]
    LogBusy,
    /// A clock is wrong, and a wrong time would stay in the log for ever.
    #[error("the clocks are too far apart")]
    ClockSkew,
    /// Check again under the new settings.
    #[error("the tenant's settings have changed")]
    SettingsChanged,
    /// There is no such tenant.
    #[error("there is no such tenant")]
    UnknownTenant,
    /// A named rule of the table refused it, although our check did not.
    #[error("the database refused the entry")]
    Refused,
    /// Nothing was written.
    #[error("the database is not available")]
    Unavailable,
    /// It may have been written, or not.
    #[error("the outcome is not known")]
    OutcomeUnknown,
    /// The service stops; nothing was written.
    #[error("the service is stopping")]
    Stopping,
}

/// Where handlers put what is to be written.
#[derive(Debug, Clone)]
pub struct LogWriter {
    queue: Arc<Queue>,
}

impl LogWriter {
    /// Starts the writer. The task ends when [`stop`](Self::stop) was called and all is written.
    pub fn start(
        options: PgConnectOptions,
        worker: PgConnectOptions,
        upkeep: Arc<Notify>,
        bell: Bell,
        streams: Streams,
        metrics: Metrics,
        traces: Traces,
    ) -> (Self, JoinHandle<()>) {
        let queue = Arc::new(Queue::default());
        let writer = Writer {
            queue: Arc::clone(&queue),
            options,
            worker,
            upkeep,
            bell,
            streams,
            metrics,
            traces,
            session: None,
            sessions: 0,
            used_at: Instant::now(),
            call: CallId { replica: Uuid::nil(), epoch: 0, batch: 0 },
        };
        (Self { queue }, tokio::spawn(writer.run()))
    }

    /// Whether this tenant's requests wait for so long that more of them would only wait longer.
    pub fn is_behind(&self, tenant_id: TenantId) -> bool {
        self.queue.waits_since(tenant_id).is_some_and(|since| since.elapsed() > WAITING_MAX)
    }

    /// Writes a request; `Ok` means that it is committed.
    pub async fn append(
        &self,
        request: Request,
        permit: Arc<Permit>,
    ) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        if !self.queue.push(Pending::new(request, reply, permit)) {
            return Err(AppendError::Stopping);
        }
        // The writer answers everything it takes; a lost reply is a defect of ours, not a "no".
        answer.await.unwrap_or(Err(AppendError::OutcomeUnknown))
    }

    /// How many requests wait to be taken.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Refuses what comes from now on; what is queued is still written.
    pub fn stop(&self) {
        self.queue.close();
    }
}

struct Writer {
    queue: Arc<Queue>,
    options: PgConnectOptions,
    /// For the mark.
    worker: PgConnectOptions,
    /// Called when a partition is missing.
    upkeep: Arc<Notify>,
    /// Rung when logs have grown.
    bell: Bell,
    /// The same for those who watch.
    streams: Streams,
    metrics: Metrics,
    traces: Traces,
    session: Option<PgConnection>,
    /// How many there have been.
    sessions: u64,
    /// When the session last answered.
    used_at: Instant,
    call: CallId,
}

/// What a call of `append` came to.
type Called = Result<Vec<Outcome>, Fault>;

impl Writer {
    async fn run(mut self) {
        while let Some(batch) = self.queue.take().await {
            self.write(batch).await;
        }
        if let Some(session) = self.session.take() {
            let _ = session.close().await;
        }
        info!("all queued entries are written");
    }

    /// Writes a batch, in halves where one of its requests is at fault, and answers all of it.
    async fn write(&mut self, batch: Batch) {
        let mut parts = vec![batch];
        while let Some(batch) = parts.pop() {
            let started = Instant::now();
            let mut span = self.span(&batch);
            let called = self.call(&batch, batch.skip_held).await;
            if let Err(fault) = &called {
                self.metrics.writing.failed(*fault);
                span.fail(fault.as_str());
            } else {
                self.bell.trace(batch.traced(), span.context());
            }
            drop(span);
            match called {
                Ok(outcomes) => self.answer(batch, outcomes),
                Err(Fault::Refused) if batch.requests.len() > 1 => parts.extend(batch.halve()),
                Err(Fault::HeadHeld | Fault::TookLong) if !batch.skip_held => {
                    parts.push(Batch { skip_held: true, ..batch });
                }
                Err(Fault::Lost) => parts.extend(self.settle_batch(batch).await),
                Err(fault) => {
                    if fault == Fault::NoPartition {
                        self.upkeep.notify_one();
                    }
                    batch.fail(fault.answer());
                }
            }
            let took = started.elapsed();
            if took > Duration::from_secs(1) {
                warn!(duration_ms = milliseconds(took), "a batch took long");
            }
        }
    }

    /// Answers a batch whose answer was lost, or gives it back, once, if it has not committed.
    async fn settle_batch(&mut self, batch: Batch) -> Option<Batch> {
        match self.settle().await {
            Settled::Committed(outcomes) if outcomes.len() == batch.requests.len() => {
                self.bell.ring(batch.tenants());
                self.streams.ring(batch.tenants());
                self.count(&batch, outcomes.iter().map(Option::as_ref));
                for (pending, outcome) in batch.requests.into_iter().zip(outcomes) {
                    pending.answer(outcome);
                }
            }
            Settled::Committed(_) | Settled::Unknown => batch.fail(AppendError::OutcomeUnknown),
            Settled::NotCommitted if !batch.is_second_try => {
                return Some(Batch { is_second_try: true, ..batch });
            }
            Settled::NotCommitted => batch.fail(AppendError::Unavailable),
        }
        None
    }

    fn answer(&self, batch: Batch, outcomes: Vec<Outcome>) {
        self.bell.ring(batch.tenants());
        self.streams.hand(self.sessions, batch.fresh(&outcomes));
        self.count(&batch, outcomes.iter().map(Some));
        for (pending, outcome) in batch.requests.into_iter().zip(outcomes) {
            let tenant_id = pending.request.tenant_id;
            match outcome {
                Outcome::HeadHeld => self.queue.set_apart(tenant_id),
                _ if batch.skip_held => self.queue.take_back(tenant_id),
                _ => {}
            }
            pending.answer(Some(outcome));
        }
    }

    /// Of a call for a batch, where one of its requests is traced.
    fn span(&self, batch: &Batch) -> Span {
        let mut span = self.traces.follow("append", Kind::Internal, batch.traces());
        span.count("audit.batch.requests", batch.requests.len());
        span.count("audit.batch.entries", batch.entries());
        span
    }

    /// Counts what is in the log now.
    fn count<'o>(&self, batch: &Batch, outcomes: impl Iterator<Item = Option<&'o Outcome>>) {
        let written = batch
            .requests
            .iter()
            .zip(outcomes)
            .filter(|(_, outcome)| matches!(outcome, Some(Outcome::Written(_))));
        let entries = written.map(|(pending, _)| pending.request.entries.len()).sum();
        self.metrics.writing.committed(entries);
    }

    /// One call of `append`, connecting first where need be.
    async fn call(&mut self, batch: &Batch, skip_held: bool) -> Called {
        let mut session = self.session().await?;
        self.call.batch += 1;
        let rows: Vec<RequestRow<'_>> = batch.requests.iter().map(Pending::row).collect();
        let calling = append::append(&mut session, self.call, Timestamp::now(), skip_held, &rows);
        let begun = Instant::now();
        let called = timeout(CALL_TIMEOUT, calling).await;
        self.metrics.writing.called(batch.entries(), batch.bytes(), begun.elapsed());
        self.used_at = Instant::now();
        if batch.bytes() > SESSION_BYTES_MAX {
            session.shrink_buffers();
        }
        match called {
            Ok(Ok(outcomes)) => {
                self.session = Some(session);
                Ok(outcomes)
            }
            Ok(Err(error)) => {
                let fault = Fault::of(&error);
                fault.log(&error);
                if fault.leaves_session_whole() {
                    self.session = Some(session);
                }
                Err(fault)
            }
            // Dropping the session closes its socket and waits for nothing.
            Err(_) => {
                warn!(timeout_ms = milliseconds(CALL_TIMEOUT), "no answer to a batch");
                Err(Fault::Lost)
            }
        }
    }

    /// The last session where it still lives, else a new one.
    async fn session(&mut self) -> Result<PgConnection, Fault> {
        if let Some(mut session) = self.session.take() {
            let trusted = self.used_at.elapsed() < TRUSTED_FOR;
            if trusted || matches!(timeout(PING_TIMEOUT, session.ping()).await, Ok(Ok(()))) {
                return Ok(session);
            }
        }
        self.connect().await
    }

    /// A session of the writer's role, with a mark that is ours.
    async fn connect(&mut self) -> Result<PgConnection, Fault> {
        let session = store::connect(&self.options, DbRole::Writer).await;
        let session = session.map_err(|error| Fault::unreachable(&error))?;
        self.sessions += 1;
        if self.call.epoch == 0 {
            let replica = Uuid::new_v4();
            timeout(SETTLE_TIMEOUT, self.as_worker(async |db| marks::open(db, replica).await))
                .await
                .unwrap_or(Err(sqlx::Error::PoolTimedOut))
                .map_err(|error| Fault::unreachable(&error))?;
            self.call = CallId { replica, epoch: 1, batch: 0 };
        }
        Ok(session)
    }

    /// On a connection of its own: those of a pool may be as dead as ours was.
    async fn as_worker<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        let mut worker = store::connect(&self.worker, DbRole::Worker).await?;
        work(&mut worker).await
    }

    /// Finds out whether the last call committed, and shuts it out if it has not.
    ///
    /// Where that takes too long, because a frozen session sits on the mark, the writer goes on
    /// under a new name: the old call may still commit, so its outcome is unknown.
    async fn settle(&mut self) -> Settled {
        self.session = None;
        let (replica, batch) = (self.call.replica, self.call.batch);
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let settling = self.as_worker(async |db| marks::settle(db, replica).await);
            match tokio::time::timeout_at(deadline, settling).await {
                Ok(Ok(Some(mark))) => {
                    self.call.epoch = mark.epoch;
                    let committed = mark.batch == batch;
                    info!(committed, "a lost answer is settled");
                    return if committed {
                        Settled::Committed(mark.outcomes)
                    } else {
                        Settled::NotCommitted
                    };
                }
                Ok(Err(error)) if Instant::now() < deadline && fault::is_outage(&error) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                // Upkeep removed the mark of a long silence, so nothing of ours came after it,
                // and nothing can come: the call needs the mark.
                Ok(Ok(None)) => {
                    self.call.epoch = 0;
                    return Settled::NotCommitted;
                }
                // No answer in time, or an error that trying again does not mend.
                Ok(Err(_)) | Err(_) => break,
            }
        }
        error!(writer.replica = %replica, "a lost answer cannot be settled");
        self.call.epoch = 0;
        Settled::Unknown
    }
}

/// What became of a call whose answer was lost.
enum Settled {
    Committed(Vec<Option<Outcome>>),
    NotCommitted,
    Unknown,
}

/// For the log, whose lines have numbers of 64 bits.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
