//! What is struck, in an order and at times that the seed decides.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::scene::Way;
use crate::support::parts::Parts;
use crate::support::process::{Frozen, Pid};
use crate::support::service::Service;
use crate::support::{eventually, seeds};

/// How long a process is paused, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 200..5_000;

/// How long nothing happens between two faults.
const REST_MS: std::ops::Range<u64> = 100..1_200;

/// How long what was killed stays away.
const AWAY_MS: std::ops::Range<u64> = 0..1_500;

/// Messages that are to be sent while OpenSearch is away.
const STARVED_MIN: u64 = 10;

/// How soon they must be sent, and be in the dead-letter queue, while other things are struck.
const SENT_WITHIN: Duration = Duration::from_secs(30);
const DEAD_WITHIN: Duration = Duration::from_secs(90);

/// How often each fault was, and how long it took in all.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<String, (u64, Duration)>);

impl Tally {
    fn note(&mut self, fault: impl fmt::Debug, begun: Instant) {
        let (times, took) = self.0.entry(format!("{fault:?}")).or_default();
        *times += 1;
        *took += begun.elapsed();
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |(fault, (times, took)): (&String, &(u64, Duration))| {
            format!("{fault} {times} in {:.1} s", took.as_secs_f32())
        };
        let faults: Vec<_> = self.0.iter().map(told).collect();
        f.write_str(&faults.join(", "))
    }
}

#[derive(Debug, Clone, Copy)]
enum OfPrograms {
    KillService,
    PauseService,
    KillLambda,
    PauseLambda,
}

/// Kills and pauses replicas and the Lambda's processes, one after the other, until it is over.
pub(super) async fn strike_programs(
    services: &mut [Service],
    parts: &Parts,
    rng: &mut SmallRng,
    over: CancellationToken,
) -> Tally {
    use OfPrograms::{KillLambda, KillService, PauseLambda, PauseService};
    let mut deck = [KillService, PauseService, KillLambda, PauseLambda];
    let mut tally = Tally::default();
    loop {
        deck.shuffle(rng);
        for fault in deck {
            sleep(some(rng, REST_MS)).await;
            if over.is_cancelled() {
                return tally;
            }
            let begun = Instant::now();
            strike_program(fault, services, parts, rng).await;
            tally.note(fault, begun);
        }
    }
}

async fn strike_program(
    fault: OfPrograms,
    services: &mut [Service],
    parts: &Parts,
    rng: &mut SmallRng,
) {
    let victim = rng.random_range(0..services.len());
    match fault {
        OfPrograms::KillService => {
            services[victim].kill();
            sleep(some(rng, AWAY_MS)).await;
            services[victim].restart().await;
        }
        OfPrograms::PauseService => {
            let _frozen = Frozen::new(services[victim].pid());
            sleep(some(rng, PAUSE_MS)).await;
        }
        OfPrograms::KillLambda => {
            let workers = parts.emulator.workers();
            workers.into_iter().filter(|_| rng.random_bool(0.7)).for_each(Pid::kill_if_there);
        }
        OfPrograms::PauseLambda => {
            let workers = parts.emulator.workers().into_iter();
            let _frozen: Vec<_> =
                workers.filter(|_| rng.random_bool(0.7)).map(Frozen::if_there).collect();
            sleep(some(rng, PAUSE_MS)).await;
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum OfParts {
    KillEmulator,
    PauseEmulator,
    KillOpenSearch,
    PauseOpenSearch,
    /// OpenSearch is away until the queue has given up on what was sent meanwhile.
    Starve,
}

/// Strikes what is behind the service: each in its turn, and no two of them at once.
pub(super) async fn strike_parts(parts: &Parts, way: &Way, rng: &mut SmallRng) -> Tally {
    use OfParts::{KillEmulator, KillOpenSearch, PauseEmulator, PauseOpenSearch, Starve};
    let mut faults = vec![KillEmulator, PauseOpenSearch, PauseEmulator, Starve];
    if seeds::soak() {
        faults.extend([KillOpenSearch, KillEmulator, KillOpenSearch]);
    }
    faults.shuffle(rng);
    let mut tally = Tally::default();
    for fault in faults {
        sleep(some(rng, REST_MS)).await;
        let begun = Instant::now();
        strike_part(fault, parts, way, rng).await;
        tally.note(fault, begun);
    }
    tally
}

async fn strike_part(fault: OfParts, parts: &Parts, way: &Way, rng: &mut SmallRng) {
    match fault {
        OfParts::KillEmulator => {
            parts.emulator.pid().await.end().await;
            way.shuffler.forget();
            sleep(some(rng, AWAY_MS)).await;
            parts.emulator.start_again().await;
            way.make_queues().await;
        }
        OfParts::PauseEmulator => {
            let _frozen = Frozen::new(parts.emulator.pid().await);
            sleep(some(rng, PAUSE_MS)).await;
        }
        OfParts::KillOpenSearch => {
            parts.opensearch.pid().await.end().await;
            sleep(some(rng, AWAY_MS)).await;
            parts.opensearch.start_again().await;
        }
        OfParts::PauseOpenSearch => {
            let _frozen = Frozen::new(parts.opensearch.pid().await);
            sleep(some(rng, PAUSE_MS)).await;
        }
        OfParts::Starve => {
            parts.opensearch.pid().await.end().await;
            starve(way).await;
            parts.opensearch.start_again().await;
        }
    }
}

/// Waits until what waits for the index and what is sent now are in the dead-letter queue: all of it
/// in a soak, else as much as was to be sent.
async fn starve(way: &Way) {
    let (dead, sent) = (way.dead_letters().await, way.shuffler.sent());
    let mut starving = way.waiting().await;
    eventually("messages are sent while OpenSearch is away", SENT_WITHIN, async || {
        way.shuffler.sent() >= sent + STARVED_MIN
    })
    .await;
    starving += way.shuffler.sent() - sent;
    if !seeds::soak() {
        starving = starving.min(STARVED_MIN);
    }
    eventually("the queue gives up on them", DEAD_WITHIN, async || {
        way.dead_letters().await >= dead + starving
    })
    .await;
}

fn some(rng: &mut SmallRng, ms: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(ms))
}
