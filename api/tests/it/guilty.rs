//! Batches that fail: who is at fault, who is not, and what it costs.

use std::time::{Duration, Instant};

use domain::TenantId;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::Executor as _;
use tokio::time::sleep;

use crate::support::app::{Answer, TestApp, entry};
use crate::support::eventually;
use crate::support::log::{self, assert_len, assert_whole};
use crate::support::past;

/// A rule of the table that the service does not know of.
const POISON: &str = "alter table audit_log add constraint audit_log_test_poison
    check (message <> 'poison') not valid";

/// Sends these while the writer is busy elsewhere, so that they share a batch.
async fn together(app: &TestApp, requests: &[(TenantId, Value)]) -> Vec<Answer> {
    let plug = app.tenant().await;
    let mut session = app.db.admin().await;
    log::hold_head(&mut session, plug).await;
    let plugged = app.caller(plug, "user");
    let plugged = async { plugged.post("/logs", &entry(json!({}))).await.created() };
    let callers: Vec<_> =
        requests.iter().map(|(tenant_id, _)| app.caller(*tenant_id, "user")).collect();
    let sending = async {
        sleep(Duration::from_millis(150)).await;
        let sent = callers.iter().zip(requests).map(|(at, (_, body))| at.post("/logs/bulk", body));
        join_all(sent).await
    };
    let release = async {
        sleep(Duration::from_millis(800)).await;
        session.execute("commit").await.unwrap();
    };
    let (_, answers, ()) = tokio::join!(plugged, sending, release);
    answers
}

fn good(name: &str) -> Value {
    json!([entry(json!({ "message": name })), entry(json!({ "message": name }))])
}

fn poisoned() -> Value {
    json!([entry(json!({ "message": "fine" })), entry(json!({ "message": "poison" }))])
}

#[tokio::test(flavor = "multi_thread")]
async fn one_guilty_request_fails_alone_in_a_batch_of_strangers() {
    let app = TestApp::start().await;
    let mut admin = app.db.admin().await;
    let mut requests = Vec::new();
    for n in 0..16 {
        let body = if n == 11 { poisoned() } else { good(&n.to_string()) };
        requests.push((app.tenant().await, body));
    }
    // Two more of the guilty one's tenant, which is not guilty itself.
    let shared = requests[11].0;
    requests.push((shared, good("before or after")));
    requests.push((shared, good("before or after")));
    // The first entry of all makes the writer's session, and counts.
    app.caller(app.tenant().await, "user").record("VIEW").await;
    admin.execute(POISON).await.unwrap();
    let before = log::calls(&mut admin).await;

    let answers = together(&app, &requests).await;
    for (n, answer) in answers.iter().enumerate() {
        if n == 11 {
            answer.assert_problem(422, "invalid_entry");
            assert!(!answer.text.contains("poison"), "{}", answer.text);
        } else {
            assert_eq!(answer.status, 201, "{n}: {answer:?}");
        }
    }
    for (n, (tenant_id, _)) in requests.iter().enumerate() {
        let len = if *tenant_id == shared { 4 } else { 2 };
        assert_len(&app, *tenant_id, len).await;
        assert_whole(&mut admin, *tenant_id).await;
        assert!(n < 18);
    }
    // The plug's call, the batch, and two for each halving: strangers did share a batch, and
    // finding the guilty one took no more than it must.
    let calls = log::calls(&mut admin).await - before;
    assert!(calls <= 2 + 2 * 5, "{calls} calls of append");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_guilty_requests_ends() {
    let app = TestApp::start().await;
    let mut admin = app.db.admin().await;
    admin.execute(POISON).await.unwrap();
    let mut requests = Vec::new();
    for _ in 0..8 {
        requests.push((app.tenant().await, poisoned()));
    }
    for answer in together(&app, &requests).await {
        answer.assert_problem(422, "invalid_entry");
    }
    for (tenant_id, _) in &requests {
        assert_len(&app, *tenant_id, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_partition_is_503_without_a_storm_and_mends_itself() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    caller.record("VIEW").await;
    let mut admin = app.db.admin().await;
    admin.execute(past::DROP_ALL_PARTITIONS).await.unwrap();
    admin.execute("update log_head set seq = 0; delete from log_day").await.unwrap();
    let begun = Instant::now();
    let before = log::batches_tried(&mut admin).await;

    let mut requests = 0;
    let mut refused = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        for answer in join_all((0..10).map(|_| caller.post_entry(json!({})))).await {
            requests += 1;
            if answer.status != 201 {
                answer.assert_problem(503, "database_unavailable");
                assert!(answer.headers.contains_key("retry-after"));
                refused += 1;
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(refused > 0, "there was a partition all the time");
    let tried = log::batches_tried(&mut admin).await - before;
    assert!(tried <= requests, "{tried} transactions for {requests} requests");

    eventually("the partition is made again", Duration::from_secs(15), || async {
        caller.post_entry(json!({})).await.status == 201
    })
    .await;
    assert_whole(&mut admin, tenant_id).await;
}

/// One whose head is held by a stranger waits alone; the others are served.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_head_stops_its_own_log_alone() {
    let app = TestApp::start().await;
    let (held, free) = (app.tenant().await, app.tenant().await);
    let (stuck, other) = (app.caller(held, "user"), app.caller(free, "user"));
    other.record("VIEW").await;
    let mut session = app.db.admin().await;
    log::hold_head(&mut session, held).await;
    let begun = Instant::now();
    let body = entry(json!({}));
    let (answer, served) = tokio::join!(stuck.post("/logs", &body), async {
        sleep(Duration::from_millis(100)).await;
        other.post_entry(json!({})).await
    });
    answer.assert_problem(503, "log_busy");
    assert!(answer.headers.contains_key("retry-after"));
    served.created();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    // From now on nobody waits for that head.
    for _ in 0..5 {
        let begun = Instant::now();
        let (refused, written) =
            tokio::join!(stuck.post("/logs", &body), other.post_entry(json!({})));
        refused.assert_problem(503, "log_busy");
        written.created();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    session.execute("commit").await.unwrap();
    stuck.post_entry(json!({})).await.created();
    assert_len(&app, held, 1).await;
    assert_len(&app, free, 7).await;
}
