//! Certificates: together they say all that ever expired of a log.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Stage, cleaned};
use crate::support::database::run;
use crate::support::log;
use crate::support::old_log::{self, floor, floor_and_rows, midnight};
use crate::support::seeds::seed;

/// Retention and cleanups in any order: what expired is 1 up to the floor, each number once.
#[tokio::test(flavor = "multi_thread")]
async fn the_certificates_of_a_log_are_everything_below_its_floor() {
    let seed = seed("certificates");
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({ "retention_days": 300 })).await;
    let admin = stage.app.caller(tenant_id, "admin");
    let days: Vec<i64> = (8..120).rev().filter(|_| rng.random_bool(0.6)).collect();
    old_log::record(&mut stage.admin, tenant_id, days, 3).await;
    // In any order between the first of them and the last, which always find something.
    let between: Vec<i64> = (0..10).map(|_| rng.random_range(8..120)).collect();
    for days in [100].into_iter().chain(between).chain([8]) {
        if rng.random_bool(0.5) {
            let set = format!("update tenant set retention_days = {days}");
            run(&mut stage.admin, set).await;
            stage.round().await;
        } else {
            cleaned(&admin, &midnight(days)).await;
        }
    }
    let mut certificates = stage.certificates(tenant_id).await;
    assert!(certificates.len() > 1, "seed {seed}");
    certificates.reverse();
    let mut next = 1;
    for certificate in &certificates {
        assert_eq!(certificate["first_seq"], next, "seed {seed}");
        let last = certificate["last_seq"].as_i64().unwrap();
        assert_eq!(certificate["entries"], last - next + 1);
        next = last + 1;
    }
    assert_eq!(floor(&mut stage.admin, tenant_id).await, next, "seed {seed}");
    // Each is in the log, under its id.
    let rows = log::rows(&mut stage.admin, tenant_id).await;
    let recorded = rows.iter().filter(|row| row.action == "log.expired");
    let recorded: Vec<_> = recorded.map(|row| row.resource_id.as_deref().unwrap()).collect();
    let ids: Vec<_> = certificates.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(recorded, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_each_certificate_once_newest_first_in_pages() {
    let mut stage = Stage::new().await;
    let (own, other) = (stage.tenant(json!({})).await, stage.tenant(json!({})).await);
    for tenant_id in [own, other] {
        old_log::record(&mut stage.admin, tenant_id, (20..28).rev(), 1).await;
        let admin = stage.app.caller(tenant_id, "admin");
        for day in (20..27).rev() {
            cleaned(&admin, &midnight(day)).await;
        }
    }
    let all = stage.certificates(own).await;
    let firsts: Vec<_> = all.iter().map(|one| one["first_seq"].as_i64().unwrap()).collect();
    assert_eq!(firsts, [7, 6, 5, 4, 3, 2, 1]);
    let auditor = stage.app.caller(own, "auditor");
    let mut cursor = String::new();
    for limit in [1, 3, 7, 1_000] {
        let mut listed = Vec::new();
        let mut path = format!("/logs/expiries?limit={limit}");
        loop {
            let page = auditor.get(&path).await;
            assert_eq!(page.status, StatusCode::OK, "{page:?}");
            listed.extend(page.body["data"].as_array().unwrap().iter().cloned());
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            next.clone_into(&mut cursor);
            path = format!("/logs/expiries?limit={limit}&cursor={cursor}");
        }
        assert_eq!(listed, all, "pages of {limit}");
    }
    let stranger = stage.app.caller(other, "auditor");
    let path = |cursor: &str| format!("/logs/expiries?cursor={cursor}");
    stranger.get(&path(&cursor)).await.assert_problem(400, "invalid_cursor");
    auditor.get(&path("x")).await.assert_problem(400, "invalid_cursor");
    auditor.get(&path(&cursor[1..])).await.assert_problem(400, "invalid_cursor");
    let refused = auditor.get("/logs/expiries?limit=0").await;
    refused.assert_problem(400, "invalid_parameter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_when_the_last_row_was_gone_and_so_does_the_log() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, [60, 59, 1], 4).await;
    let admin = stage.app.caller(tenant_id, "admin");
    let id = cleaned(&admin, &midnight(50)).await.body["id"].clone();
    assert_eq!(floor_and_rows(&mut stage.admin, tenant_id).await.1, 8);
    assert_eq!(stage.round().await.erased, 1);
    // What somebody wants gone does not wait for its partition.
    assert_eq!(floor_and_rows(&mut stage.admin, tenant_id).await, (9, 0, 7));
    let certificates = stage.certificates(tenant_id).await;
    let rows = log::rows(&mut stage.admin, tenant_id).await;
    let last = stage.app.caller(tenant_id, "user");
    let last = last.get(&format!("/logs/{}", rows.last().unwrap().id())).await.body;
    assert_eq!(last["action"], "log.erased");
    assert_eq!(last["resource_id"], id);
    assert_eq!(last["metadata"], json!({ "first_seq": 1, "last_seq": 8, "entries": 8 }));
    assert_eq!(certificates[0]["erased_at"], last["recorded_at"]);
    assert_eq!(certificates[0]["id"], id);
    let days: Vec<i64> = sqlx::query_scalar("select first_seq from log_day order by day")
        .fetch_all(&mut stage.admin)
        .await
        .unwrap();
    assert_eq!(days, [9, 13], "days below the floor are forgotten, and no other");
    assert_eq!(stage.round().await.erased, 0);
    assert_eq!(stage.certificates(tenant_id).await, certificates);
    assert_ne!(certificates[0]["erased_at"], Value::Null);
}
