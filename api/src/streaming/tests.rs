//! Streams against a model: whatever happens in whatever order, each moves over its log and
//! delivers, of what it moves over, exactly what is wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{
    Action, CallerDefaults, Filter, KeptEntry, NewEntry, Place, Seq, StoredEntry, TenantId,
    Timestamp,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::course::{Course, Step, Wanted};
use super::feed::{Feed, Handed, Item, Run, quiet_after};
use super::frames::{Gap, Reason, seq};
use super::{Fresh, Streams};
use crate::store::append::Written;
use crate::store::streaming::After;

const TENANT: TenantId = TenantId::new(Uuid::from_u128(7));

/// An entry of the model: its place, and whether it is of the one kind or of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Made {
    place: Place,
    odd: bool,
}

#[derive(Debug, Clone)]
enum Deed {
    /// Another replica commits entries.
    Append(Vec<bool>),
    /// This replica's writer commits entries, and hands them over then or later.
    Record {
        kinds: Vec<bool>,
        late: bool,
    },
    /// The writer hands over what it committed.
    Hand,
    /// The writer begins a new session.
    Reconnect,
    /// The tailer reads so many, and the writer hands over before these are in the ring.
    Tail {
        count: usize,
        crossed: bool,
    },
    /// The ring lets go of so many.
    Forget(usize),
    /// A stream takes so many from the ring.
    Live {
        stream: usize,
        steps: usize,
    },
    /// A stream reads the log, so many entries, and sends so many of them before it is disturbed.
    CatchUp {
        stream: usize,
        looked_at: usize,
        sent: usize,
    },
    Pause(usize, bool),
    Filter(usize, u8),
    /// All but so many entries are undone.
    Restore(usize),
    /// The floor moves behind so many of the entries.
    Expire(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let stream = 0..STREAMS;
    let deed = prop_oneof![
        6 => prop::collection::vec(any::<bool>(), 1..6).prop_map(Deed::Append),
        6 => (prop::collection::vec(any::<bool>(), 1..4), any::<bool>())
            .prop_map(|(kinds, late)| Deed::Record { kinds, late }),
        2 => Just(Deed::Hand),
        1 => Just(Deed::Reconnect),
        6 => (1..8_usize, any::<bool>()).prop_map(|(count, crossed)| Deed::Tail { count, crossed }),
        3 => (1..6_usize).prop_map(Deed::Forget),
        8 => (stream.clone(), 1..8_usize).prop_map(|(stream, steps)| Deed::Live { stream, steps }),
        6 => (stream.clone(), 1..8_usize, 0..8_usize)
            .prop_map(|(stream, looked_at, sent)| Deed::CatchUp { stream, looked_at, sent }),
        2 => (stream.clone(), any::<bool>()).prop_map(|(stream, on)| Deed::Pause(stream, on)),
        2 => (stream, 0..4_u8).prop_map(|(stream, kind)| Deed::Filter(stream, kind)),
        1 => (0..12_usize).prop_map(Deed::Restore),
        1 => (0..6_usize).prop_map(Deed::Expire),
    ];
    prop::collection::vec(deed, 1..120)
}

/// Streams of one model.
const STREAMS: usize = 3;

struct Model {
    log: Vec<Made>,
    floor_seq: i64,
    /// What was written after a restore does not expire: rings forget within seconds, logs after days.
    lasting: i64,
    clock: i64,
    feed: Feed,
    /// The log as the ring has it.
    rung: Vec<Made>,
    /// The writer's session.
    session: u64,
    /// What it has committed and not handed over, and the log as it was then.
    unhanded: Option<(Run, Vec<Made>)>,
    streams: Vec<Course>,
}

/// What a stream did in one go.
#[derive(Debug, Default)]
struct Done {
    sent: Vec<Place>,
    gap: Option<Gap>,
}

fn wanted(kind: u8) -> Wanted {
    let action = |name| Filter::read([("action", name)]).expect("a filter");
    let filter = match kind {
        0 => Filter::ALL,
        1 => action("ODD"),
        2 => action("EVEN"),
        _ => action("NEVER"),
    };
    Wanted::new(filter.into(), true)
}

fn stored(made: Made) -> StoredEntry<'static> {
    StoredEntry::bare(made.place, "a", if made.odd { "ODD" } else { "EVEN" }, "thing")
}

fn item(made: Made) -> Item {
    Item::new(KeptEntry::of(&stored(made)))
}

fn takes(course: &Course, made: Made) -> bool {
    let entry = stored(made);
    course.wanted.lets_through(&KeptEntry::of(&entry)) && course.wanted.takes_filtered(&entry)
}

impl Model {
    fn new() -> Self {
        let feed = Feed::new(TENANT, None, 1, Arc::default());
        let streams = (0..STREAMS).map(|_| Course::new(None, feed.epoch(), wanted(0))).collect();
        Self {
            log: Vec::new(),
            floor_seq: 1,
            lasting: i64::MAX,
            clock: 0,
            feed,
            rung: Vec::new(),
            session: 1,
            unhanded: None,
            streams,
        }
    }

    fn append(&mut self, kinds: &[bool]) {
        for odd in kinds {
            self.clock += 1;
            let seq = Seq::new(self.log.len() as i64 + 1).expect("a number");
            let recorded_at = Timestamp::from_millis(self.clock);
            self.log.push(Made { place: Place { recorded_at, seq }, odd: *odd });
        }
    }

    /// Whether the log holds this place, or is empty before it.
    fn holds(&self, after: After) -> bool {
        let Some(place) = after else { return true };
        self.log.iter().any(|made| made.place == place) || place.seq.get() == self.floor_seq - 1
    }

    fn head(&self) -> After {
        self.log.last().map(|made| made.place)
    }

    /// The place below the floor, where one has expired.
    fn oldest(&self) -> Option<Place> {
        let seq = Seq::new(self.floor_seq - 1)?;
        Some(self.log[usize::try_from(seq.get()).expect("small") - 1].place)
    }

    fn record(&mut self, kinds: &[bool], late: bool) {
        self.hand();
        self.append(kinds);
        let first = self.log[self.log.len() - kinds.len()].place.seq;
        let last = self.head().expect("an entry");
        let run = Run { session: self.session, first, last };
        self.unhanded = Some((run, self.log.clone()));
        if !late {
            self.hand();
        }
    }

    fn hand(&mut self) {
        let Some((run, log)) = self.unhanded.take() else { return };
        let first = usize::try_from(run.first.get() - 1).expect("small");
        let items = || log[first..].iter().map(|made| item(*made)).collect();
        let quiet = quiet_after((log.len() - first) as u64);
        if self.feed.hand(run, quiet, items) != Handed::Refused {
            self.rung = log;
        }
    }

    fn tail(&mut self, count: usize, crossed: bool) {
        let end = self.feed.end();
        if !self.holds(end) || seq(end) < self.floor_seq - 1 {
            self.feed.reset(self.head(), self.floor_seq);
            self.rung = self.log.clone();
            return;
        }
        let new = &self.log[usize::try_from(seq(end)).expect("small")..];
        let new = &new[..count.min(new.len())];
        let to = new.last().map_or(end, |made| Some(made.place));
        let items = new.iter().map(|made| item(*made)).collect();
        if crossed {
            self.hand();
        }
        if self.feed.push(end, items, to, self.floor_seq) {
            self.rung = self.log.clone();
        }
    }

    fn live(&mut self, stream: usize, steps: usize) -> Done {
        let mut done = Done::default();
        for _ in 0..steps {
            match self.streams[stream].step(&self.feed, 2) {
                Step::Send(item) => done.sent.push(item.entry.place()),
                Step::Rest => {}
                Step::Wait | Step::Read => break,
            }
        }
        done
    }

    /// As a session does it with what `reading` finds.
    fn catch_up(&mut self, stream: usize, looked_at: usize, sent: usize) -> Done {
        let mut done = Done::default();
        let epoch = self.feed.epoch();
        let after = self.streams[stream].after();
        let oldest = self.oldest().filter(|oldest| seq(after) < oldest.seq.get());
        let holds = self.holds(after);
        let (log, head) = (self.log.clone(), self.head());
        let course = &mut self.streams[stream];
        if let Some(oldest) = oldest {
            done.gap = Some(course.expire(oldest));
        } else if !holds {
            let undone = after.expect("the beginning is always there").recorded_at;
            let kept = log.iter().rev().find(|made| made.place.recorded_at < undone);
            done.gap = Some(course.undo(kept.map(|made| made.place)));
        } else {
            let from = usize::try_from(seq(after)).expect("small").min(log.len());
            let to = (from + looked_at).min(log.len());
            let mut frames = log[from..to].iter().filter(|made| takes(course, **made)).peekable();
            let mut passed = Vec::new();
            while let Some(made) = frames.next_if(|_| passed.len() < sent) {
                passed.push(made.place);
            }
            let is_all = frames.next().is_none();
            for place in passed {
                course.pass(Some(place), epoch);
                done.sent.push(place);
            }
            if is_all {
                course.pass(if to == log.len() { head } else { Some(log[to - 1].place) }, epoch);
            }
        }
        done
    }

    /// Does one thing; whoever moved must have moved rightly.
    fn do_one(&mut self, deed: Deed) {
        let (stream, known, done, before) = match deed {
            Deed::Append(kinds) => return self.append(&kinds),
            Deed::Record { kinds, late } => return self.record(&kinds, late),
            Deed::Hand => return self.hand(),
            Deed::Reconnect => {
                self.session += 1;
                return;
            }
            Deed::Tail { count, crossed } => return self.tail(count, crossed),
            Deed::Forget(count) => return self.feed.forget(count),
            Deed::Pause(stream, on) => {
                self.streams[stream].paused = on;
                return;
            }
            Deed::Filter(stream, kind) => {
                *self.streams[stream].wanted = wanted(kind);
                return;
            }
            Deed::Restore(kept) => {
                let kept = kept.max(usize::try_from(self.floor_seq - 1).expect("small"));
                self.log.truncate(kept);
                self.lasting = self.lasting.min(kept as i64 + 1);
                // What is restored has lost its sessions.
                self.session += 1;
                return;
            }
            Deed::Expire(count) => {
                let floor = self.floor_seq + count as i64;
                self.floor_seq = floor.min(self.log.len() as i64 + 1).min(self.lasting);
                return;
            }
            Deed::Live { stream, steps } => {
                let before = self.streams[stream].after();
                (stream, self.rung.clone(), self.live(stream, steps), before)
            }
            // As a session does, which reads the log only when the ring has nothing to say.
            Deed::CatchUp { stream, .. }
                if !self.streams[stream].is_behind(&self.feed)
                    && !self.streams[stream].is_beyond(&self.feed) =>
            {
                return;
            }
            Deed::CatchUp { stream, looked_at, sent } => {
                let before = self.streams[stream].after();
                let done = self.catch_up(stream, looked_at, sent);
                (stream, self.log.clone(), done, before)
            }
        };
        let course = &self.streams[stream];
        match done.gap {
            None => assert_moved(course, &known, before, &done.sent),
            Some(gap) => assert_gap(gap, before, course.after()),
        }
    }

    /// Everybody gets all that there is.
    fn settle(&mut self) {
        self.hand();
        while self.feed.end() != self.head() {
            self.tail(3, false);
        }
        for stream in 0..STREAMS {
            self.streams[stream].paused = false;
            for _ in 0..1_000 {
                self.do_one(Deed::Live { stream, steps: 5 });
                if self.streams[stream].after() == self.head() {
                    break;
                }
                self.do_one(Deed::CatchUp { stream, looked_at: 3, sent: 2 });
            }
            assert_eq!(self.streams[stream].after(), self.head(), "it has all");
        }
    }
}

/// Of what lies between two places, exactly what is wanted was sent, in order.
fn assert_moved(course: &Course, known: &[Made], before: After, sent: &[Place]) {
    let (from, to) = (seq(before), seq(course.after()));
    assert!(from <= to, "a stream went back without a gap");
    assert!(!course.paused || sent.is_empty(), "a paused stream sent something");
    let between = known.iter().filter(|made| (from + 1..=to).contains(&made.place.seq.get()));
    let expected: Vec<Place> =
        between.filter(|made| takes(course, **made)).map(|made| made.place).collect();
    assert_eq!(sent, expected, "between {from} and {to}");
}

/// A gap covers exactly the numbers between the two places.
fn assert_gap(gap: Gap, before: After, after: After) {
    let (before, after) = (seq(before), seq(after));
    match gap.reason {
        Reason::Expired => assert_eq!((gap.from_seq, gap.to_seq), (before + 1, after)),
        Reason::HistoryChanged => assert_eq!((gap.from_seq, gap.to_seq), (after + 1, before)),
    }
    assert!(gap.from_seq <= gap.to_seq);
}

proptest! {
    #[test]
    fn each_entry_is_sent_once_and_in_order_whatever_happens(deeds in deeds()) {
        let mut model = Model::new();
        for deed in deeds {
            model.do_one(deed);
        }
        model.settle();
    }
}

fn feed_of(entries: i64, text: usize, all: &Arc<AtomicUsize>) -> (Feed, usize) {
    let feed = Feed::new(TENANT, None, 1, Arc::clone(all));
    let message = "x".repeat(text);
    for n in 1..=entries {
        let place =
            Place { recorded_at: Timestamp::from_millis(n), seq: Seq::new(n).expect("a number") };
        let entry = StoredEntry { message: Some(&message), ..stored(Made { place, odd: true }) };
        let item = Item::new(KeptEntry::of(&entry));
        assert!(
            item.frame(&feed.framer).len() + entry.message.unwrap_or_default().len()
                <= item.bytes()
        );
        assert!(feed.push(feed.end(), vec![item], Some(place), 1), "it follows");
    }
    let kept = all.load(Ordering::Relaxed);
    (feed, kept)
}

#[test]
fn rings_are_bounded_one_by_one_and_all_together() {
    let all = Arc::<AtomicUsize>::default();
    let mut feeds = Vec::new();
    for n in 1..=20 {
        let (feed, kept) = feed_of(100, 60 << 10, &all);
        assert!(kept <= super::feed::RINGS_BYTES_MAX, "{n} rings have {kept} bytes");
        assert!(kept <= n * super::feed::RING_BYTES_MAX, "{n} rings have {kept} bytes");
        feeds.push(feed);
    }
    assert!(all.load(Ordering::Relaxed) > super::feed::RINGS_BYTES_MAX / 2);
    drop(feeds);
    assert_eq!(all.load(Ordering::Relaxed), 0, "what is given up is given back");
}

#[test]
fn a_quiet_ring_lets_go_of_everything() {
    let all = Arc::<AtomicUsize>::default();
    let (feed, kept) = feed_of(10, 10, &all);
    assert!(kept > 0);
    feed.forget_old(std::time::Instant::now() + super::feed::KEPT_FOR * 2);
    assert_eq!(all.load(Ordering::Relaxed), 0);
    assert_eq!(seq(feed.end()), 10, "it knows where it was");
}

#[test]
fn a_run_goes_into_the_ring_when_its_session_wrote_what_is_at_the_end() {
    let mut model = Model::new();
    let hand = |model: &mut Model, session, kinds: &[bool]| {
        model.session = session;
        model.record(kinds, false);
        model.feed.end() == model.head()
    };
    assert!(!hand(&mut model, 1, &[true]), "it is not known what the first follows");
    model.tail(9, false);
    assert!(hand(&mut model, 1, &[true, false]));
    assert!(hand(&mut model, 1, &[true]));
    model.append(&[true]);
    assert!(!hand(&mut model, 1, &[true]), "another replica was between");
    model.tail(9, false);
    assert!(hand(&mut model, 1, &[true]));
    assert!(!hand(&mut model, 2, &[true]), "a new session may be one after a restore");
    model.tail(9, false);
    assert!(hand(&mut model, 2, &[true]));
}

#[test]
fn of_a_flood_those_who_watch_are_told_in_turns() {
    let mut model = Model::new();
    let moves = model.feed.moves();
    let told = |model: &mut Model, entries: usize| {
        let mut moves = moves.clone();
        moves.mark_unchanged();
        model.record(&vec![true; entries], false);
        moves.has_changed().expect("it is there")
    };
    told(&mut model, 1);
    model.tail(9, false);
    assert!(told(&mut model, 1), "a single one is told at once");
    assert!(told(&mut model, 200), "and the first of many");
    assert!(!told(&mut model, 1), "the next comes with others");
    assert_eq!(model.feed.tell(), 1, "what was not told yet");
    assert_eq!(model.feed.tell(), 0, "everything is told");
}

#[test]
fn what_the_writer_has_committed_comes_to_those_who_watch_that_log() {
    let streams = Streams::default();
    let other = TenantId::new(Uuid::from_u128(8));
    let watches = [TENANT, other].map(|tenant_id| streams.watch(tenant_id, None, 1));
    let entry = NewEntry::own(&CallerDefaults::service(), Action::from_static("SEEN"));
    let entries = [entry.clone(), entry];
    let fresh = |tenant_id, first_seq| Fresh {
        tenant_id,
        entries: &entries,
        written: Written {
            first_seq: Seq::new(first_seq).expect("a number"),
            recorded_at: Timestamp::from_millis(first_seq),
        },
    };
    let ends = || watches.each_ref().map(|watch| seq(watch.feed.end()));
    streams.hand(1, [fresh(TENANT, 1), fresh(other, 5)].into_iter());
    assert_eq!(ends(), [0, 0], "what these follow is not known");
    for (watch, end) in watches.iter().zip([2, 6]) {
        let place = Place {
            recorded_at: Timestamp::from_millis(end - 1),
            seq: Seq::new(end).expect("a number"),
        };
        watch.feed.reset(Some(place), 1);
    }
    let unwatched = TenantId::new(Uuid::from_u128(9));
    let batch = [fresh(TENANT, 3), fresh(unwatched, 1), fresh(other, 7), fresh(TENANT, 5)];
    streams.hand(1, batch.into_iter());
    assert_eq!(ends(), [6, 8]);
}
