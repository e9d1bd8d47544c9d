//! When a connection has been silent for too long, or too slow.
//!
//! A connection waits for a request, receives its head, waits for the answer, or sends it. Waiting
//! for the answer has no limit here: requests have their own.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::{ConnectionState, Counted};

/// How long a client may take for an answer that is all in memory; and of any other, how long it
/// may take nothing at all: longer than exports and streams allow, which tell why they end.
const TAKEN_WITHIN: Duration = Duration::from_mins(2);

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Until the head of a request is there, from its first byte; of the first request from when
    /// the connection was accepted.
    pub head: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
    taken_within: Duration,
}

impl Times {
    /// As they were set, all of them divided by `hurry`, for tests.
    pub fn new(head: Duration, idle: Duration, hurry: u32) -> Self {
        Self { head: head / hurry, idle: idle / hurry, taken_within: TAKEN_WITHIN / hurry }
    }

    /// How often a connection is looked at: before the shortest of the times is over.
    pub(super) fn look(&self) -> Duration {
        self.head.min(self.idle).min(self.taken_within) / 2
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Clock {
    times: Times,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The same, for who looks at all connections.
    counted: Counted,
    /// Since when the client takes nothing of what waits for it.
    blocked_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between requests, since then.
    Idle(Instant),
    /// Within the head of one, since then.
    Head(Instant),
    /// A handler works.
    Asked,
    /// An answer is being made and sent, until then at the latest.
    Answering(Option<Instant>),
    /// All of it is made, and not all of it sent.
    Made(Option<Instant>),
    /// It speaks another protocol from now on, that has limits of its own.
    Upgraded,
}

impl Phase {
    fn as_state(self) -> ConnectionState {
        match self {
            Self::Idle(_) => ConnectionState::Idle,
            Self::Head(_) => ConnectionState::Head,
            Self::Asked => ConnectionState::Asked,
            Self::Answering(_) | Self::Made(_) => ConnectionState::Answering,
            Self::Upgraded => ConnectionState::Upgraded,
        }
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.counted.enter(phase.as_state());
    }
}

impl Clock {
    pub(super) fn start(times: Times, mut counted: Counted) -> Self {
        let phase = Phase::Head(Instant::now());
        counted.enter(phase.as_state());
        let state = State { phase, counted, blocked_at: None };
        Self { times, state: Mutex::new(state) }
    }

    /// Something came.
    pub(super) fn heard(&self) {
        let mut state = self.lock();
        if let Phase::Idle(_) = state.phase {
            state.enter(Phase::Head(Instant::now()));
        }
    }

    /// The head of a request is there.
    pub(super) fn asked(&self) {
        self.lock().enter(Phase::Asked);
    }

    /// The answer begins.
    pub(super) fn answering(&self, has_own_pace: bool) {
        let until = (!has_own_pace).then(|| Instant::now() + self.times.taken_within);
        self.lock().enter(Phase::Answering(until));
    }

    /// What is sent from now on is no answer.
    pub(super) fn upgraded(&self) {
        self.lock().enter(Phase::Upgraded);
    }

    /// The connection is ended by us.
    pub(super) fn cut(&self) {
        self.lock().counted.cut();
    }

    /// Nothing more is to come of it.
    pub(super) fn made(&self) {
        let mut state = self.lock();
        if let Phase::Answering(until) = state.phase {
            state.enter(Phase::Made(until));
        }
    }

    /// Some of what was written went out.
    pub(super) fn wrote(&self) {
        self.lock().blocked_at = None;
    }

    /// Nothing of it can go out now.
    pub(super) fn blocked(&self) {
        self.lock().blocked_at.get_or_insert_with(Instant::now);
    }

    /// All of it went out.
    pub(super) fn flushed(&self) {
        let mut state = self.lock();
        state.blocked_at = None;
        if let Phase::Made(_) = state.phase {
            state.enter(Phase::Idle(Instant::now()));
        }
    }

    /// When the connection is to be cut, if nothing happens until then.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.lock();
        let of_phase = match state.phase {
            Phase::Idle(since) => Some(since + self.times.idle),
            Phase::Head(since) => Some(since + self.times.head),
            Phase::Asked | Phase::Upgraded => None,
            Phase::Answering(until) | Phase::Made(until) => until,
        };
        let of_blockage = state.blocked_at.map(|since| since + self.times.taken_within);
        of_phase.into_iter().chain(of_blockage).min()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    fn clock() -> Clock {
        let counted = Counted::new(Metrics::default(), ConnectionState::Head);
        Clock::start(Times::new(HEAD, IDLE, 1), counted)
    }

    /// Whether so much time is left, give or take what a test needs to ask.
    fn is_left(clock: &Clock, left: Duration) -> bool {
        let until = clock.deadline().expect("a deadline") - Instant::now();
        until <= left && until + Duration::from_secs(1) > left
    }

    #[test]
    fn a_request_that_comes_byte_by_byte_has_as_long_as_one_that_never_comes() {
        let clock = clock();
        assert!(is_left(&clock, HEAD));
        let deadline = clock.deadline();
        clock.heard();
        clock.heard();
        assert_eq!(clock.deadline(), deadline, "more bytes give no more time");
    }

    #[test]
    fn between_requests_there_is_more_time_until_the_next_one_begins() {
        let clock = clock();
        clock.asked();
        assert_eq!(clock.deadline(), None, "a handler has its own limits");
        clock.answering(false);
        clock.made();
        clock.flushed();
        assert!(is_left(&clock, IDLE));
        clock.heard();
        assert!(is_left(&clock, HEAD));
    }

    #[test]
    fn an_answer_in_memory_has_a_time_and_a_stream_only_needs_to_be_read() {
        let clock = clock();
        clock.answering(false);
        clock.flushed();
        assert!(is_left(&clock, TAKEN_WITHIN), "a part that went out gives no more time");
        clock.answering(true);
        assert_eq!(clock.deadline(), None);
        clock.blocked();
        assert!(is_left(&clock, TAKEN_WITHIN));
        clock.wrote();
        assert_eq!(clock.deadline(), None);
    }
}
