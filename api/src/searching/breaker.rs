//! The breaker between searches and an index that fails or is slow: while it is open nobody waits
//! for an answer that will not come, and it closes by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

/// Faults in a row that open it.
const FAULTS_MAX: u32 = 3;

/// How long it is open at first; each try that fails doubles it.
const OPEN_MIN: Duration = Duration::from_secs(1);

/// How long it is open at most.
const OPEN_MAX: Duration = Duration::from_secs(8);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
    /// The index is not to be asked, whether it answers or not.
    is_barred: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the index was heard of at all.
    asked: bool,
    /// In a row.
    faults: u32,
    /// Whether it refused what it was asked last.
    refuses: bool,
    /// When it may be tried again; only while it is open.
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    until: Instant,
    lasts: Duration,
    /// Somebody is trying: the others go on doing without.
    is_tried: bool,
}

/// What is known of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nobody has asked it yet.
    Unknown,
    /// It answers.
    Ok,
    /// It does not, or too slowly, or is not ours to ask.
    Failing,
}

/// Leave to ask the index; what came of it must be told.
#[derive(Debug)]
#[must_use = "it counts what becomes of it"]
pub(super) struct Pass<'b> {
    breaker: &'b Breaker,
    is_told: bool,
}

impl Breaker {
    /// Leave to ask, unless it is open. Once its time is over, for one who tries.
    pub(super) fn admit(&self) -> Option<Pass<'_>> {
        self.admit_at(Instant::now())
    }

    /// Forbids asking, or allows it again. Returns whether it was forbidden.
    pub(super) fn bar(&self, is_barred: bool) -> bool {
        self.is_barred.swap(is_barred, Ordering::Relaxed)
    }

    fn admit_at(&self, now: Instant) -> Option<Pass<'_>> {
        if self.is_barred.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        if let Some(open) = &mut state.open {
            if now < open.until || open.is_tried {
                return None;
            }
            open.is_tried = true;
        }
        Some(Pass { breaker: self, is_told: false })
    }

    /// What is known.
    pub(super) fn condition(&self) -> Condition {
        let state = self.lock();
        if self.is_barred.load(Ordering::Relaxed) {
            return Condition::Failing;
        }
        match (state.asked, state.open) {
            (false, _) => Condition::Unknown,
            (true, None) if !state.refuses => Condition::Ok,
            (true, _) => Condition::Failing,
        }
    }

    fn succeed(&self) {
        let mut state = self.lock();
        if state.open.is_some() {
            info!("the search index answers again");
        }
        *state = State { asked: true, ..State::default() };
    }

    fn fail(&self, now: Instant) {
        let mut state = self.lock();
        state.asked = true;
        state.faults = state.faults.saturating_add(1);
        if state.faults < FAULTS_MAX {
            return;
        }
        let lasts = match state.open {
            // Of the faults that belong to requests from before it opened, none counts.
            Some(open) if !open.is_tried => return,
            Some(open) => (open.lasts * 2).min(OPEN_MAX),
            None => {
                warn!("the search index fails: searches read the log until it answers again");
                OPEN_MIN
            }
        };
        state.open = Some(Open { until: now + lasts, lasts, is_tried: false });
    }

    /// Who tried went away without an answer: somebody else may.
    fn give_up(&self) {
        if let Some(open) = &mut self.lock().open {
            open.is_tried = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// It has answered, in good time.
    pub(super) fn succeed(mut self) {
        self.is_told = true;
        self.breaker.succeed();
    }

    /// It answers, but not this: that says nothing of what others will ask.
    pub(super) fn refuse(self) {
        let mut state = self.breaker.lock();
        state.asked = true;
        state.refuses = true;
        drop(state);
    }

    /// It has not, or not in good time.
    pub(super) fn fail(mut self) {
        self.is_told = true;
        self.breaker.fail(Instant::now());
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.breaker.give_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, now: Instant) {
        let mut pass = breaker.admit_at(now).expect("it is closed, or its time is over");
        pass.is_told = true;
        breaker.fail(now);
    }

    #[test]
    fn it_opens_after_faults_in_a_row_and_lets_one_try_when_its_time_is_over() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert_eq!(breaker.condition(), Condition::Unknown);
        for _ in 1..FAULTS_MAX {
            fail(&breaker, now);
        }
        breaker.admit_at(now).expect("closed").succeed();
        assert_eq!(breaker.condition(), Condition::Ok);
        (0..FAULTS_MAX).for_each(|_| fail(&breaker, now));
        assert_eq!(breaker.condition(), Condition::Failing);
        assert!(breaker.admit_at(now).is_none());
        let later = now + OPEN_MIN;
        let tried = breaker.admit_at(later).expect("its time is over");
        assert!(breaker.admit_at(later).is_none(), "one at a time");
        drop(tried);
        breaker.admit_at(later).expect("the one before went away").succeed();
        assert_eq!(breaker.condition(), Condition::Ok);
    }

    #[test]
    fn while_it_is_barred_nobody_asks() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        breaker.admit_at(now).expect("closed").succeed();
        assert!(!breaker.bar(true));
        assert!(breaker.admit_at(now).is_none());
        assert_eq!(breaker.condition(), Condition::Failing);
        assert!(breaker.bar(false));
        assert!(breaker.admit_at(now).is_some());
        assert_eq!(breaker.condition(), Condition::Ok);
    }

    #[test]
    fn it_waits_longer_each_time_up_to_a_limit() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        (0..FAULTS_MAX).for_each(|_| fail(&breaker, now));
        let mut lasts = OPEN_MIN;
        for _ in 0..8 {
            assert!(breaker.admit_at(now + lasts / 2).is_none());
            now += lasts;
            fail(&breaker, now);
            lasts = (lasts * 2).min(OPEN_MAX);
        }
        assert_eq!(lasts, OPEN_MAX);
    }

    #[test]
    fn late_faults_of_requests_from_before_do_not_keep_it_open() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let before = breaker.admit_at(now).expect("closed");
        (0..FAULTS_MAX).for_each(|_| fail(&breaker, now));
        before.fail();
        assert!(breaker.admit_at(now + OPEN_MIN).is_some());
    }
}
