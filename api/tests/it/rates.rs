//! How often a tenant may ask, where somebody has set a limit.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp, entry};
use crate::support::database::TestDb;
use crate::support::log::assert_len;
use crate::support::socket::Socket;

const LIMITS: &str = "write=3/h,bulk=20/h,read=2/h,search=1/h,export=1/h,stream=1/h";

async fn limited() -> TestApp {
    TestApp::start_with(TestDb::new().await, &["--rate-limits", LIMITS]).await
}

/// Limit, what remains, and seconds until all of it does.
fn standing(answer: &Answer) -> (u64, u64, u64) {
    let number = |name| answer.headers[name].to_str().unwrap().parse().unwrap();
    (number("ratelimit-limit"), number("ratelimit-remaining"), number("ratelimit-reset"))
}

/// Fails unless it was refused for its rate, with the seconds after which to try again.
#[track_caller]
fn assert_limited(answer: &Answer) -> u64 {
    answer.assert_problem(429, "rate_limited");
    assert_eq!(standing(answer).1, 0, "{answer:?}");
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

fn batch(entries: usize) -> Value {
    Value::from(vec![entry(json!({})); entries])
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_limited_unless_somebody_says_so() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let answer = app.caller(tenant_id, "user").post_entry(json!({})).await.created();
    assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("ratelimit")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_used_up_its_tokens_is_refused_alone_and_nothing_is_written() {
    let app = limited().await;
    let (tenant_id, other) = (app.tenant().await, app.tenant().await);
    let caller = app.caller(tenant_id, "user");
    let keyed = caller.clone().with("idempotency-key", "k");
    for remaining in [2, 1, 0] {
        let answer = keyed.post_entry(json!({})).await.created();
        let (limit, left, reset) = standing(&answer);
        assert_eq!((limit, left), (3, remaining));
        assert!((1_190..=3_600).contains(&reset), "{reset}");
    }
    let wait = assert_limited(&caller.post_entry(json!({})).await);
    assert!((1_100..=1_200).contains(&wait), "{wait}");
    assert_limited(&keyed.post_entry(json!({})).await);
    assert_len(&app, tenant_id, 1).await;

    // Other classes and other tenants have their own.
    assert_eq!(caller.get("/logs").await.status, StatusCode::OK);
    caller.post("/logs/bulk", &batch(1)).await.created();
    app.caller(other, "user").post_entry(json!({})).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_the_rate_comes_after_those_for_who_asks_and_before_all_others() {
    let app = limited().await;
    let tenant_id = app.tenant().await;
    let (user, auditor) = (app.caller(tenant_id, "user"), app.caller(tenant_id, "auditor"));
    for _ in 0..5 {
        auditor.post_entry(json!({})).await.assert_problem(403, "forbidden_role");
        user.clone()
            .without("x-gateway-secret")
            .get("/logs")
            .await
            .assert_problem(401, "unauthenticated");
    }
    for _ in 0..3 {
        user.post_raw("/logs", "text/plain", "x")
            .await
            .assert_problem(415, "unsupported_media_type");
    }
    assert_limited(&user.post_raw("/logs", "text/plain", "x").await);
    assert_limited(&user.post_raw("/logs", "application/json", "x".repeat(1 << 20)).await);
    assert_limited(&user.post("/logs?unknown=1", &json!({})).await);
    assert_len(&app, tenant_id, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_costs_its_entries_and_a_large_batch_is_paid_for_afterwards() {
    let app = limited().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    let first = caller.post("/logs/bulk", &batch(15)).await.created();
    assert_eq!(standing(&first).1, 5);
    let second = caller.post("/logs/bulk", &batch(100)).await.created();
    assert_eq!(standing(&second).1, 0);
    // 95 owed, and the next one: 96 at 20 an hour.
    let wait = assert_limited(&caller.post("/logs/bulk", &batch(1)).await);
    assert!((17_200..=17_280).contains(&wait), "{wait}");
    assert_len(&app, tenant_id, 115).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_class_has_its_limit() {
    let app = limited().await;
    let tenant_id = app.tenant().await;
    let auditor = app.caller(tenant_id, "auditor");
    for path in ["/logs/search?q=x", "/logs/export"] {
        assert_eq!(auditor.get(path).await.status, StatusCode::OK, "{path}");
        assert_limited(&auditor.get(path).await);
    }
    assert_limited(&auditor.get("/logs/stats?group_by=action").await);
    let _stream = Socket::open(&app.base, tenant_id, "").await;
    let refused = Socket::try_open(&app.base, "", auditor.headers.clone()).await.err().unwrap();
    assert_eq!(refused.code(), (429, "rate_limited"));
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gives_a_tenant_limits_of_its_own_which_nobody_else_can() {
    let app = limited().await;
    let tenant_id = app.tenant().await;
    let (path, caller) = (format!("/tenants/{tenant_id}"), app.caller(tenant_id, "user"));
    for _ in 0..3 {
        caller.post_entry(json!({})).await.created();
    }
    assert_limited(&caller.post_entry(json!({})).await);
    let admin = app.caller(tenant_id, "admin");
    let own = json!({ "limits": { "write": "off" } });
    // Changing its tenant is writing: the admin's requests have no token left, either.
    assert_limited(&admin.patch("/tenants/self", &own).await);

    let limits = json!({ "limits": { "write": "off", "read": "1/h:5" } });
    let changed = app.operator().patch(&path, &limits).await;
    assert_eq!(changed.body["limits"], limits["limits"], "{changed:?}");
    for _ in 0..5 {
        let written = caller.post_entry(json!({})).await.created();
        assert!(!written.headers.contains_key("ratelimit-limit"));
        assert_eq!(caller.get("/logs").await.status, StatusCode::OK);
    }
    assert_limited(&caller.get("/logs").await);
    admin.patch("/tenants/self", &own).await.assert_problem(422, "invalid_tenant");
}
