//! The newest entries of a watched log, read once for all who watch it.
//!
//! A ring, bounded in bytes. Nobody has a buffer of their own: who watches has a place, and takes
//! what comes after it from here as long as it is here. Who is too slow for that reads the log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ws::Utf8Bytes;
use domain::{KeptEntry, TenantId};
use tokio::sync::watch;

use super::frames::{Framer, seq};
use crate::store::streaming::After;

/// What the ring of one log holds.
pub const RING_BYTES_MAX: usize = 4 << 20;

/// What all rings hold together.
pub const RINGS_BYTES_MAX: usize = 64 << 20;

/// How long an entry stays in the ring.
pub const KEPT_FOR: Duration = Duration::from_secs(10);

/// What an entry takes beside its texts.
const ITEM_BYTES: usize = 256;

/// An entry for all who watch.
#[derive(Debug)]
pub struct Item {
    /// For filters.
    pub entry: KeptEntry,
    /// For clients.
    pub frame: Utf8Bytes,
    read_at: Instant,
}

impl Item {
    /// Reads now.
    pub fn new(entry: KeptEntry, frame: Utf8Bytes) -> Self {
        Self { entry, frame, read_at: Instant::now() }
    }

    /// Its memory.
    pub fn bytes(&self) -> usize {
        self.entry.text_bytes() + self.frame.len() + ITEM_BYTES
    }
}

/// What comes after a place.
#[derive(Debug)]
pub enum Next {
    /// This entry.
    Item(Arc<Item>),
    /// Nothing yet.
    UpToDate,
    /// Look into the log.
    InTheLog,
}

/// See the module.
#[derive(Debug)]
pub struct Feed {
    /// Whose log.
    pub tenant_id: TenantId,
    /// What its frames are made by.
    pub framer: Framer,
    ring: Mutex<Ring>,
    moved: watch::Sender<()>,
    /// Bytes of all rings.
    all_bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Ring {
    /// Behind which the items begin.
    begin: After,
    /// Without a gap, up to `end`.
    items: VecDeque<Arc<Item>>,
    bytes: usize,
    end: After,
    floor_seq: i64,
    /// Grows when what was given out may not be the log any more.
    epoch: u64,
}

impl Feed {
    /// Begins behind this place.
    pub fn new(
        tenant_id: TenantId,
        end: After,
        floor_seq: i64,
        all_bytes: Arc<AtomicUsize>,
    ) -> Self {
        let ring = Ring { begin: end, items: VecDeque::new(), bytes: 0, end, floor_seq, epoch: 0 };
        Self {
            tenant_id,
            framer: Framer::of(tenant_id),
            ring: Mutex::new(ring),
            moved: watch::Sender::new(()),
            all_bytes,
        }
    }

    /// What comes after a place that was in the log in that epoch.
    pub fn next(&self, after: After, epoch: u64) -> Next {
        let ring = self.ring();
        if ring.epoch != epoch {
            return Next::InTheLog;
        }
        let seq_wanted = seq(after) + 1;
        if seq_wanted > seq(ring.end) {
            return Next::UpToDate;
        }
        let index = usize::try_from(seq_wanted - seq(ring.begin) - 1).ok();
        match index.and_then(|index| Some((ring.place_before(index)?, ring.items.get(index)?))) {
            // It comes after its predecessor and after no other entry that had the same number.
            Some((before, item)) if before == after => Next::Item(Arc::clone(item)),
            _ => Next::InTheLog,
        }
    }

    /// The epoch in which places are looked up from now on.
    pub fn epoch(&self) -> u64 {
        self.ring().epoch
    }

    /// How far the log was read.
    pub fn end(&self) -> After {
        self.ring().end
    }

    /// The log's floor when it was last read.
    pub fn floor_seq(&self) -> i64 {
        self.ring().floor_seq
    }

    /// Tells when the ring has moved.
    pub fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// Puts in what came after the end, up to a new end.
    pub fn push(&self, items: Vec<Item>, end: After, floor_seq: i64) {
        let mut ring = self.ring();
        for item in items {
            debug_assert_eq!(item.entry.place().seq.get(), ring.next_seq(), "the log has no gaps");
            ring.bytes += item.bytes();
            self.all_bytes.fetch_add(item.bytes(), Ordering::Relaxed);
            ring.end = Some(item.entry.place());
            ring.items.push_back(Arc::new(item));
            while ring.bytes > RING_BYTES_MAX
                || self.all_bytes.load(Ordering::Relaxed) > RINGS_BYTES_MAX
            {
                if !self.pop(&mut ring) {
                    break;
                }
            }
        }
        (ring.end, ring.floor_seq) = (end, floor_seq);
        drop(ring);
        self.moved.send_replace(());
    }

    /// Begins anew behind this place: everybody looks where they stand.
    pub fn reset(&self, end: After, floor_seq: i64) {
        let mut ring = self.ring();
        while self.pop(&mut ring) {}
        (ring.begin, ring.end, ring.floor_seq) = (end, end, floor_seq);
        ring.epoch += 1;
        drop(ring);
        self.moved.send_replace(());
    }

    /// Lets go of what is old: a quiet log keeps nothing in memory.
    pub fn forget_old(&self, now: Instant) {
        let mut ring = self.ring();
        let is_old = |item: &Arc<Item>| now.saturating_duration_since(item.read_at) > KEPT_FOR;
        while ring.items.front().is_some_and(is_old) {
            self.pop(&mut ring);
        }
        if ring.items.is_empty() {
            ring.items.shrink_to_fit();
        }
    }

    /// Lets go of so many, as a full ring does.
    #[cfg(test)]
    pub(super) fn forget(&self, count: usize) {
        let mut ring = self.ring();
        for _ in 0..count {
            self.pop(&mut ring);
        }
    }

    fn pop(&self, ring: &mut Ring) -> bool {
        let Some(item) = ring.items.pop_front() else { return false };
        ring.begin = Some(item.entry.place());
        ring.bytes -= item.bytes();
        self.all_bytes.fetch_sub(item.bytes(), Ordering::Relaxed);
        true
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// Where the entry before one of the items stands.
    fn place_before(&self, index: usize) -> Option<After> {
        match index.checked_sub(1) {
            None => Some(self.begin),
            Some(before) => Some(Some(self.items.get(before)?.entry.place())),
        }
    }

    fn next_seq(&self) -> i64 {
        seq(self.end) + 1
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.all_bytes.fetch_sub(self.ring().bytes, Ordering::Relaxed);
    }
}
