//! What happens to the replicas, one after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use crate::support::process::Frozen;
use crate::support::service::Service;

const REST_MS: std::ops::Range<u64> = 200..2_000;
const AWAY_MS: std::ops::Range<u64> = 0..1_500;
const FROZEN_MS: std::ops::Range<u64> = 200..3_000;

/// How often each fault was.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<&'static str, u32>);

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self.0.iter().map(|(fault, n)| format!("{fault} {n}")).collect();
        f.write_str(&faults.join(", "))
    }
}

/// Strikes for so long; afterwards all replicas serve.
pub(super) async fn strike(services: &mut [Service], lasts: Duration, rng: &mut SmallRng) -> Tally {
    let (begun, mut tally) = (Instant::now(), Tally::default());
    // Each kind in turn, so that none is left out; the seed decides whom and when.
    for turn in 0.. {
        sleep(some(rng, REST_MS)).await;
        if begun.elapsed() >= lasts {
            break;
        }
        let victim = rng.random_range(0..services.len());
        let fault = match turn % 4 {
            0 => kill(&mut services[victim..=victim], rng).await,
            1 => stop(&mut services[victim], rng).await,
            2 => freeze(&services[victim], rng).await,
            _ => kill(services, rng).await,
        };
        *tally.0.entry(fault).or_default() += 1;
    }
    tally
}

/// `kill -9`, of one or of all at once.
async fn kill(services: &mut [Service], rng: &mut SmallRng) -> &'static str {
    services.iter_mut().for_each(Service::kill);
    sleep(some(rng, AWAY_MS)).await;
    for service in &mut *services {
        service.restart().await;
    }
    if services.len() == 1 { "one killed" } else { "all killed" }
}

/// In good order, while its clients read.
async fn stop(service: &mut Service, rng: &mut SmallRng) -> &'static str {
    service.pid().terminate();
    let ended = service.ended().await;
    assert!(ended.success(), "a replica that was stopped ended with {ended}");
    sleep(some(rng, AWAY_MS)).await;
    service.restart().await;
    "stopped"
}

async fn freeze(service: &Service, rng: &mut SmallRng) -> &'static str {
    let _frozen = Frozen::new(service.pid());
    sleep(some(rng, FROZEN_MS)).await;
    "frozen"
}

pub(super) fn some(rng: &mut SmallRng, ms: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(ms))
}
