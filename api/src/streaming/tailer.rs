//! The one reader of watched logs: what is new goes into their rings.
//!
//! The writer of this replica rings where it cannot hand over itself what it has committed
//! (`handing`); what other replicas write is found by asking for the heads of all
//! watched logs, in one question. No watched log, no question.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use domain::{KeptEntry, TenantId};
use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::feed::{Feed, Item, quiet_after};
use super::{Streams, Watched};
use crate::store::indexing::ALL;
use crate::store::streaming::{self, After};
use crate::store::{Store, bounds};

/// How often the heads of watched logs are asked for: often enough that an entry of another
/// replica comes within 300 ms, with time left to read and send it.
pub const PERIOD: Duration = Duration::from_millis(100);

/// The same when there are so many that the question takes long: it takes a tenth of the time.
const PERIOD_MAX: Duration = Duration::from_millis(200);

/// The least pause between two looks for what is to be done: what comes close together is done
/// together.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// Logs that are read at the same moment; a connection each.
pub const CONNECTIONS: u32 = 2;

/// Entries and bytes of frames that one read takes.
const ENTRIES_MAX: i64 = 512;
const BYTES_MAX: usize = 4 << 20;

/// How long the database is left alone after it failed.
const FAILURE_PAUSE: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub struct Tailer {
    /// Connections of its own: it waits for no handler, and takes none from them.
    pub store: Store,
    /// For whom.
    pub streams: Streams,
}

impl Tailer {
    /// Reads until it is stopped.
    pub async fn run(self, stop: CancellationToken) {
        let this = &self;
        let mut ask_at = Instant::now();
        while stop.run_until_cancelled(self.streams.wait(ask_at)).await.is_some() {
            let is_last = self.streams.is_stopping() && !self.streams.0.drained.is_cancelled();
            let asked_at = Instant::now();
            if is_last || asked_at >= ask_at {
                let Some(asked) = stop.run_until_cancelled(self.ask()).await else { return };
                self.rest_after(asked).await;
                ask_at = asked_at + (asked_at.elapsed() * 10).clamp(PERIOD, PERIOD_MAX);
                self.streams.forget_old();
            }
            let reading = stream::iter(self.streams.take_marked())
                .map(|(feed, marks)| this.serve(feed, marks))
                .buffer_unordered(CONNECTIONS as usize)
                .fold(Ok(0), |all: sqlx::Result<u64>, one| async move { Ok(all? + one?) });
            let Some(served) = stop.run_until_cancelled(reading).await else { return };
            let entries = *served.as_ref().unwrap_or(&0);
            self.rest_after(served).await;
            if is_last && !self.streams.is_marked() {
                self.streams.0.drained.cancel();
            }
            tokio::time::sleep(quiet_after(entries).max(PAUSE_MIN)).await;
        }
    }

    async fn rest_after<T>(&self, done: sqlx::Result<T>) {
        if let Err(error) = done {
            warn!(error = %error, "watched logs cannot be read; streams wait");
            tokio::time::sleep(FAILURE_PAUSE).await;
        }
    }

    /// Marks the logs that have grown, or are not what they were.
    async fn ask(&self) -> sqlx::Result<()> {
        let watched = self.streams.watched();
        if watched.is_empty() {
            return Ok(());
        }
        let tenants: Vec<TenantId> = watched.iter().map(|(tenant_id, _)| *tenant_id).collect();
        let heads = streaming::heads(&self.store.worker, &tenants).await?;
        self.streams.note_asked();
        self.streams.mark_moved(&heads);
        Ok(())
    }

    /// Does what is marked; how many entries that is about.
    async fn serve(&self, feed: Arc<Feed>, marks: u8) -> sqlx::Result<u64> {
        let told = if marks & Watched::TELL == 0 { 0 } else { feed.tell() };
        let read = if marks & Watched::READ == 0 { Ok(0) } else { self.read(feed).await };
        read.map(|read| told + read)
    }

    /// Reads what is new in one log; how many entries that is, or none when there are more, which
    /// are read without a rest.
    async fn read(&self, feed: Arc<Feed>) -> sqlx::Result<u64> {
        let read = self.read_piece(&feed).await;
        if !matches!(read, Ok((_, true))) {
            self.streams.mark(feed.tenant_id, Watched::READ);
        }
        read.map(|(entries, is_all)| if is_all { entries } else { 0 })
    }

    /// So many entries, and whether those are all.
    async fn read_piece(&self, feed: &Feed) -> sqlx::Result<(u64, bool)> {
        let (tenant_id, after) = (feed.tenant_id, feed.end());
        let reading = self.store.read(tenant_id, async |db| {
            let (mut items, mut bytes) = (Vec::new(), 0);
            let read = streaming::read(&mut *db, tenant_id, &ALL, after, ENTRIES_MAX, |entry| {
                if bytes >= BYTES_MAX {
                    return ControlFlow::Break(());
                }
                let item = Item::new(KeptEntry::of(entry));
                bytes += item.bytes();
                items.push(item);
                ControlFlow::Continue(())
            });
            match read.await? {
                Ok(piece) => Ok(Ok((items, piece))),
                Err(_) => Ok(Err(bounds::get(db, tenant_id).await?)),
            }
        });
        match reading.await? {
            Ok((items, piece)) => {
                let entries = items.len() as u64;
                // What the writer has handed over meanwhile stands: the rest comes after that.
                let pushed =
                    entries == 0 || feed.push(after, items, piece.to, piece.bounds.floor_seq);
                Ok((entries, pushed && piece.to == piece.bounds.head))
            }
            // Expired or undone: everybody looks where they stand.
            Err(bounds) => {
                feed.reset(bounds.head, bounds.floor_seq);
                Ok((0, true))
            }
        }
    }
}

impl Streams {
    /// Done when there is something to read, or heads are to be asked for.
    async fn wait(&self, ask_at: Instant) {
        let is_watching = !self.feeds().is_empty();
        let grown = self.0.grown.notified();
        if !is_watching {
            return grown.await;
        }
        tokio::select! {
            () = grown => {}
            () = tokio::time::sleep_until(ask_at.into()) => {}
        }
    }

    fn watched(&self) -> Vec<(TenantId, After)> {
        let feeds = self.feeds();
        feeds.iter().map(|(tenant_id, watched)| (*tenant_id, watched.feed.end())).collect()
    }

    fn mark_moved(&self, heads: &[(TenantId, After)]) {
        let feeds = self.feeds();
        for (tenant_id, head) in heads {
            let Some(watched) = feeds.get(tenant_id) else { continue };
            if watched.feed.end() != *head {
                watched.marks.fetch_or(Watched::READ, Ordering::Relaxed);
            }
        }
    }

    /// Leaves something to the tailer.
    pub(super) fn mark(&self, tenant_id: TenantId, mark: u8) {
        if let Some(watched) = self.feeds().get(&tenant_id) {
            watched.marks.fetch_or(mark, Ordering::Relaxed);
        }
        self.0.grown.notify_one();
    }

    fn is_marked(&self) -> bool {
        self.feeds().values().any(|watched| watched.marks.load(Ordering::Relaxed) != 0)
    }

    fn take_marked(&self) -> Vec<(Arc<Feed>, u8)> {
        let feeds = self.feeds();
        let marks = feeds.values().map(|watched| watched.marks.swap(0, Ordering::Relaxed));
        let marked = feeds.values().zip(marks).filter(|(_, marks)| *marks != 0);
        marked.map(|(watched, marks)| (Arc::clone(&watched.feed), marks)).collect()
    }

    fn forget_old(&self) {
        let now = Instant::now();
        for watched in self.feeds().values() {
            watched.feed.forget_old(now);
        }
    }
}
