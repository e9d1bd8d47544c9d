//! Live streams of logs: one machine behind web sockets and server-sent events.
//!
//! A stream is a place in a log that moves. What comes after it is taken from the ring of the
//! newest entries ([`feed`]), which this replica's writer (`handing`) and one reader ([`tailer`])
//! keep filled for all who watch, or, when it is not there any more, from the log itself. So a slow
//! reader holds up nobody, has no buffer, and misses nothing: see [`course`].

pub mod course;
mod end;
pub mod feed;
pub mod frames;
mod handing;
mod message;
pub mod origin;
mod outlet;
mod periods;
mod reading;
mod session;
pub mod slots;
mod socket;
pub mod tailer;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::TenantId;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::handing::Fresh;
pub use self::origin::Origins;
pub use self::periods::Periods;
pub use self::session::{Opening, Session};

use self::feed::Feed;
use self::slots::Slots;
use crate::config::StreamArgs;
use crate::store::streaming::After;

/// Memory of what was read of logs for slow readers, all together, in KiB.
const READ_KIB_MAX: usize = 64 << 10;

/// How long a stop waits until what was committed before is in the rings.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// All streams of this replica; cheap to clone.
#[derive(Debug, Clone)]
pub struct Streams(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    feeds: Mutex<HashMap<TenantId, Watched>>,
    /// When the database last said how far the watched logs go.
    asked_at: Mutex<Instant>,
    /// Bytes of all rings.
    ring_bytes: Arc<AtomicUsize>,
    /// Rung when a watched log has grown, or a log is watched that was not.
    grown: Notify,
    slots: Slots,
    origins: Origins,
    periods: Periods,
    /// Streams that read from the database at the same moment.
    readers: Semaphore,
    read_kib: Arc<Semaphore>,
    stop: CancellationToken,
    /// What was committed before the stop is in the rings.
    drained: CancellationToken,
    running: TaskTracker,
}

#[derive(Debug)]
struct Watched {
    feed: Arc<Feed>,
    watchers: usize,
    /// What the tailer is to do.
    marks: AtomicU8,
}

impl Watched {
    /// The log may have grown: it is to be read.
    const READ: u8 = 1;
    /// Those who watch are to be told what is in the ring.
    const TELL: u8 = 2;
}

/// Somebody's interest in a log; given up when dropped.
#[derive(Debug)]
pub struct Watch {
    /// What is watched.
    pub feed: Arc<Feed>,
    streams: Streams,
}

impl Default for Streams {
    fn default() -> Self {
        Self::new(&StreamArgs::default(), 1)
    }
}

impl Streams {
    /// None yet.
    pub fn new(args: &StreamArgs, reader_connections: u32) -> Self {
        Self(Arc::new(Inner {
            feeds: Mutex::default(),
            asked_at: Mutex::new(Instant::now()),
            ring_bytes: Arc::default(),
            grown: Notify::new(),
            slots: Slots::new(args.stream_max, args.stream_tenant_max),
            origins: Origins::new(&args.allowed_origins),
            periods: Periods::new(args.stream_max_age).divided_by(args.stream_hurry),
            readers: Semaphore::new((reader_connections as usize / 4).max(1)),
            read_kib: Arc::new(Semaphore::new(READ_KIB_MAX)),
            stop: CancellationToken::new(),
            drained: CancellationToken::new(),
            running: TaskTracker::new(),
        }))
    }

    /// Whose pages may open streams.
    pub fn origins(&self) -> &Origins {
        &self.0.origins
    }

    /// How many there may be.
    pub fn slots(&self) -> &Slots {
        &self.0.slots
    }

    /// Memory that the newest entries of watched logs take.
    pub fn ring_bytes(&self) -> usize {
        self.0.ring_bytes.load(Ordering::Relaxed)
    }

    /// What happens how often.
    pub fn periods(&self) -> &Periods {
        &self.0.periods
    }

    /// Whether no more are opened.
    pub fn is_stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Opens no more, and ends all, each when it has what was committed until now.
    pub async fn end(&self) {
        self.0.stop.cancel();
        self.0.running.close();
        self.0.grown.notify_one();
        let _ = timeout(DRAIN_TIMEOUT, self.0.drained.cancelled()).await;
        self.0.drained.cancel();
        self.0.running.wait().await;
    }

    /// Watches a log, which was read up to this place just now.
    pub fn watch(&self, tenant_id: TenantId, end: After, floor_seq: i64) -> Watch {
        let mut feeds = self.feeds();
        let watched = feeds.entry(tenant_id).or_insert_with(|| Watched {
            feed: Arc::new(Feed::new(tenant_id, end, floor_seq, Arc::clone(&self.0.ring_bytes))),
            watchers: 0,
            // What came between that look and now has rung for nobody.
            marks: AtomicU8::new(Watched::READ),
        });
        watched.watchers += 1;
        let feed = Arc::clone(&watched.feed);
        drop(feeds);
        self.0.grown.notify_one();
        Watch { feed, streams: self.clone() }
    }

    /// These logs have grown; the writer waits for nothing here.
    pub fn ring(&self, tenants: impl Iterator<Item = TenantId>) {
        let feeds = self.feeds();
        if feeds.is_empty() {
            return;
        }
        let mut rung = false;
        for watched in tenants.filter_map(|tenant_id| feeds.get(&tenant_id)) {
            watched.marks.fetch_or(Watched::READ, Ordering::Relaxed);
            rung = true;
        }
        drop(feeds);
        if rung {
            self.0.grown.notify_one();
        }
    }

    /// The database has said how far the watched logs go.
    fn note_asked(&self) {
        *self.0.asked_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether for so long nobody knows how far the watched logs go.
    fn is_blind_for(&self, long: Duration) -> bool {
        let asked_at = *self.0.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        asked_at.elapsed() > long
    }

    fn feeds(&self) -> MutexGuard<'_, HashMap<TenantId, Watched>> {
        self.0.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut feeds = self.streams.feeds();
        if let Some(watched) = feeds.get_mut(&self.feed.tenant_id) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                feeds.remove(&self.feed.tenant_id);
            }
        }
    }
}
