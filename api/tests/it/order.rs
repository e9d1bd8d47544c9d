//! One tenant, one log: no gap and no reorder, whoever writes at the same time.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::json;
use sqlx::Executor as _;

use crate::support::app::{TestApp, entry};
use crate::support::log::{self, assert_whole};
use crate::support::past;

const CLIENTS: usize = 32;
const ROUNDS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_keeps_the_order_in_which_one_client_wrote() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    for n in (0..30).step_by(3) {
        caller.post_entry(json!({ "message": n.to_string() })).await.created();
        let two = [n + 1, n + 2].map(|n| entry(json!({ "message": n.to_string() })));
        caller.post("/logs/bulk", &json!(two)).await.created();
    }
    let mut admin = app.db.admin().await;
    let rows = log::rows(&mut admin, tenant_id).await;
    let order: Vec<_> = rows.iter().map(|row| row.message.as_deref().unwrap()).collect();
    assert_eq!(order, (0..30).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_whole(&mut admin, tenant_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_two_replicas_leave_each_log_without_a_gap() {
    let app = TestApp::start().await;
    let replica = TestApp::start_with(app.db.clone(), &[]).await;
    let tenants = [app.tenant().await, app.tenant().await, app.tenant().await, app.tenant().await];
    let clients = (0..CLIENTS).map(|client| {
        let (at, tenants) = (if client % 2 == 0 { &app } else { &replica }, &tenants);
        async move {
            let mut ids = Vec::new();
            for round in 0..ROUNDS {
                let caller = at.caller(tenants[(client + round) % tenants.len()], "user");
                let name = json!({ "resource_id": format!("{client}-{round}") });
                if round % 3 == 0 {
                    let five = vec![entry(name); 5];
                    let answer = caller.post("/logs/bulk", &json!(five)).await.created();
                    ids.extend(answer.body["ids"].as_array().unwrap().clone());
                } else {
                    ids.push(caller.post_entry(name).await.created().body["id"].clone());
                }
            }
            ids
        }
    });
    let ids: Vec<_> = join_all(clients).await.into_iter().flatten().collect();
    let acknowledged: HashSet<_> = ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    assert_eq!(acknowledged.len(), ids.len(), "an id was given twice");

    let mut admin = app.db.admin().await;
    let mut stored = HashSet::new();
    for tenant_id in tenants {
        assert_whole(&mut admin, tenant_id).await;
        let rows = log::rows(&mut admin, tenant_id).await;
        stored.extend(rows.iter().map(|row| row.id().to_string()));
        // A bulk request's entries stand side by side.
        for five in rows.chunk_by(|a, b| a.resource_id == b.resource_id) {
            assert!(five.len() == 5 || five.len() == 1, "{five:?}");
        }
    }
    assert_eq!(stored, acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_day_of_a_log_knows_its_first_entry() {
    let app = TestApp::start().await;
    let (tenant_id, other) = (app.tenant().await, app.tenant().await);
    let mut admin = app.db.admin().await;
    past::make_partition(&mut admin, "audit_log").await;
    for _ in 0..3 {
        app.caller(tenant_id, "user").record("VIEW").await;
    }
    app.caller(other, "user").record("VIEW").await;
    // Two days pass.
    admin
        .execute(
            "update audit_log set
                recorded_at = recorded_at - interval '2 days',
                occurred_at = occurred_at - interval '2 days';
             update log_head set recorded_at = recorded_at - interval '2 days';
             update log_day set day = day - 2;",
        )
        .await
        .unwrap();
    for _ in 0..2 {
        app.caller(tenant_id, "user").record("VIEW").await;
    }
    let days: Vec<i64> =
        sqlx::query_scalar("select first_seq from log_day where tenant_id = $1 order by day")
            .bind(tenant_id.as_uuid())
            .fetch_all(&mut admin)
            .await
            .unwrap();
    assert_eq!(days, [1, 4]);
    assert_whole(&mut admin, tenant_id).await;
    assert_whole(&mut admin, other).await;
}
