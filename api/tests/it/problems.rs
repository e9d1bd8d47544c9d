//! One example of each problem, word for word: codes are a promise, and texts say what to do.

use domain::TenantId;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor as _;
use uuid::Uuid;

use crate::support::app::{Answer, Caller, TestApp, entry, send};
use crate::support::database::TestDb;
use crate::support::{log, past};

const JSON: &str = "application/json";

/// The answer as a client reads it, by its code.
fn example(answer: &Answer) -> (String, Value) {
    let mut headers = json!({});
    for name in ["content-type", "retry-after", "www-authenticate", "allow"] {
        if let Some(value) = answer.headers.get(name) {
            headers[name] = json!(value.to_str().unwrap());
        }
    }
    let mut body = answer.body.clone();
    assert_eq!(body["status"].as_u64(), Some(answer.status.as_u16().into()));
    let code = body["code"].as_str().unwrap().to_owned();
    if let Some(error_id) = body.get_mut("error_id") {
        *error_id = json!("[id]");
    }
    (code, json!({ "headers": headers, "body": body }))
}

/// Fails unless each of these is another problem, and all are as they were.
macro_rules! assert_examples {
    ($name:literal, $answers:expr) => {{
        let answers: Vec<Answer> = $answers;
        let examples: std::collections::BTreeMap<_, _> = answers.iter().map(example).collect();
        assert_eq!(examples.len(), answers.len(), "{:?}", examples.keys());
        insta::assert_json_snapshot!($name, examples);
    }};
}

async fn user(app: &TestApp) -> (TenantId, Caller<'_>) {
    let tenant_id = app.tenant().await;
    (tenant_id, app.caller(tenant_id, "user"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_why() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let unknown = app.caller(TenantId::new(Uuid::now_v7()), "user");
    let path = format!("/tenants/{tenant_id}");
    app.operator().patch(&path, &json!({ "suspended": true })).await;
    assert_examples!(
        "who",
        vec![
            caller.clone().without("x-gateway-secret").get("/logs/x").await,
            caller.clone().without("x-user-id").get("/logs/x").await,
            caller.get("/tenants").await,
            unknown.get("/logs/x").await,
            caller.post_entry(json!({})).await,
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_told_with_what_to_do() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let keyed = caller.clone().with("idempotency-key", "key");
    keyed.post_entry(json!({})).await.created();
    let gzip = caller.clone().with("content-encoding", "gzip");
    let brotli = caller.clone().with("content-encoding", "br");
    let empty_key = caller.clone().with("idempotency-key", "");
    let several = json!([
        { "action": "VIEW", "resource_type": "thing", "usr_id": "x", "severity": "high" },
        { "action": "no spaces", "occurred_at": "yesterday", "ip_address": "here" },
        7,
    ]);
    assert_examples!(
        "request",
        vec![
            caller.get("/logs/x").await,
            send(caller.request(Method::DELETE, "/logs")).await,
            caller.post_raw("/logs", JSON, "{\n  \"action\": }").await,
            gzip.post_raw("/logs", JSON, "{}").await,
            brotli.post_raw("/logs", JSON, "{}").await,
            caller.post_raw("/logs", "text/plain", "{}").await,
            caller.post_raw("/logs", JSON, " ".repeat((512 << 10) + 1)).await,
            caller.post("/logs?x=1", &json!({})).await,
            caller.post("/logs/bulk?partial=1", &json!([])).await,
            app.operator().get("/tenants?cursor=x").await,
            empty_key.post_entry(json!({})).await,
            keyed.post_entry(json!({ "message": "other" })).await,
            caller.post("/logs/bulk", &several).await,
            caller.post("/logs/bulk", &json!([])).await,
            caller.post("/logs/bulk", &json!(vec![1; 1_001])).await,
            app.operator().post("/tenants", &json!({ "id": tenant_id, "name": "x" })).await,
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_service_is_told_with_when_to_try_again() {
    let app = TestApp::start_with(TestDb::new().await, &["--admission-mib", "96"]).await;
    let ((busy, caller), (ahead, late)) = (user(&app).await, user(&app).await);
    let mut admin = app.db.admin().await;
    past::stop_upkeep(&mut admin).await;

    // Compressed, a body weighs as much as it may become, until it has come.
    let mut session = app.db.admin().await;
    log::hold_head(&mut session, busy).await;
    let body = entry(json!({ "before": "x".repeat(60_000) }));
    let bulk = json!(vec![body; 80]);
    let (one, other) =
        tokio::join!(caller.post("/logs/bulk", &bulk), caller.post("/logs/bulk", &bulk));
    let first_came = other.body["code"] == "overloaded";
    let (held, overloaded) = if first_came { (one, other) } else { (other, one) };
    session.execute("commit").await.unwrap();

    let skewed = "update log_head set recorded_at = clock_timestamp() + interval '1 day'
        where tenant_id = $1";
    sqlx::query(skewed).bind(ahead.as_uuid()).execute(&mut admin).await.unwrap();
    let skewed = late.post_entry(json!({})).await;
    admin.execute(past::DROP_ALL_PARTITIONS).await.unwrap();
    let missing = caller.post_entry(json!({})).await;
    assert_examples!("service", vec![held, overloaded, skewed, missing]);
}
