//! How long to wait before trying again.

use std::time::Duration;

/// The longest wait before the second try; each further one may be twice as long.
const FIRST_MAX: Duration = Duration::from_millis(100);

/// The longest wait of all.
const LONGEST: Duration = Duration::from_secs(5);

/// A pause after this many failed rounds, from 1: of any length up to a limit that doubles, so that
/// many functions that failed together do not come back together.
pub(crate) fn pause(failed_rounds: u32) -> Duration {
    longest(failed_rounds).mul_f64(rand::random())
}

fn longest(failed_rounds: u32) -> Duration {
    let doublings = failed_rounds.saturating_sub(1).min(16);
    FIRST_MAX.saturating_mul(1 << doublings).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_differ() {
        let longest: Vec<_> = (1..=8).map(|round| longest(round).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        let some: std::collections::BTreeSet<_> = (0..50).map(|_| pause(6)).collect();
        assert!(some.len() > 40 && some.iter().all(|pause| *pause <= Duration::from_millis(3_200)));
    }
}
