//! A legal hold: from its answer on, nothing of the log expires.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use api::store::{self, DbRole, expiry};
use domain::Timestamp;

use super::{Stage, clean_up, dry_run};
use crate::support::log;
use crate::support::old_log::{self, floor, floor_and_rows, midnight};
use crate::support::seeds::{seed, soak};

/// Races of a hold and the worker.
const RACES: u32 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_held_log_loses_nothing_until_the_hold_is_lifted() {
    let mut stage = Stage::new().await;
    let (held, free) = (stage.tenant(json!({})).await, stage.tenant(json!({})).await);
    for tenant_id in [held, free] {
        old_log::record(&mut stage.admin, tenant_id, [95, 94, 1], 2).await;
    }
    stage.change(held, &json!({ "legal_hold": { "reason": "case 7" } })).await;
    let record = log::rows(&mut stage.admin, held).await.pop().unwrap();
    assert_eq!(record.action, "tenant.updated");
    let after: Value = serde_json::from_str(record.after.as_ref().unwrap()).unwrap();
    assert_eq!(after["legal_hold"]["reason"], "case 7");
    assert_eq!(after["legal_hold"]["by"], "alice");

    assert_eq!(stage.round().await.expired, 1);
    assert_eq!(floor_and_rows(&mut stage.admin, held).await, (1, 0, 7));
    assert_eq!(floor(&mut stage.admin, free).await, 5);
    let admin = stage.app.caller(held, "admin");
    let old = midnight(50);
    for parameters in ["&dry_run=true", "", "&confirm=x"] {
        let refused = clean_up(&admin, &format!("older_than={old}{parameters}")).await;
        refused.assert_problem(409, "legal_hold");
    }
    assert_eq!(floor_and_rows(&mut stage.admin, held).await, (1, 0, 7));

    // Announced before, confirmed after.
    stage.change(held, &json!({ "legal_hold": null })).await;
    let dry = dry_run(&admin, &old).await;
    stage.change(held, &json!({ "legal_hold": { "reason": "case 8" } })).await;
    let token = dry.body["confirm"].as_str().unwrap();
    let confirmed = format!("older_than={old}&confirm={token}");
    clean_up(&admin, &confirmed).await.assert_problem(409, "legal_hold");
    assert_eq!(floor(&mut stage.admin, held).await, 1);
    stage.change(held, &json!({ "legal_hold": null })).await;
    assert_eq!(stage.round().await.expired, 1);
    assert_eq!(floor(&mut stage.admin, held).await, 5);
}

/// The worker is somewhere in its work when the hold comes: before it or after it, never through.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_was_answered_is_obeyed_wherever_the_worker_is() {
    let seed = seed("a hold and the worker");
    let mut rng = SmallRng::seed_from_u64(seed);
    let until = Instant::now() + Duration::from_secs(if soak() { 600 } else { 45 });
    let mut stage = Stage::new().await;
    let mut worker = store::connect(&stage.options(), DbRole::Worker).await.unwrap();
    // How much later the worker begins: moved towards where it is now one and now the other.
    let mut lead_us = 0_i64;
    let (mut moved, mut kept) = (0, 0);
    while moved + kept < RACES && Instant::now() < until {
        let tenant_id = stage.tenant(json!({})).await;
        old_log::record(&mut stage.admin, tenant_id, [95, 94, 1], 1).await;
        let mut admin = stage.app.db.admin().await;
        let mut pause = |lead_us: i64| {
            let us = u64::try_from(lead_us.max(0)).unwrap() + rng.random_range(0..2_000);
            tokio::time::sleep(Duration::from_micros(us))
        };
        let (before_hold, before_work) = (pause(-lead_us), pause(lead_us));
        let hold = async {
            before_hold.await;
            stage.change(tenant_id, &json!({ "legal_hold": { "reason": "case 7" } })).await;
            floor(&mut admin, tenant_id).await
        };
        let work = async {
            before_work.await;
            expiry::expire(&mut worker, tenant_id, Timestamp::now(), 7).await
        };
        let (answered, result) = tokio::join!(hold, work);
        stage.round().await;
        let race = format!("seed {seed}, race {}: {result:?}", moved + kept);
        let now = floor(&mut stage.admin, tenant_id).await;
        assert_eq!(now, answered, "{race}: the floor moved under a hold");
        let certificates = stage.certificates(tenant_id).await.len();
        assert_eq!(certificates, usize::from(answered > 1), "{race}");
        if answered > 1 {
            moved += 1;
        } else {
            kept += 1;
        }
        lead_us += if answered > 1 { 400 } else { -400 };
    }
    eprintln!("{moved} floors moved before their hold, {kept} did not");
    assert!(moved > 0 && kept > 0, "seed {seed}: no race, {moved} moved and {kept} did not");
}
