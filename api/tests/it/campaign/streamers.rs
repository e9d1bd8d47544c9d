//! Clients that watch a log by either transport, leave, come back with their cursor at any replica,
//! and know in the end whether all came that their filter lets pass.

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep, timeout};

use super::asking::{Asked as Request, Door};
use super::plan::some;
use super::truth::{Fact, Seen, Truth, difference};
use crate::support::connection::{Asked, Came, Connection, Frame};
use crate::support::wishes::WISHES;

/// Frames after which a restless client leaves.
const LEAVES_AFTER: std::ops::Range<u32> = 5..400;

/// Between two looks whether all is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long it may take until all has come, and how long it is looked for more afterwards.
const ALL_WITHIN: Duration = Duration::from_mins(1);
const LINGER: Duration = Duration::from_millis(400);

const AGAIN_MS: std::ops::Range<u64> = 20..300;

/// See the module.
pub(super) struct Streamer {
    pub(super) tenant: usize,
    pub(super) wish: usize,
    pub(super) events: bool,
    pub(super) restless: bool,
    /// From the log's beginning on; else from when it comes.
    pub(super) from_start: bool,
    pub(super) door: Door,
    pub(super) truth: Truth,
    pub(super) rng: SmallRng,
}

/// What somebody saw over all connections.
#[derive(Debug, Default)]
pub(super) struct Course {
    start: Option<String>,
    /// The first entry after the start, once that is known.
    first: Option<i64>,
    cursor: Option<String>,
    seen: Vec<Seen>,
    gaps: Vec<(i64, i64, String)>,
    pub(super) connections: usize,
    /// When the last entry came.
    pub(super) moved_at: Option<Instant>,
    pub(super) problem: Option<String>,
}

impl Course {
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    fn lacks(&self, seq: i64) -> bool {
        self.gaps.iter().any(|(from, to, _)| (*from..=*to).contains(&seq))
    }
}

impl Streamer {
    /// Watches until all is over and all has come.
    pub(super) async fn watch(mut self) -> Course {
        let start = self.from_start.then(|| self.door.tenant(self.tenant).start.clone());
        let mut course = Course { cursor: start.clone(), start, ..Course::default() };
        loop {
            let Some(mut connection) = self.open(&course).await else {
                if self.is_late() {
                    course.problem = Some(format!("{}: nobody lets it watch", self.name()));
                    return course;
                }
                sleep(some(&mut self.rng, AGAIN_MS)).await;
                continue;
            };
            course.connections += 1;
            if self.follow(&mut connection, &mut course).await {
                self.find_first(&mut course).await;
                course.problem = self.judge(&course);
                return course;
            }
        }
    }

    async fn open(&mut self, course: &Course) -> Option<Connection> {
        let base = self.door.base().to_owned();
        let asked = Asked {
            base: &base,
            tenant_id: self.door.tenant(self.tenant).id,
            query: WISHES[self.wish].query,
            cursor: course.cursor.as_deref(),
            buffer_bytes: None,
        };
        Connection::open(&asked, self.events).await
    }

    /// Reads until the connection ends or the client leaves; whether it is over.
    async fn follow(&mut self, connection: &mut Connection, course: &mut Course) -> bool {
        let mut left = self.rng.random_range(LEAVES_AFTER);
        while left > 0 || !self.restless || self.truth.told().is_some() {
            match timeout(LOOK_EVERY, connection.next()).await {
                Ok(Came::Frame(frame)) => self.take(frame, course),
                Ok(Came::End(close)) => {
                    let may_return = matches!(close, None | Some(1012 | 1013));
                    assert!(may_return, "{}: closed with {close:?}", self.name());
                    return false;
                }
                Err(_) if self.has_all(course).await || self.is_late() => {
                    return self.linger(connection, course).await;
                }
                Err(_) => {}
            }
            left = left.saturating_sub(1);
        }
        false
    }

    /// Nothing comes after all that there is.
    async fn linger(&mut self, connection: &mut Connection, course: &mut Course) -> bool {
        while let Ok(came) = timeout(LINGER, connection.next()).await {
            match came {
                Came::Frame(frame) => self.take(frame, course),
                Came::End(_) => break,
            }
        }
        true
    }

    fn take(&self, frame: Frame, course: &mut Course) {
        match &*frame.kind {
            "hello" => course.start = course.start.take().or(frame.cursor.clone()),
            "log" => {
                let json = frame.data.expect("an entry");
                self.door.assert_own(self.tenant, json.get(), "a stream");
                course.seen.push(Seen::of(&serde_json::from_str(json.get()).unwrap()));
                course.moved_at = Some(Instant::now());
            }
            "gap" => {
                let reason = frame.reason.unwrap_or_default();
                course.gaps.push((frame.from_seq.unwrap(), frame.to_seq.unwrap(), reason));
            }
            "heartbeat" => {}
            "error" if frame.code.as_deref() == Some("shutting_down") => {}
            _ => panic!("{}: {frame:?}", self.name()),
        }
        course.cursor = frame.cursor.or(course.cursor.take());
    }

    fn is_late(&self) -> bool {
        self.truth.told().is_some_and(|told| told.at.elapsed() > ALL_WITHIN)
    }

    /// Whether the last entry that it wants has come.
    async fn has_all(&mut self, course: &mut Course) -> bool {
        if self.truth.told().is_none() || course.start.is_none() {
            return false;
        }
        self.find_first(course).await;
        let wanted = self.wanted(course);
        let last = wanted.iter().rev().find(|wanted| !course.lacks(wanted.seq));
        last.is_none_or(|last| course.seen.last() == Some(last))
    }

    /// Asks where it began, as only the service can read a cursor.
    async fn find_first(&mut self, course: &mut Course) {
        let Some(start) = course.start.as_ref().filter(|_| course.first.is_none()) else { return };
        if self.from_start {
            course.first = Some(1);
            return;
        }
        let path = format!("/logs?order=asc&limit=1&cursor={start}");
        let deadline = Instant::now() + ALL_WITHIN;
        let over = || Instant::now() > deadline;
        let page = self.door.insist(&Request::get(self.tenant, &path), over).await;
        let page = page.unwrap_or_else(|| panic!("{path} is never answered"));
        assert_eq!(page.status, 200, "{page:?}");
        course.first = Some(page.body["data"][0]["seq"].as_i64().unwrap_or(i64::MAX));
    }

    fn wanted(&self, course: &Course) -> Vec<Seen> {
        let log = &self.truth.told().expect("all is over").logs[self.tenant];
        let wish = &WISHES[self.wish];
        let first = course.first.unwrap_or(i64::MAX);
        log.wanted(first..=log.head.max(first), |fact: &Fact| wish.lets_pass(&fact.value))
    }

    /// What is wrong with what came.
    fn judge(&self, course: &Course) -> Option<String> {
        let wanted = self.wanted(course);
        let floor = self.truth.told().expect("all is over").logs[self.tenant].floor;
        let lie = course.gaps.iter().find(|(_, to, why)| why != "expired" || *to >= floor);
        let lie = lie.map(|gap| format!("a gap {gap:?} that is none: the floor is {floor}"));
        let given = course.seen.iter().find(|seen| course.lacks(seen.seq));
        let given = given.map(|seen| format!("{} was given, and said to be expired", seen.seq));
        // What came after the truth was told is no lie: the service notes what it was asked.
        let log = &self.truth.told().expect("all is over").logs[self.tenant];
        let seen: Vec<_> = course.seen.iter().copied().filter(|s| s.seq <= log.head).collect();
        let problem = difference(&wanted, &seen, |seq| course.lacks(seq)).or(lie).or(given);
        problem.map(|problem| {
            let (n, gaps) = (course.connections, &course.gaps);
            format!("{} over {n} connections, gaps {gaps:?}: {problem}", self.name())
        })
    }

    fn name(&self) -> String {
        let way = if self.events { "events" } else { "WebSocket" };
        let (tenant, query) = (self.tenant, WISHES[self.wish].query);
        let from = if self.from_start { "the start" } else { "now" };
        format!("stream {query:?} of tenant {tenant} by {way} from {from}")
    }
}
