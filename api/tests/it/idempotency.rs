//! Retries: the same key is the same request, once.

use std::collections::HashSet;

use domain::TenantId;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use sqlx::Executor as _;

use crate::support::app::{Answer, Caller, TestApp, entry};
use crate::support::log::{self, assert_len};
use crate::support::past;

const KEY: &str = "idempotency-key";

async fn user(app: &TestApp) -> (TenantId, Caller<'_>) {
    let tenant_id = app.tenant().await;
    (tenant_id, app.caller(tenant_id, "user"))
}

fn is_replay(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_gets_the_first_answer_and_writes_nothing() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let one = entry(json!({ "after": { "n": 1.0 }, "message": "4111111111111111" }));
    let bulk = json!([one, one]);
    let partial = json!([one, 5, one]);
    for (n, path, body, status) in [
        (1, "/logs", &one, StatusCode::CREATED),
        (3, "/logs/bulk", &bulk, StatusCode::CREATED),
        (5, "/logs/bulk?partial=true", &partial, StatusCode::MULTI_STATUS),
    ] {
        let caller = caller.clone().with(KEY, &format!("key{path}"));
        let first = caller.post(path, body).await;
        assert_eq!(first.status, status, "{first:?}");
        assert!(!is_replay(&first));
        // What is not part of the request does not make it another one.
        let again = caller.with("x-request-id", "other").with("user-agent", "other");
        let again = again.post(path, body).await;
        assert!(is_replay(&again));
        assert_eq!((again.status, &again.text), (first.status, &first.text));
        assert_eq!(again.headers.get("location"), first.headers.get("location"));
        assert_len(app, tenant_id, n).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_request_alone() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let caller = caller.with(KEY, "once");
    let body = json!([entry(json!({}))]);
    caller.post("/logs/bulk", &body).await.created();

    let other_body = caller.post("/logs/bulk", &json!([entry(json!({ "message": "x" }))])).await;
    let other_query = caller.post("/logs/bulk?partial=true", &body).await;
    let other_path = caller.post("/logs", &entry(json!({}))).await;
    let other_principal = caller.clone().with("x-user-id", "bob").post("/logs/bulk", &body).await;
    for answer in [other_body, other_query, other_path, other_principal] {
        answer.assert_problem(409, "idempotency_key_reused");
    }
    assert_len(app, tenant_id, 1).await;

    // Keys are the tenant's own.
    let (elsewhere, stranger) = user(app).await;
    let answer = stranger.with(KEY, "once").post("/logs/bulk", &body).await.created();
    assert!(!is_replay(&answer));
    assert_len(app, elsewhere, 1).await;
    assert_len(app, tenant_id, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_is_not_remembered() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let caller = caller.with(KEY, "again");
    caller.post("/logs", &json!({})).await.assert_problem(422, "invalid_entry");
    caller.post_raw("/logs", "application/json", "{").await.assert_problem(400, "unreadable_json");
    let all_refused = caller.post("/logs/bulk?partial=true", &json!([1, 2])).await;
    all_refused.assert_problem(422, "invalid_entry");
    assert_len(app, tenant_id, 0).await;
    assert!(!is_replay(&caller.post("/logs", &entry(json!({}))).await.created()));
    assert_len(app, tenant_id, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_with_one_key_write_one_entry() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let caller = caller.with(KEY, "race");
    let body = entry(json!({ "message": "once" }));
    let answers = join_all((0..20).map(|_| caller.post("/logs", &body))).await;
    let texts: HashSet<_> = answers.iter().map(|answer| answer.text.as_str()).collect();
    assert_eq!(texts.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.status == StatusCode::CREATED));
    assert_eq!(answers.iter().filter(|answer| !is_replay(answer)).count(), 1);
    assert_len(app, tenant_id, 1).await;
}

/// Two replicas know nothing of each other; the head's lock makes the key unique.
#[tokio::test(flavor = "multi_thread")]
async fn one_key_at_two_replicas_writes_one_entry() {
    let app = TestApp::start().await;
    let replica = TestApp::start_with(app.db.clone(), &[]).await;
    let tenant_id = app.tenant().await;
    let body = entry(json!({}));
    let key = |round: u32| format!("round-{round}");
    for round in 0..10 {
        let callers =
            [&app, &replica].map(|at| at.caller(tenant_id, "user").with(KEY, &key(round)));
        let answers = join_all(callers.iter().map(|caller| caller.post("/logs", &body))).await;
        assert_eq!(answers[0].text, answers[1].text);
        assert_eq!(answers.iter().filter(|answer| is_replay(answer)).count(), 1);
    }
    assert_len(&app, tenant_id, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_with_one_key_waiting_together_are_one_write_and_one_answer() {
    let app = TestApp::start().await;
    let plug = app.tenant().await;
    let (tenant_id, caller) = user(&app).await;
    let caller = caller.with(KEY, "twins");
    let other = caller.clone().with(KEY, "other");
    let mut admin = app.db.admin().await;
    // While the plug's head is held, the writer waits and what comes then gathers.
    log::hold_head(&mut admin, plug).await;
    let plugged = app.caller(plug, "user");
    let (same, changed) = (entry(json!({})), entry(json!({ "message": "x" })));
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        admin.execute("commit").await.unwrap();
    };
    let (first, answers, ()) = tokio::join!(
        plugged.post("/logs", &same),
        async {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            tokio::join!(
                caller.post("/logs", &same),
                caller.post("/logs", &same),
                caller.post("/logs", &changed),
                other.post("/logs", &same),
            )
        },
        release
    );
    first.created();
    let (a, b, reused, other) = answers;
    other.created();
    // Whoever of the two bodies came first has the key.
    let won: Vec<_> = [&a, &b, &reused].into_iter().filter(|x| x.status == 201).collect();
    let fresh = won.iter().filter(|answer| !is_replay(answer)).count();
    assert_eq!(fresh, 1, "{a:?} {b:?} {reused:?}");
    for answer in [&a, &b, &reused].into_iter().filter(|answer| answer.status != 201) {
        answer.assert_problem(409, "idempotency_key_reused");
    }
    assert_eq!(a.text, b.text);
    assert_len(&app, tenant_id, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_for_24_hours_and_no_longer() {
    let app = TestApp::start().await;
    let (tenant_id, caller) = user(&app).await;
    let caller = caller.with(KEY, "old");
    let (body, other) = (entry(json!({})), entry(json!({ "message": "x" })));
    let first = caller.post("/logs", &body).await.created();
    let mut admin = app.db.admin().await;
    past::make_partition(&mut admin, "idempotency_key").await;
    let age = async |admin: &mut sqlx::PgConnection, interval: &str| {
        let aged =
            sqlx::query("update idempotency_key set recorded_at = recorded_at - $1::interval")
                .bind(interval)
                .execute(admin);
        // The entry it stands for has not moved: find() looks at the key's own time.
        assert_eq!(aged.await.unwrap().rows_affected(), 1);
    };
    age(&mut admin, "23 hours 59 minutes").await;
    caller.post("/logs", &other).await.assert_problem(409, "idempotency_key_reused");
    age(&mut admin, "2 minutes").await;
    let second = caller.post("/logs", &other).await.created();
    assert!(!is_replay(&second));
    assert_ne!(first.body["id"], second.body["id"]);
    assert!(is_replay(&caller.post("/logs", &other).await.created()));
    assert_len(&app, tenant_id, 2).await;
}
