//! The one replica that compares all logs with the index, and has mended what differs.

use std::time::Duration;

use domain::TenantId;
use search::Among;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::bisect::{self, Range, Suspects};
use super::closer::Closer;
use super::mender::{Mended, Mender, Resend, numbers};
use super::watch::Watch;
use super::{RepairError, months, strangers};
use crate::config::RepairArgs;
use crate::metrics::{Metrics, Seen, Worker};
use crate::store::index_marks::{self, MARKS_MAX};
use crate::store::indexing::{self, LOGS_MAX, Log};
use crate::store::{self, DbRole};

/// Logs that are counted at once.
const LOGS_COUNTED_MAX: usize = 32;

/// Entries that a round mends at most.
const ENTRIES_MAX: i64 = 50_000;

/// Entries of one log that a round mends at most, so that another one gets its turn.
const LOG_ENTRIES_MAX: i64 = 10_000;

/// How long counting may take.
const COUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// How soon a round follows one that has left work behind.
const PERIOD_SHORT: Duration = Duration::from_secs(2);

/// What a worker needs; [`Repair::run`] makes it work.
#[derive(Debug)]
pub struct Repair<R> {
    /// Does what is found to be needed.
    mender: Mender<R>,
    /// How often logs are compared that have grown.
    period: Duration,
    /// How often all are.
    full_period: Duration,
    metrics: Metrics,
}

/// What is kept between rounds.
#[derive(Debug)]
struct State {
    /// Holds the lock that keeps replicas apart.
    session: Option<PgConnection>,
    watch: Watch,
    closer: Closer,
    full_at: Instant,
    is_failing: bool,
}

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Done {
    mended: Mended,
    expired: u64,
    indices: u64,
    /// Whether there is more than a round does.
    more: bool,
    /// Whether there are more documents that have expired than a round deletes.
    expired_left: bool,
    seen: Seen,
}

/// Documents of a log, and how many there should be.
#[derive(Debug, Clone, Copy)]
struct Question {
    log: Log,
    about: About,
    range: Range,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Entries that must have arrived.
    Settled,
    /// What has expired.
    Expired,
    /// What was never there, or was undone.
    Beyond,
}

impl<R: Resend> Repair<R> {
    /// What compares and mends at these times.
    pub fn new(mender: Mender<R>, times: RepairArgs) -> Self {
        Self {
            mender,
            period: Duration::from_secs(times.repair_period_s),
            full_period: Duration::from_secs(times.repair_full_period_s),
            metrics: Metrics::default(),
        }
    }

    /// Counts what it finds where an operator sees it.
    #[must_use]
    pub fn counted(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Works until it is stopped.
    pub async fn run(self, stop: CancellationToken) {
        let full_at = Instant::now();
        let mut state = State {
            session: None,
            watch: Watch::default(),
            closer: Closer::default(),
            full_at,
            is_failing: false,
        };
        loop {
            let pause = match stop.run_until_cancelled(self.turn(&mut state)).await {
                None => break,
                Some(Ok(done)) => {
                    state.is_failing = false;
                    self.metrics.rounds.ended(Worker::Repair);
                    if done.more { PERIOD_SHORT.min(self.period) } else { self.period }
                }
                Some(Err(error)) => {
                    tell(&mut state, &error);
                    self.period
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
            }
        }
        if let Some(session) = state.session {
            let _ = timeout(Duration::from_secs(1), session.close()).await;
        }
    }

    /// A round, if no other replica is at it.
    async fn turn(&self, state: &mut State) -> Result<Done, RepairError> {
        if !self.is_ours(state).await? {
            self.metrics.index.seen(None);
            return Ok(Done::default());
        }
        let is_full = Instant::now() >= state.full_at;
        let done = self.round(state, is_full).await?;
        if is_full {
            let period = if done.expired_left { self.period } else { self.full_period };
            state.full_at = Instant::now() + period;
        }
        self.metrics.index.seen(Some(done.seen));
        self.metrics
            .index
            .mended(done.mended.entries.unsigned_abs(), done.mended.deleted + done.expired);
        if done.mended != Mended::default() || done.expired + done.indices > 0 {
            info!(
                entries.mended = done.mended.entries,
                documents.deleted = done.mended.deleted,
                documents.expired = done.expired,
                indices.deleted = done.indices,
                "the index was mended"
            );
        }
        Ok(done)
    }

    /// Whether this replica has the lock. It keeps it as long as its session lives: what it
    /// remembers of the logs is worth more than taking turns.
    async fn is_ours(&self, state: &mut State) -> Result<bool, RepairError> {
        if let Some(mut session) = state.session.take() {
            // Also shows whether the session is still there.
            if matches!(indexing::take_repair(&mut session).await, Ok(true)) {
                state.session = Some(session);
                return Ok(true);
            }
        }
        let mut session = store::connect(&self.mender.store.worker_options, DbRole::Worker).await?;
        if !indexing::take_repair(&mut session).await? {
            let _ = timeout(Duration::from_secs(1), session.close()).await;
            return Ok(false);
        }
        state.session = Some(session);
        state.watch = Watch::default();
        state.full_at = Instant::now();
        Ok(true)
    }

    async fn round(&self, state: &mut State, is_full: bool) -> Result<Done, RepairError> {
        let Some(session) = &mut state.session else { return Ok(Done::default()) };
        let watch = &mut state.watch;
        let mut done = Done::default();
        if is_full {
            // Before anything is deleted there.
            self.mender.index.claim().await?;
            watch.begin_anew();
            done.indices = months::keep_order(session, &self.mender.index).await?;
        }
        let backlog = self.mender.backlog().await;
        let mut after = None;
        loop {
            let logs = indexing::logs(&mut *session, after).await?;
            let now = Instant::now();
            for log in &logs {
                let sent_seq = self.mender.sent_seq(log);
                watch.note(log, sent_seq.unwrap_or_default(), now, backlog);
                if sent_seq.is_none() {
                    watch.settle(log);
                }
            }
            for logs in logs.chunks(LOGS_COUNTED_MAX) {
                self.compare(logs, is_full, watch, &mut done).await?;
            }
            move_marks(session, watch).await?;
            after = logs.last().map(|log| log.tenant_id);
            if i64::try_from(logs.len()).unwrap_or(LOGS_MAX) < LOGS_MAX {
                break;
            }
        }
        if is_full {
            self.look_closer(state, &mut done).await?;
            self.look_for_strangers().await?;
        }
        Ok(done)
    }

    /// See [`Closer`].
    async fn look_closer(&self, state: &mut State, done: &mut Done) -> Result<(), RepairError> {
        let Some(session) = &mut state.session else { return Ok(()) };
        let mended = state.closer.look(session, &self.mender, &mut state.watch).await?;
        move_marks(session, &mut state.watch).await?;
        done.mended.entries += mended.entries;
        done.mended.deleted += mended.deleted;
        Ok(())
    }

    /// Says how many documents there are of tenants that there are not. They are left alone: a
    /// prefix may still be shared with an older version that does not say whose its indices are.
    async fn look_for_strangers(&self) -> Result<(), RepairError> {
        let Mender { store, index, .. } = &self.mender;
        let strangers = strangers::find(&store.worker, index).await?;
        if !strangers.is_empty() {
            let documents: u64 = strangers.iter().map(|stranger| stranger.documents).sum();
            warn!(
                tenants = strangers.len(),
                documents, "the index has documents of unknown tenants: see audit-log verify-index"
            );
        }
        Ok(())
    }

    /// Counts what is to be compared of some logs, and has mended what is wrong.
    async fn compare(
        &self,
        logs: &[Log],
        is_full: bool,
        watch: &mut Watch,
        done: &mut Done,
    ) -> Result<(), RepairError> {
        let questions: Vec<Question> =
            logs.iter().flat_map(|log| questions(log, is_full, watch)).collect();
        if questions.is_empty() {
            return Ok(());
        }
        let ranges: Vec<_> =
            questions.iter().map(|asked| numbers(asked.log.tenant_id, asked.range)).collect();
        let counts = self.mender.index.count(&ranges, Among::Searched, COUNT_TIMEOUT).await?;
        for (question, count) in questions.into_iter().zip(counts) {
            match self.answer(question, count, watch, done).await {
                // One log's trouble is its own.
                Err(RepairError::Store(sqlx::Error::Database(_)) | RepairError::Moved) => {
                    warn!(tenant.id = %question.log.tenant_id, "a log could not be compared");
                }
                answered => answered?,
            }
        }
        Ok(())
    }

    /// What follows from a count.
    async fn answer(
        &self,
        question: Question,
        count: u64,
        watch: &mut Watch,
        done: &mut Done,
    ) -> Result<(), RepairError> {
        let Question { log, about, range } = question;
        if about == About::Settled {
            done.seen.note(range, count);
        }
        match about {
            About::Settled if bisect::is_right(range, count) => {
                watch.held(log.tenant_id, range);
                watch.looked_at(log.tenant_id, range.1 + 1);
            }
            About::Settled => self.mend(log.tenant_id, range, watch, done).await?,
            About::Expired | About::Beyond if count == 0 => {}
            About::Expired => {
                let (deleted, left) = self.mender.delete_expired(&log).await?;
                done.expired += deleted;
                done.expired_left |= left;
            }
            // Entries since we looked at the log are there rightly.
            About::Beyond => {
                done.mended.deleted += self.mender.delete_foreign(log.tenant_id, range).await?;
            }
        }
        Ok(())
    }

    /// Has the wrong parts of a range mended, as far as this round's entries reach.
    async fn mend(
        &self,
        tenant_id: TenantId,
        range: Range,
        watch: &mut Watch,
        done: &mut Done,
    ) -> Result<(), RepairError> {
        let room = (ENTRIES_MAX - done.mended.entries).min(LOG_ENTRIES_MAX);
        if room <= 0 {
            done.more = true;
            return Ok(());
        }
        let index = &self.mender.index;
        let count = |ranges: Vec<Range>| async move { index.counts(tenant_id, &ranges).await };
        let Suspects { found, next_seq } = bisect::suspects(range, room, count).await?;
        if let Some(lowest) = found.first() {
            watch.broken(tenant_id, range.0, lowest.range.0);
        }
        for suspect in found {
            // Before it is done: what was sent and not noted would be sent again at once.
            watch.mended(tenant_id, suspect.range.0, Instant::now());
            let mended = self.mender.mend(tenant_id, suspect).await?;
            watch.looked_at(tenant_id, suspect.range.1 + 1);
            done.mended.entries += mended.entries;
            done.mended.deleted += mended.deleted;
        }
        watch.looked_at(tenant_id, next_seq.unwrap_or(range.1 + 1));
        done.more |= next_seq.is_some();
        Ok(())
    }
}

/// Writes down how far the index holds the logs that were looked at.
async fn move_marks(session: &mut PgConnection, watch: &mut Watch) -> sqlx::Result<()> {
    for looked in watch.take_seen().chunks(MARKS_MAX) {
        index_marks::follow(&mut *session, looked).await?;
    }
    Ok(())
}

/// Says so once, not every minute; who is away is told of elsewhere.
fn tell(state: &mut State, error: &RepairError) {
    if !state.is_failing {
        error!(
            error = %error,
            cause = std::error::Error::source(error).map(tracing::field::display),
            "the index could not be compared with the log; it will be tried again"
        );
    }
    state.is_failing = true;
}

/// What to count of a log.
fn questions(log: &Log, is_full: bool, watch: &Watch) -> Vec<Question> {
    let log = *log;
    let ask = |about, range| Question { log, about, range };
    let mut questions: Vec<Question> =
        watch.range(&log).map(|range| ask(About::Settled, range)).into_iter().collect();
    if is_full {
        questions.push(ask(About::Expired, (i64::MIN, log.floor_seq - 1)));
        questions.push(ask(About::Beyond, (log.head_seq + 1, i64::MAX)));
    }
    questions
}
