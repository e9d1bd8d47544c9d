//! The newest entries of a watched log, read once for all who watch it.
//!
//! A ring, bounded in bytes. Nobody has a buffer of their own: who watches has a place, and takes
//! what comes after it from here as long as it is here. Who is too slow for that reads the log.
//!
//! Two put something in: the tailer what it has read, and this replica's writer what it has just
//! committed. Both say what it follows, and nothing else than that is at the ring's end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ws::Utf8Bytes;
use domain::{KeptEntry, Place, Seq, TenantId};
use tokio::sync::watch;

use super::frames::{Framer, seq};
use crate::store::streaming::After;

/// What the ring of one log holds.
pub const RING_BYTES_MAX: usize = 8 << 20;

/// What all rings hold together.
pub const RINGS_BYTES_MAX: usize = 64 << 20;

/// How long an entry stays in the ring.
pub const KEPT_FOR: Duration = Duration::from_secs(10);

/// Entries that are a millisecond of quiet before those who watch are woken again: a few are told
/// at once, and of a flood many are taken, sent and flushed together.
const ENTRIES_A_MS: u64 = 5;

/// The longest such quiet.
const QUIET_MAX: Duration = Duration::from_millis(120);

/// What an entry takes beside its texts, with its frame.
const ITEM_BYTES: usize = 1_024;

/// An entry for all who watch.
#[derive(Debug)]
pub struct Item {
    /// For filters.
    pub entry: KeptEntry,
    /// For clients: made for the first one who gets it, and sent to all.
    frame: OnceLock<Utf8Bytes>,
    bytes: usize,
    read_at: Instant,
}

impl Item {
    /// Reads now.
    pub fn new(entry: KeptEntry) -> Self {
        let bytes = entry.text_bytes() + entry.json_bytes_max() + ITEM_BYTES;
        Self { entry, frame: OnceLock::new(), bytes, read_at: Instant::now() }
    }

    /// As clients get it.
    pub fn frame(&self, framer: &Framer) -> Utf8Bytes {
        self.frame.get_or_init(|| framer.log(&self.entry.entry())).clone()
    }

    /// Its memory, with its frame.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What comes after a place.
#[derive(Debug)]
pub enum Next {
    /// This entry.
    Item(Arc<Item>),
    /// So many were passed over, and more may come.
    Passed,
    /// Nothing yet.
    UpToDate,
    /// Look into the log.
    InTheLog,
}

/// Entries that one session of the database has committed, without a gap between them.
///
/// The session says what they follow: a number alone does not, for a restore gives it out again.
/// But what is restored has lost its sessions, so within one session the log only grows.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Counts the writer's sessions.
    pub session: u64,
    /// The number of the first.
    pub first: Seq,
    /// Where the last one stands.
    pub last: Place,
}

/// What became of a run that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// Those who watch know of it.
    Told,
    /// It is in the ring, and they are to be told when the quiet is over.
    Untold,
    /// It is not known to follow the ring's end: the log is to be read.
    Refused,
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
    /// What the writer has handed over last, and in which session.
    written: Option<(u64, Place)>,
    /// Entries that those who watch were not told of.
    untold: u64,
    quiet_until: Instant,
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
        let ring = Ring {
            begin: end,
            items: VecDeque::new(),
            bytes: 0,
            end,
            floor_seq,
            written: None,
            untold: 0,
            quiet_until: Instant::now(),
            epoch: 0,
        };
        Self {
            tenant_id,
            framer: Framer::of(tenant_id),
            ring: Mutex::new(ring),
            moved: watch::Sender::new(()),
            all_bytes,
        }
    }

    /// The next entry to let through behind a place that was in the log in that epoch; the place
    /// moves past it, and past those before it, at most so many.
    ///
    /// Everybody waits meanwhile: what says which ones to let through is quick.
    pub fn next(
        &self,
        after: &mut After,
        epoch: u64,
        passed_max: i64,
        lets_through: impl Fn(&KeptEntry) -> bool,
    ) -> Next {
        let ring = self.ring();
        if ring.epoch != epoch {
            return Next::InTheLog;
        }
        for _ in 0..passed_max {
            if seq(*after) >= seq(ring.end) {
                return Next::UpToDate;
            }
            let Some(item) = ring.behind(*after) else { return Next::InTheLog };
            *after = Some(item.entry.place());
            if lets_through(&item.entry) {
                return Next::Item(Arc::clone(item));
            }
        }
        Next::Passed
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

    /// Puts in what was read after a place, up to a new end; whether that place is the end still.
    pub fn push(&self, after: After, items: Vec<Item>, end: After, floor_seq: i64) -> bool {
        let mut ring = self.ring();
        if ring.end != after {
            return false;
        }
        self.add(&mut ring, items);
        (ring.end, ring.floor_seq) = (end, floor_seq);
        let quiet = quiet_after(ring.untold);
        self.tell_now(ring, Instant::now() + quiet);
        true
    }

    /// Puts in what this replica's writer has committed, where it is known to follow; else its
    /// items are not made. Those who watch are let alone for a while then.
    pub fn hand(&self, run: Run, quiet: Duration, items: impl FnOnce() -> Vec<Item>) -> Handed {
        // Made without the lock, which all who watch take.
        let items = if self.ring().is_followed_by(run) { items() } else { Vec::new() };
        let mut ring = self.ring();
        // The tailer may have been here meanwhile.
        let follows = ring.is_followed_by(run) && !items.is_empty();
        ring.written = Some((run.session, run.last));
        if !follows {
            return Handed::Refused;
        }
        self.add(&mut ring, items);
        let now = Instant::now();
        if now < ring.quiet_until {
            return Handed::Untold;
        }
        self.tell_now(ring, now + quiet);
        Handed::Told
    }

    /// Wakes those who watch where something was put in since; how many entries that is.
    pub fn tell(&self) -> u64 {
        let ring = self.ring();
        let untold = ring.untold;
        if untold > 0 {
            self.tell_now(ring, Instant::now() + quiet_after(untold));
        }
        untold
    }

    fn tell_now(&self, mut ring: MutexGuard<'_, Ring>, quiet_until: Instant) {
        (ring.quiet_until, ring.untold) = (quiet_until, 0);
        drop(ring);
        self.moved.send_replace(());
    }

    fn add(&self, ring: &mut Ring, items: Vec<Item>) {
        for item in items {
            debug_assert_eq!(item.entry.place().seq.get(), ring.next_seq(), "the log has no gaps");
            ring.bytes += item.bytes();
            self.all_bytes.fetch_add(item.bytes(), Ordering::Relaxed);
            ring.end = Some(item.entry.place());
            ring.untold += 1;
            ring.items.push_back(Arc::new(item));
            while ring.bytes > RING_BYTES_MAX
                || self.all_bytes.load(Ordering::Relaxed) > RINGS_BYTES_MAX
            {
                if !self.pop(ring) {
                    break;
                }
            }
        }
    }

    /// Begins anew behind this place: everybody looks where they stand.
    pub fn reset(&self, end: After, floor_seq: i64) {
        let mut ring = self.ring();
        while self.pop(&mut ring) {}
        (ring.begin, ring.end, ring.floor_seq) = (end, end, floor_seq);
        ring.epoch += 1;
        self.tell_now(ring, Instant::now());
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
    /// The entry that comes after this one, and after no other that had the same number.
    fn behind(&self, after: After) -> Option<&Arc<Item>> {
        let index = usize::try_from(seq(after) - seq(self.begin)).ok()?;
        let before = self.place_before(index)?;
        self.items.get(index).filter(|_| before == after)
    }

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

    /// Whether the entry before a run is the one at the end.
    fn is_followed_by(&self, run: Run) -> bool {
        self.written.is_some_and(|(session, last)| {
            session == run.session
                && Some(last) == self.end
                && last.seq.get() + 1 == run.first.get()
        })
    }
}

/// How long those who watch are let alone after so many entries.
pub fn quiet_after(entries: u64) -> Duration {
    Duration::from_millis(entries / ENTRIES_A_MS).min(QUIET_MAX)
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.all_bytes.fetch_sub(self.ring().bytes, Ordering::Relaxed);
    }
}
