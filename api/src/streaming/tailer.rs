//! The one reader of watched logs: what is new goes into their rings.
//!
//! The writer of this replica rings; what other replicas write is found by asking for the heads of
//! all watched logs, in one question. No watched log, no question.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use domain::{KeptEntry, TenantId};
use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Streams;
use super::feed::{Feed, Item};
use crate::store::indexing::ALL;
use crate::store::streaming::{self, After};
use crate::store::{Store, bounds};

/// How often the heads of watched logs are asked for: often enough that an entry of another
/// replica comes within 300 ms, with time left to read and send it.
pub const PERIOD: Duration = Duration::from_millis(100);

/// The same when there are so many that the question takes long: it takes a tenth of the time.
const PERIOD_MAX: Duration = Duration::from_millis(200);

/// Entries of one read for the rings that are a millisecond of pause before the next: a few are
/// followed at once, and of a flood many are read, sent and flushed together.
const ENTRIES_A_MS: u64 = 5;

/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_millis(20);

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
            let dirty = self.streams.take_dirty();
            let reading = stream::iter(dirty)
                .map(|feed| this.read(feed))
                .buffer_unordered(CONNECTIONS as usize)
                .fold(Ok(0), |all: sqlx::Result<u64>, one| async move { Ok(all? + one?) });
            let Some(read) = stop.run_until_cancelled(reading).await else { return };
            let entries = *read.as_ref().unwrap_or(&0);
            self.rest_after(read).await;
            if is_last && !self.streams.is_dirty() {
                self.streams.0.drained.cancel();
            }
            tokio::time::sleep(pause_after(entries)).await;
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
        self.streams.mark_moved(&heads);
        Ok(())
    }

    /// Reads what is new in one log; how many entries that is.
    async fn read(&self, feed: Arc<Feed>) -> sqlx::Result<u64> {
        let read = self.read_piece(&feed).await;
        if !matches!(read, Ok((_, true))) {
            self.streams.mark_dirty(feed.tenant_id);
        }
        read.map(|(entries, _)| entries)
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
                let item = Item::new(KeptEntry::of(entry), feed.framer.log(entry));
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
                let done = (items.len() as u64, piece.to == piece.bounds.head);
                if !items.is_empty() {
                    feed.push(items, piece.to, piece.bounds.floor_seq);
                }
                Ok(done)
            }
            // Expired or undone: everybody looks where they stand.
            Err(bounds) => {
                feed.reset(bounds.head, bounds.floor_seq);
                Ok((0, true))
            }
        }
    }
}

/// Also after nothing at all, that may be nothing again.
fn pause_after(entries: u64) -> Duration {
    let pause = if entries == 0 { 1 } else { entries / ENTRIES_A_MS };
    Duration::from_millis(pause).min(PAUSE_MAX)
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
                watched.dirty.store(true, Ordering::Relaxed);
            }
        }
    }

    fn mark_dirty(&self, tenant_id: TenantId) {
        if let Some(watched) = self.feeds().get(&tenant_id) {
            watched.dirty.store(true, Ordering::Relaxed);
        }
        self.0.grown.notify_one();
    }

    fn is_dirty(&self) -> bool {
        self.feeds().values().any(|watched| watched.dirty.load(Ordering::Relaxed))
    }

    fn take_dirty(&self) -> Vec<Arc<Feed>> {
        let feeds = self.0.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        let dirty = feeds.values().filter(|watched| watched.dirty.swap(false, Ordering::Relaxed));
        dirty.map(|watched| Arc::clone(&watched.feed)).collect()
    }

    fn forget_old(&self) {
        let now = Instant::now();
        for watched in self.feeds().values() {
            watched.feed.forget_old(now);
        }
    }
}
