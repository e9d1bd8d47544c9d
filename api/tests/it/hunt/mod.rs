//! The hunt for lost entries: all that is between a log and its index is killed, paused and made to
//! repeat itself, and afterwards, without anyone touching the queue, the index is what the log is.
//!
//! The parts are the real ones: two replicas, SQS and the Lambda's binary behind its mapping,
//! OpenSearch. A seed decides what is hit, when and for how long. `make test` hunts with one seed,
//! `AUDIT_TEST_SOAK=1` with 50, or with `AUDIT_TEST_SEEDS`; `AUDIT_TEST_SEED` repeats one.

mod faults;
mod scene;
mod shuffler;
mod verdict;
mod writers;

use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio_util::sync::CancellationToken;

use self::scene::Scene;
use crate::support::parts::Parts;
use crate::support::seeds;

/// Seeds in a soak.
const SEEDS: usize = 50;

/// After so long no further seed is begun, outside of a soak.
const TIME_FOR_SEEDS: Duration = Duration::from_secs(5);

/// How long all goes well before the first fault.
const PEACE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_the_log_whatever_was_killed_paused_or_delivered_twice() {
    let begun = Instant::now();
    let parts = Parts::start().await;
    eprintln!("OpenSearch and SQS run after {:.1} s", begun.elapsed().as_secs_f32());
    seeds::for_seeds("loss hunt", SEEDS, TIME_FOR_SEEDS, async |seed| {
        let (mut rng, begun) = (SmallRng::seed_from_u64(seed), Instant::now());
        let mut scene = Scene::set(&parts, &mut rng).await;
        let writers = scene.write(&mut rng);
        tokio::time::sleep(PEACE).await;
        eprintln!("  the first fault after {:.1} s", begun.elapsed().as_secs_f32());
        hunt(&parts, &mut scene, &mut rng).await;
        let acknowledged = writers.finish().await;
        verdict::assert_index_is_log(&scene, &acknowledged).await;
        scene.end().await;
    })
    .await;
}

/// All faults of a seed: the programs are hit for as long as the parts behind them are.
async fn hunt(parts: &Parts, scene: &mut Scene, rng: &mut SmallRng) {
    let (mut rng_programs, mut rng_parts) = (SmallRng::from_rng(rng), SmallRng::from_rng(rng));
    let over = CancellationToken::new();
    let way = scene.way();
    let programs =
        faults::strike_programs(&mut scene.services, parts, &mut rng_programs, over.clone());
    let behind = async {
        let struck = faults::strike_parts(parts, &way, &mut rng_parts).await;
        over.cancel();
        struck
    };
    let expiring = scene::expire(&way);
    let (programs, behind, ()) = tokio::join!(programs, behind, expiring);
    eprintln!("  struck: {programs}, {behind}");
}
