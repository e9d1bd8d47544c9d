//! SQS at its worst: each message is delivered one to five times, late, and in any order.
//!
//! It takes from the queue that the service sends to, and sends to the one that the Lambda is
//! mapped to. A message leaves the first queue only when it is in the second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::deployed::{Sqs, Taken};

/// How often a message is delivered at most.
const COPIES_MAX: u32 = 5;

/// How late a copy is at most; most of the first ones are earlier.
const LATE_MS_MAX: u64 = 3_000;
const SOON_MS_MAX: u64 = 200;

/// Messages under way at a time.
const SENDERS: u64 = 4;

/// How long after a failure it is tried again.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// See the module. Ends with its owner.
pub(super) struct Shuffler {
    hands: Arc<Hands>,
    tasks: JoinSet<()>,
}

/// What the tasks have in common.
struct Hands {
    sqs: Sqs,
    from: String,
    to: String,
    held: Mutex<Vec<Parcel>>,
    /// How often everything was forgotten.
    forgotten: AtomicU64,
    taken: AtomicU64,
    sent: AtomicU64,
}

/// A message that is to be delivered.
struct Parcel {
    message: Taken,
    /// Whether it is still in the first queue.
    is_first: bool,
    copies: u32,
    due: Instant,
}

impl Shuffler {
    pub(super) fn start(sqs: Sqs, from: String, to: String, rng: &mut SmallRng) -> Self {
        let hands = Arc::new(Hands {
            sqs,
            from,
            to,
            held: Mutex::default(),
            forgotten: AtomicU64::default(),
            taken: AtomicU64::default(),
            sent: AtomicU64::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&hands).take(SmallRng::from_rng(rng)));
        for _ in 0..SENDERS {
            tasks.spawn(Arc::clone(&hands).send(SmallRng::from_rng(rng)));
        }
        Self { hands, tasks }
    }

    /// Copies that the second queue has taken.
    pub(super) fn sent(&self) -> u64 {
        self.hands.sent.load(Ordering::Relaxed)
    }

    /// Messages of the first queue.
    pub(super) fn taken(&self) -> u64 {
        self.hands.taken.load(Ordering::Relaxed)
    }

    /// What it holds is lost like what is in queues that were killed.
    pub(super) fn forget(&self) {
        let mut held = self.hands.held.lock().unwrap();
        self.hands.forgotten.fetch_add(1, Ordering::Relaxed);
        held.clear();
    }
}

impl Drop for Shuffler {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

impl Hands {
    async fn take(self: Arc<Self>, mut rng: SmallRng) {
        loop {
            let forgotten = self.forgotten.load(Ordering::Relaxed);
            let Some(messages) = self.sqs.take(&self.from).await else {
                sleep(FAILURE_PAUSE).await;
                continue;
            };
            self.taken.fetch_add(messages.len() as u64, Ordering::Relaxed);
            for message in messages {
                let late = if rng.random_bool(0.1) { LATE_MS_MAX } else { SOON_MS_MAX };
                let due = soon(&mut rng, late);
                let copies = rng.random_range(1..=COPIES_MAX);
                self.hold(Parcel { message, is_first: true, copies, due }, forgotten);
            }
        }
    }

    async fn send(self: Arc<Self>, mut rng: SmallRng) {
        loop {
            let forgotten = self.forgotten.load(Ordering::Relaxed);
            let Some(mut parcel) = self.pick(&mut rng) else {
                sleep(Duration::from_millis(5)).await;
                continue;
            };
            if !self.sqs.send(&self.to, &parcel.message.body).await {
                self.hold(parcel, forgotten);
                sleep(FAILURE_PAUSE).await;
                continue;
            }
            self.sent.fetch_add(1, Ordering::Relaxed);
            if parcel.is_first {
                // If that fails it comes once more, as it may.
                self.sqs.delete(&self.from, &parcel.message.receipt).await;
            }
            parcel.is_first = false;
            parcel.copies -= 1;
            parcel.due = soon(&mut rng, LATE_MS_MAX);
            if parcel.copies > 0 {
                self.hold(parcel, forgotten);
            }
        }
    }

    /// Any of those that are due.
    fn pick(&self, rng: &mut SmallRng) -> Option<Parcel> {
        let (mut held, now) = (self.held.lock().unwrap(), Instant::now());
        let due: Vec<_> = (0..held.len()).filter(|&n| held[n].due <= now).collect();
        let picked = due.get(rng.random_range(0..due.len().max(1)))?;
        Some(held.swap_remove(*picked))
    }

    /// Keeps a parcel, unless it is of a time that was forgotten.
    fn hold(&self, parcel: Parcel, forgotten: u64) {
        let mut held = self.held.lock().unwrap();
        if self.forgotten.load(Ordering::Relaxed) == forgotten {
            held.push(parcel);
        }
    }
}

fn soon(rng: &mut SmallRng, late_ms_max: u64) -> Instant {
    Instant::now() + Duration::from_millis(rng.random_range(0..late_ms_max))
}
