//! Three replicas on one database, and what becomes of one's writes when it is killed.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::{Stage, for_seeds, turn};

#[tokio::test(flavor = "multi_thread")]
async fn logs_written_by_three_replicas_are_gapless_and_in_order() {
    let _turn = turn().await;
    let stage = Stage::on_shared(3).await;
    for_seeds("three replicas", async |seed| {
        let tenants = stage.tenants(6).await;
        let load = stage.load(seed, &tenants).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        stage.verify(load).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_loses_nothing_that_it_acknowledged() {
    let _turn = turn().await;
    let mut stage = Stage::on_shared(3).await;
    for_seeds("kill -9 of a service", async |seed| {
        let mut rng = SmallRng::seed_from_u64(seed);
        let tenants = stage.tenants(6).await;
        let load = stage.load(seed, &tenants).await;
        for _ in 0..rng.random_range(1..=3) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..800))).await;
            let victim = rng.random_range(0..stage.services.len());
            stage.services[victim].kill();
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..500))).await;
            stage.services[victim].restart().await;
        }
        stage.verify(load).await;
    })
    .await;
}
