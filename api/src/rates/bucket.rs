//! A bucket of tokens, kept as a single number: when it will be full again.
//!
//! Tokens that are missing are a time that must pass, so nothing has to fill the bucket, and
//! whoever takes one changes one word of memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Rate;

/// Tokens that a bucket may owe: those of the largest request.
const OWED_MAX: u64 = domain::ENTRIES_MAX as u64;

/// See the module. Times are nanoseconds since the service began.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    full_at: AtomicU64,
}

/// How full it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) remaining: u64,
    pub(super) full_in: Duration,
}

impl Bucket {
    /// Takes one token, or says how long it takes until there is one.
    pub(super) fn take(&self, rate: &Rate, now: u64) -> Result<(), Duration> {
        let (one, all) = sizes(rate);
        let mut wait = 0;
        let taken = self.change(rate, now, |missing| {
            wait = (missing + one).saturating_sub(all);
            (wait == 0).then_some(missing + one)
        });
        taken.then_some(()).ok_or(Duration::from_nanos(wait))
    }

    /// Takes so many tokens, whether they are there or not.
    pub(super) fn owe(&self, rate: &Rate, tokens: usize, now: u64) {
        let (one, _) = sizes(rate);
        let tokens = (tokens as u64).min(OWED_MAX);
        self.change(rate, now, |missing| Some(missing + tokens * one));
    }

    /// How full it is.
    pub(super) fn standing(&self, rate: &Rate, now: u64) -> Standing {
        let (one, all) = sizes(rate);
        let missing = missing(self.full_at.load(Ordering::Relaxed), rate, now);
        Standing {
            remaining: all.saturating_sub(missing) / one,
            full_in: Duration::from_nanos(missing),
        }
    }

    /// Changes what is missing, as a time, unless there is nothing to change.
    fn change(&self, rate: &Rate, now: u64, mut change: impl FnMut(u64) -> Option<u64>) -> bool {
        let changed = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            change(missing(full_at, rate, now)).map(|missing| now + missing)
        });
        changed.is_ok()
    }
}

/// What one token is, and all of them, in nanoseconds.
fn sizes(rate: &Rate) -> (u64, u64) {
    let one = rate.interval_ns();
    (one, one * u64::from(rate.burst()))
}

/// The time until it is full. No more than this rate can have left behind: the one before it may
/// have been slower by far.
fn missing(full_at: u64, rate: &Rate, now: u64) -> u64 {
    let (one, all) = sizes(rate);
    full_at.saturating_sub(now).min(all + OWED_MAX * one)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).expect("a rate")
    }

    /// How many of so many requests at that time are let through.
    fn let_through(bucket: &Bucket, rate: &Rate, now: u64) -> usize {
        (0..1_000).filter(|_| bucket.take(rate, now).is_ok()).count()
    }

    #[test]
    fn at_once_what_is_said_and_then_as_many_as_come_back() {
        let (bucket, rate) = (Bucket::default(), rate("10/s:25"));
        assert_eq!(let_through(&bucket, &rate, 0), 25);
        assert_eq!(let_through(&bucket, &rate, SECOND / 10 - 1), 0);
        assert_eq!(let_through(&bucket, &rate, SECOND / 10), 1);
        assert_eq!(let_through(&bucket, &rate, SECOND), 9);
        assert_eq!(let_through(&bucket, &rate, 60 * SECOND), 25, "never more than at once");
    }

    #[test]
    fn over_a_long_time_no_more_than_the_rate_however_they_come() {
        let (bucket, rate) = (Bucket::default(), rate("50/s"));
        let mut rng = 0x9e37_79b9_u64;
        let (mut now, mut taken) = (0, 0_u64);
        while now < 100 * SECOND {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            now += rng % (SECOND / 100);
            taken += u64::from(bucket.take(&rate, now).is_ok());
        }
        assert!((5_000..=5_051).contains(&taken), "{taken}");
    }

    #[test]
    fn who_is_refused_is_told_when_to_come_back_and_then_is_let_through() {
        let (bucket, rate) = (Bucket::default(), rate("2/m"));
        assert_eq!(let_through(&bucket, &rate, 0), 2);
        let wait = bucket.take(&rate, SECOND).expect_err("nothing left");
        assert_eq!(wait, Duration::from_secs(29));
        assert!(bucket.take(&rate, 30 * SECOND).is_ok());
    }

    #[test]
    fn a_large_request_is_paid_for_by_those_after_it() {
        let (bucket, rate) = (Bucket::default(), rate("100/s"));
        assert!(bucket.take(&rate, 0).is_ok());
        bucket.owe(&rate, 999, 0);
        let standing = bucket.standing(&rate, 0);
        assert_eq!(standing, Standing { remaining: 0, full_in: Duration::from_secs(10) });
        assert_eq!(bucket.take(&rate, 0), Err(Duration::from_millis(9_010)));
        assert_eq!(let_through(&bucket, &rate, 10 * SECOND), 100);
    }

    #[test]
    fn another_rate_does_not_wait_for_what_the_one_before_has_taken() {
        let bucket = Bucket::default();
        let slow = rate("1/h:24");
        let_through(&bucket, &slow, 0);
        bucket.owe(&slow, 1_000, 0);
        let wait = bucket.take(&rate("1000/s"), 0).expect_err("it owes");
        assert!(wait < Duration::from_secs(2), "{wait:?}");
    }
}
