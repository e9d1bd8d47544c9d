//! Clients: each follows a log by its own filter, in its own manner, over as many connections as it
//! takes, and knows in the end whether it has seen everything.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::TenantId;
use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::faults::some;
use super::verdict::{Entry, Truth};
use crate::support::connection::{Asked, Came, Connection, Frame};
use crate::support::seeds;
use crate::support::wishes::WISHES;

/// How soon after all is over something more must come to who lacks something, again and again.
const MORE_WITHIN: Duration = Duration::from_secs(20);

/// How soon each client must have all; in a soak they have gigabytes to catch up.
const ALL_WITHIN: Duration = Duration::from_secs(30);
const ALL_WITHIN_SOAK: Duration = Duration::from_mins(4);

/// How long it is looked afterwards whether anything comes a second time.
const LINGER: Duration = Duration::from_millis(500);

/// Between two looks whether all is over.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The least that Linux gives.
const SMALL_BUFFER: u32 = 2_304;

/// How a client behaves while the hunt lasts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    Steady,
    /// Leaves without a word after some frames.
    Restless,
    /// Takes its time, and stands still now and then.
    Slow,
    /// Says `pause` and `resume`.
    Pausing,
}

impl Manner {
    pub(super) fn any(rng: &mut SmallRng) -> Self {
        [Self::Steady, Self::Restless, Self::Slow, Self::Pausing][rng.random_range(0..4)]
    }
}

/// See the module.
pub(super) struct Watcher {
    pub(super) number: usize,
    pub(super) bases: Arc<[String]>,
    pub(super) tenant_id: TenantId,
    /// Which of the wishes is its own.
    pub(super) wish: usize,
    pub(super) manner: Manner,
    pub(super) events: bool,
    /// Where the log begins; without it the client begins when it comes.
    pub(super) start: Option<String>,
    pub(super) truth: Truth,
    pub(super) rng: SmallRng,
}

/// How far a client has come.
#[derive(Debug, Default)]
struct Come {
    /// Where it began.
    start: Option<String>,
    cursor: Option<String>,
    entries: Vec<Entry>,
    /// When the last of them came.
    moved_at: Option<Instant>,
    /// What it must have seen, once that is known.
    expected: Option<Vec<Entry>>,
    connections: usize,
}

/// What clients have seen together.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) entries: usize,
    pub(super) connections: usize,
}

impl Seen {
    pub(super) fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.connections += other.connections;
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries seen over {} connections", self.entries, self.connections)
    }
}

impl Watcher {
    /// Watches until all is over and it has seen all of it.
    pub(super) async fn watch(mut self, lasts: Duration) -> Seen {
        let start = self.start.clone();
        let mut come = Come { cursor: start.clone(), start, ..Come::default() };
        if self.start.is_none() {
            // Not so late that nothing is left to see.
            let late_ms = u64::try_from(lasts.as_millis() / 2).unwrap();
            sleep(some(&mut self.rng, 0..late_ms)).await;
        }
        while !self.has_all(&mut come).await {
            if let Some(mut connection) = self.open(&come).await {
                come.connections += 1;
                self.read(&mut connection, &mut come).await;
            } else {
                sleep(some(&mut self.rng, 20..300)).await;
            }
        }
        Seen { entries: come.entries.len(), connections: come.connections }
    }

    async fn open(&mut self, come: &Come) -> Option<Connection> {
        let base = self.rng.random_range(0..self.bases.len());
        let asked = Asked {
            base: &self.bases[base],
            tenant_id: self.tenant_id,
            query: WISHES[self.wish].query,
            cursor: come.cursor.as_deref(),
            buffer_bytes: matches!(self.manner, Manner::Slow).then_some(SMALL_BUFFER),
        };
        Connection::open(&asked, self.events).await
    }

    /// Reads until the connection ends, the client leaves, or it has all.
    async fn read(&mut self, connection: &mut Connection, come: &mut Come) {
        let mut looks_left = self.rng.random_range(1..300);
        while !self.has_all(come).await {
            match timeout(LOOK_EVERY, connection.next()).await {
                Ok(Came::Frame(frame)) => self.take(frame, come),
                Ok(Came::End(close)) => return self.assert_may_come_back(close),
                Err(_) => {}
            }
            looks_left -= 1;
            if !self.truth.is_told() && self.behave(connection, looks_left).await {
                return;
            }
            looks_left = looks_left.max(1);
        }
        self.linger(connection, come).await;
    }

    fn take(&self, frame: Frame, come: &mut Come) {
        match &*frame.kind {
            "hello" => come.start = come.start.take().or(frame.cursor.clone()),
            "log" => {
                let entry = Entry::of(&frame.data.expect("an entry"));
                let last_seq = come.entries.last().map(|last| last.seq);
                assert!(
                    last_seq < Some(entry.seq),
                    "{}: {} comes after {last_seq:?}",
                    self.name(),
                    entry.seq
                );
                come.entries.push(entry);
                come.moved_at = Some(Instant::now());
            }
            "heartbeat" => {}
            "error" if frame.code.as_deref() == Some("shutting_down") => {}
            _ => panic!("{}: {frame:?}", self.name()),
        }
        come.cursor = frame.cursor.or(come.cursor.take());
    }

    /// Does what its manner asks for; whether it leaves.
    async fn behave(&mut self, connection: &mut Connection, looks_left: u32) -> bool {
        match self.manner {
            Manner::Restless => return looks_left == 0,
            Manner::Slow if self.rng.random_bool(0.01) => {
                sleep(some(&mut self.rng, 500..4_000)).await;
            }
            Manner::Slow => sleep(some(&mut self.rng, 0..8)).await,
            Manner::Pausing if self.rng.random_bool(0.02) => {
                connection.say(r#"{"type":"pause"}"#).await;
                sleep(some(&mut self.rng, 0..1_500)).await;
                connection.say(r#"{"type":"resume"}"#).await;
            }
            Manner::Steady | Manner::Pausing => {}
        }
        false
    }

    /// Nothing comes after all that there is.
    async fn linger(&self, connection: &mut Connection, come: &mut Come) {
        let until = Instant::now() + LINGER;
        while let Ok(came) = timeout_at(until, connection.next()).await {
            match came {
                Came::Frame(frame) => self.take(frame, come),
                Came::End(_) => break,
            }
        }
        assert!(self.has_all(come).await, "{}", self.differs(come));
    }

    /// Whether it has seen what there is; fails when it does not see it in time.
    async fn has_all(&self, come: &mut Come) -> bool {
        let Some(told) = self.truth.told() else { return false };
        let all_within = if seeds::soak() { ALL_WITHIN_SOAK } else { ALL_WITHIN };
        let last = come.moved_at.map_or(told.at, |moved_at| moved_at.max(told.at));
        let in_time = told.at.elapsed() < all_within && last.elapsed() < MORE_WITHIN;
        assert!(in_time, "not in time: {}", self.differs(come));
        let Some(start) = &come.start else { return false };
        if come.expected.is_none() {
            let base = &self.bases[0];
            come.expected = Some(told.after(base, self.tenant_id, start, self.wish).await);
        }
        let expected = come.expected.as_deref().unwrap_or_default();
        let is_there = expected.is_empty() || expected.last() == come.entries.last();
        assert!(!is_there || come.entries == expected, "{}", self.differs(come));
        is_there
    }

    fn differs(&self, come: &Come) -> String {
        let expected = come.expected.as_deref().unwrap_or_default();
        let pairs = expected.iter().zip(&come.entries);
        let same = pairs.take_while(|(one, other)| one == other).count();
        let next = |entries: &[Entry]| {
            entries.iter().skip(same).take(5).map(|entry| entry.seq).collect::<Vec<_>>()
        };
        format!(
            "{} has {} entries of {}; after {same} that are right come {:?} instead of {:?}",
            self.name(),
            come.entries.len(),
            expected.len(),
            next(&come.entries),
            next(expected)
        )
    }

    fn assert_may_come_back(&self, close: Option<u16>) {
        assert!(
            matches!(close, None | Some(1012 | 1013)),
            "{}: closed with {close:?}",
            self.name()
        );
    }

    fn name(&self) -> String {
        let (manner, query) = (self.manner, WISHES[self.wish].query);
        let way = if self.events { "events" } else { "WebSocket" };
        format!("client {} ({manner:?}, {way}, {query:?}, {})", self.number, self.tenant_id)
    }
}
