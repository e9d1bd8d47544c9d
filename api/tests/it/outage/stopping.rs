//! A replica is told to stop while requests are under way.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::{Stage, for_seeds, turn};

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_service_answers_all_that_it_has_taken() {
    let _turn = turn().await;
    let mut stage = Stage::on_shared(3).await;
    for_seeds("SIGTERM", async |seed| {
        let mut rng = SmallRng::seed_from_u64(seed);
        let tenants = stage.tenants(6).await;
        let load = stage.load(seed, &tenants).await;
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..800))).await;
            let victim = rng.random_range(0..stage.services.len());
            stage.services[victim].pid().terminate();
            let ended = stage.services[victim].ended().await;
            assert_eq!(ended.code(), Some(0), "seed {seed}");
            stage.services[victim].restart().await;
        }
        let ledger = load.finish().await;
        let mut admin = stage.admin().await;
        ledger.verify(&mut admin).await;
        // A connection may be closed before a request on it was read, never after.
        let untold = ledger.written_untold(&mut admin).await;
        assert!(untold.is_empty(), "seed {seed}: written and not answered: {untold:?}");
    })
    .await;
}
