//! Random tests: a bounded number of seeds, printed; one repeated when it is named.

use std::time::{Duration, Instant};

/// Repeats this seed, and no other.
const SEED: &str = "AUDIT_TEST_SEED";

/// So many seeds of a scenario are enough, also in a soak.
const SEEDS_MAX: &str = "AUDIT_TEST_SEEDS";

/// Whether the long tests are to run in full.
pub(crate) fn soak() -> bool {
    std::env::var_os("AUDIT_TEST_SOAK").is_some_and(|value| value == "1")
}

/// One seed: the named one, or a new one.
pub(crate) fn seed(scenario: &str) -> u64 {
    let seed = named().unwrap_or_else(rand::random);
    eprintln!("{scenario}: to repeat it: {SEED}={seed}");
    seed
}

/// How many seeds were asked for, if somebody did.
pub(crate) fn wanted(otherwise: usize) -> usize {
    number(SEEDS_MAX).unwrap_or(otherwise)
}

fn named() -> Option<u64> {
    number(SEED)
}

fn number<N: std::str::FromStr<Err: std::fmt::Debug>>(variable: &str) -> Option<N> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Runs a scenario with one seed after the other: all of them in a soak, else while there is time.
pub(crate) async fn for_seeds(
    scenario: &str,
    seeds: usize,
    time: Duration,
    mut run: impl AsyncFnMut(u64),
) {
    let begun = Instant::now();
    let enough = number(SEEDS_MAX).unwrap_or(seeds);
    let seeds = if named().is_some() { 1 } else { seeds.min(enough) };
    for n in 1..=seeds {
        run(seed(&format!("{scenario}: seed {n}"))).await;
        if !soak() && begun.elapsed() > time {
            break;
        }
    }
    eprintln!("{scenario}: done after {:.1} s", begun.elapsed().as_secs_f32());
}
