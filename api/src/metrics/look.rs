//! What only the database and the queue know, asked when somebody scrapes: at most every few
//! seconds, on connections of its own, and never for long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::error::DatabaseError;
use tokio::time::timeout;

use super::made::{Known, Labelled, Maker, float};
use super::snapshots::Snapshots;
use crate::queue::{Depths, SqsQueue};
use crate::store::migrations::Profile;
use crate::store::monitoring::{self, Erasure};
use crate::store::{Store, partitions};

/// How long what the database said is told again.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// The same of the queue, which is paid for each question.
const DEPTHS_KEPT_FOR: Duration = Duration::from_mins(1);

/// How long all questions to one of them may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks; keeps what was answered for a while.
#[derive(Debug)]
pub struct Look {
    /// Its own: it takes no connection from anybody and waits for none.
    store: Store,
    profile: Profile,
    queue: Option<Arc<SqsQueue>>,
    has_index: bool,
    kept: Mutex<Kept>,
    /// Held by who asks; the others tell what is kept.
    asking: tokio::sync::Mutex<Snapshots>,
}

#[derive(Debug, Default)]
struct Kept {
    asked_at: Option<Instant>,
    depths_asked_at: Option<Instant>,
    facts: Facts,
}

/// What was answered; what was not is left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    is_up: bool,
    partitions_ahead: Option<Duration>,
    oldest_snapshot: Option<Duration>,
    totals: Option<monitoring::Totals>,
    relay: Option<monitoring::RelayBacklog>,
    erasure: Option<Erasure>,
    disk: Option<monitoring::Disk>,
    depths: Option<Depths>,
}

impl Look {
    /// Of this database; the store should have connections of its own.
    pub fn new(
        store: Store,
        profile: Profile,
        queue: Option<Arc<SqsQueue>>,
        has_index: bool,
    ) -> Self {
        let (kept, asking) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { store, profile, queue, has_index, kept, asking }
    }

    /// What is known, asked anew where that is too old and nobody is at it.
    pub(super) async fn fresh(&self) -> Facts {
        if let Ok(mut snapshots) = self.asking.try_lock() {
            let (is_old, depths_are_old) = {
                let kept = self.kept();
                let is_older = |at: Option<Instant>, than| at.is_none_or(|at| at.elapsed() >= than);
                let depths_are_old = is_older(kept.depths_asked_at, DEPTHS_KEPT_FOR);
                (is_older(kept.asked_at, KEPT_FOR), depths_are_old)
            };
            let asking = async {
                if is_old {
                    self.keep(self.ask(&mut snapshots).await);
                }
            };
            let counting = async {
                if depths_are_old {
                    self.keep_depths(self.depths().await);
                }
            };
            tokio::join!(asking, counting);
        }
        self.kept().facts.clone()
    }

    fn keep(&self, mut facts: Facts) {
        let mut kept = self.kept();
        kept.asked_at = Some(Instant::now());
        facts.depths = kept.facts.depths;
        kept.facts = facts;
    }

    fn keep_depths(&self, depths: Option<Depths>) {
        let mut kept = self.kept();
        kept.depths_asked_at = Some(Instant::now());
        kept.facts.depths = depths;
    }

    /// Question after question; the first that is not answered ends it.
    async fn ask(&self, snapshots: &mut Snapshots) -> Facts {
        let mut facts = Facts::default();
        let asked = timeout(LOOK_TIMEOUT, self.ask_all(&mut facts, snapshots)).await;
        if let Ok(Err(error)) = &asked {
            // Its text may quote values.
            let code = error.as_database_error().and_then(DatabaseError::code);
            let code = code.as_deref();
            tracing::warn!(code, "the database did not say all that metrics tell");
        }
        facts.is_up = matches!(asked, Ok(Ok(())));
        facts
    }

    async fn ask_all(&self, facts: &mut Facts, snapshots: &mut Snapshots) -> sqlx::Result<()> {
        let db = &self.store.worker;
        facts.partitions_ahead = Some(partitions::ahead(db, self.profile).await?);
        let held = monitoring::held(db).await?;
        let age = snapshots.age(Instant::now(), held.next_id, held.held_ids);
        facts.oldest_snapshot = Some(age);
        facts.totals = Some(monitoring::totals(db, self.has_index).await?);
        facts.erasure = Some(monitoring::erasure(db).await?);
        if self.queue.is_some() {
            facts.relay = Some(monitoring::relay_backlog(&self.store).await?);
        }
        // A login may be forbidden to ask for this.
        facts.disk = monitoring::disk(db).await.ok();
        Ok(())
    }

    async fn depths(&self) -> Option<Depths> {
        let asking = self.queue.as_ref()?.depths();
        timeout(LOOK_TIMEOUT, asking).await.ok()?.ok()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metrics of it.
#[derive(Debug)]
pub(super) struct Looked {
    up: Known,
    partitions_ahead: Known,
    oldest_snapshot: Known,
    tenants: Known,
    entries: Known,
    unconfirmed: Known,
    relay_logs: Known,
    relay_entries: Known,
    relay_oldest: Known,
    unerased: Labelled,
    database_bytes: Known,
    wal_retained: Known,
    queue_messages: Labelled,
    dead_messages: Known,
}

impl Looked {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            up: maker.known(
                "audit_database_up",
                "Whether PostgreSQL answered all that metrics ask, within 2 s. At 0 what it did not answer is left \
                 out: docs/runbooks/not-ready.md.",
            ),
            partitions_ahead: maker.known(
                "audit_partitions_ahead_seconds",
                "For how long from now on there are partitions for entries and keys. Below 2 days the service is \
                 not ready: docs/runbooks/partitions.md.",
            ),
            oldest_snapshot: maker.known(
                "audit_database_oldest_snapshot_seconds",
                "For how long at least somebody holds an old snapshot: dead rows stay and partitions cannot go. \
                 docs/runbooks/oldest-snapshot.md.",
            ),
            tenants: maker.known("audit_logs", "Logs, which is to say tenants."),
            entries: maker.known("audit_log_entries", "Entries of all logs that have not expired."),
            unconfirmed: maker.known(
                "audit_index_unconfirmed_entries",
                "Entries above the marks up to which the index was counted: searches read them from the log. For \
                 long above 0: docs/runbooks/index-incomplete.md.",
            ),
            relay_logs: maker.known(
                "audit_relay_lagging_logs",
                "Logs with entries that were not sent to the queue yet.",
            ),
            relay_entries: maker.known(
                "audit_relay_backlog_entries",
                "Entries that were not sent to the queue yet, over all logs.",
            ),
            relay_oldest: maker.known(
                "audit_relay_oldest_unsent_seconds",
                "Age of the oldest entry that was not sent yet, among the logs that ended longest ago and those with \
                 most to send. docs/runbooks/relay-stuck.md.",
            ),
            unerased: maker.labelled(
                "audit_expiry_oldest_unerased_seconds",
                "How long ago the oldest range expired whose rows are still there, by rule; those of retention wait \
                 for their partition. docs/runbooks/expiry-behind.md.",
                &["rule"],
            ),
            database_bytes: maker
                .known("audit_database_bytes", "Size of the database on its disk, WAL aside."),
            wal_retained: maker.known(
                "audit_database_wal_retained_bytes",
                "WAL that PostgreSQL keeps for the replication slot that is furthest behind. docs/runbooks/disk.md.",
            ),
            queue_messages: maker.labelled(
                "audit_queue_messages",
                "Messages in the queue, about: waiting, and taken but not done. Waiting ones that rise: the Lambda is \
                 slower than the log.",
                &["state"],
            ),
            dead_messages: maker.known(
                "audit_queue_dead_messages",
                "Messages in the dead-letter queue, about; left out where it cannot be asked. \
                 docs/runbooks/dead-letters.md.",
            ),
        }
    }

    pub(super) fn fill(&self, facts: &Facts) {
        self.up.set(Some(f64::from(u8::from(facts.is_up))));
        self.partitions_ahead.set(seconds(facts.partitions_ahead));
        self.oldest_snapshot.set(seconds(facts.oldest_snapshot));
        let totals = facts.totals.as_ref();
        self.tenants.set(totals.map(|totals| float(totals.logs)));
        self.entries.set(totals.map(|totals| float(totals.entries)));
        self.unconfirmed.set(totals.and_then(|totals| totals.unconfirmed).map(float));
        let relay = facts.relay.as_ref();
        self.relay_logs.set(relay.map(|relay| float(relay.logs)));
        self.relay_entries.set(relay.map(|relay| float(relay.entries)));
        self.relay_oldest.set(relay.map(|relay| relay.oldest.as_secs_f64()));
        let erasure = facts.erasure.as_ref();
        self.unerased.set("cleanup", erasure.map(|erasure| erasure.cleanup_s));
        self.unerased.set("retention", erasure.map(|erasure| erasure.retention_s));
        let disk = facts.disk.as_ref();
        self.database_bytes.set(disk.map(|disk| float(disk.database_bytes)));
        self.wal_retained.set(disk.map(|disk| float(disk.wal_retained_bytes)));
        self.fill_depths(facts.depths);
    }

    fn fill_depths(&self, depths: Option<Depths>) {
        let number = |n: u64| float(i64::try_from(n).unwrap_or(i64::MAX));
        self.queue_messages.set("waiting", depths.map(|depths| number(depths.waiting)));
        self.queue_messages.set("taken", depths.map(|depths| number(depths.taken)));
        self.dead_messages.set(depths.and_then(|depths| depths.dead).map(number));
    }
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}
