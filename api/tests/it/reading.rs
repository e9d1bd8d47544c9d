//! Reading one entry, and the probes.

use domain::{EntryId, Place, Seq, TenantId};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::Executor as _;
use uuid::Uuid;

use crate::support::app::{Answer, TestApp, send};
use crate::support::{eventually, past};

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_tagged_and_not_sent_again_to_who_has_it() {
    let app = TestApp::shared().await;
    let caller = app.caller(app.tenant().await, "user");
    let id = caller.record("VIEW").await;
    let path = format!("/logs/{id}");
    let whole = caller.get(&path).await;
    let etag = format!("\"{id}\"");
    for role in ["admin", "auditor", "user"] {
        let answer = caller.clone().with("x-user-role", role).get(&path).await;
        assert_eq!(answer.text, whole.text);
        assert_eq!(answer.headers["etag"], etag);
        assert_eq!(answer.headers["cache-control"], "private, no-cache");
    }
    for held in [
        etag.clone(),
        format!("W/{etag}"),
        "*".to_owned(),
        format!("\"x\", {etag}"),
        format!("\"x\",W/{etag},\"y\""),
    ] {
        let answer = caller.clone().with("if-none-match", &held).get(&path).await;
        assert_eq!((answer.status, &*answer.text), (StatusCode::NOT_MODIFIED, ""), "{held}");
        assert_eq!(answer.headers["etag"], etag);
        assert_eq!(answer.headers["cache-control"], "private, no-cache");
    }
    for other in ["\"x\"".to_owned(), id.to_string(), format!("\"{}\"", Uuid::now_v7())] {
        let answer = caller.clone().with("if-none-match", &other).get(&path).await;
        assert_eq!((answer.status, &answer.text), (StatusCode::OK, &whole.text));
    }
    let twice = caller.clone().with("if-none-match", "\"x\"");
    let answer = twice.with_another("if-none-match", &etag).get(&path).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
}

/// A tag of one form must not go out on another.
#[tokio::test(flavor = "multi_thread")]
async fn a_tagged_answer_is_not_compressed() {
    let app = TestApp::shared().await;
    let caller = app.caller(app.tenant().await, "user").with("accept-encoding", "gzip, zstd");
    let created = caller.post_entry(json!({ "before": "x".repeat(5_000) })).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert!(created.headers.contains_key("content-encoding"), "{:?}", created.headers);
    let location = created.headers["location"].to_str().unwrap();
    let found = caller.get(location.strip_prefix("/api/v1").unwrap()).await;
    assert_eq!(found.status, StatusCode::OK);
    assert!(!found.headers.contains_key("content-encoding"), "{:?}", found.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_answers_as_get_without_the_body() {
    let app = TestApp::shared().await;
    let caller = app.caller(app.tenant().await, "user");
    let path = format!("/logs/{}", caller.record("VIEW").await);
    let whole = caller.get(&path).await;
    let head = send(caller.request(Method::HEAD, &path)).await;
    assert_eq!((head.status, &*head.text), (StatusCode::OK, ""));
    for name in ["etag", "cache-control", "content-type", "content-length"] {
        assert_eq!(head.headers.get(name), whole.headers.get(name), "{name}");
    }
    let absent = format!("/logs/{}", Uuid::now_v7());
    let head = send(caller.request(Method::HEAD, &absent)).await;
    assert_eq!((head.status, &*head.text), (StatusCode::NOT_FOUND, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_this_log_is_not_found_whatever_the_reason() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    let other = app.caller(app.tenant().await, "user");
    let id = EntryId::parse(&caller.record("VIEW").await.to_string()).unwrap();
    let place = id.place_in(tenant_id).unwrap();
    let beyond = Place { seq: Seq::new(2).unwrap(), ..place };
    let earlier = Place { recorded_at: place.recorded_at.plus_millis(-1), ..place };
    let absent = [beyond, earlier].map(|place| EntryId::of(place, tenant_id).to_string());
    let mut flipped = id.as_uuid().as_u128();
    flipped ^= 1;
    let ids = [
        other.record("VIEW").await.to_string(),
        Uuid::from_u128(flipped).to_string(),
        Uuid::nil().to_string(),
        Uuid::new_v4().to_string(),
        EntryId::of(place, TenantId::new(Uuid::now_v7())).to_string(),
        "7".to_owned(),
        "%00".to_owned(),
        "%ff".to_owned(),
        "a".repeat(5_000),
        "'; drop table audit_log; --".replace(' ', "%20"),
    ];
    let mut texts: Vec<String> = Vec::new();
    for id in absent.into_iter().chain(ids) {
        let answer: Answer = caller.get(&format!("/logs/{id}")).await;
        answer.assert_problem(404, "not_found");
        texts.push(answer.text);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(caller.get(&format!("/logs/{id}")).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_entry_is_not_found() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    let (first, second) = (caller.record("VIEW").await, caller.record("VIEW").await);
    sqlx::query("update log_floor set floor_seq = 2 where tenant_id = $1")
        .bind(tenant_id.as_uuid())
        .execute(&mut app.db.admin().await)
        .await
        .unwrap();
    let expired = caller.get(&format!("/logs/{first}")).await;
    let unknown = caller.get(&format!("/logs/{}", Uuid::now_v7())).await;
    expired.assert_problem(404, "not_found");
    assert_eq!(expired.text, unknown.text);
    let tagged = caller.clone().with("if-none-match", "*").get(&format!("/logs/{first}")).await;
    tagged.assert_problem(404, "not_found");
    assert_eq!(caller.get(&format!("/logs/{second}")).await.status, StatusCode::OK);
}

async fn probe(app: &TestApp, path: &str) -> Answer {
    send(app.client.get(format!("{}{path}", app.base))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_ready_only_while_the_next_days_have_partitions() {
    let app = TestApp::start().await;
    assert_eq!(probe(&app, "/healthz").await.body, json!({ "status": "ok" }));
    let ready = probe(&app, "/readyz").await;
    assert_eq!(ready.status, StatusCode::OK);
    let parts = json!({ "postgres": "ok", "partitions": "ok", "search": "off" });
    assert_eq!(ready.body, json!({ "status": "ready", "parts": parts }));

    let mut admin = app.db.admin().await;
    past::stop_upkeep(&mut admin).await;
    admin.execute(past::DROP_ALL_PARTITIONS).await.unwrap();
    let missing = probe(&app, "/readyz").await;
    assert_eq!(missing.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(missing.headers.contains_key("retry-after"), "{missing:?}");
    let parts = json!({ "postgres": "ok", "partitions": "missing", "search": "off" });
    assert_eq!(missing.body, json!({ "status": "not ready", "parts": parts }));
    assert_eq!(probe(&app, "/healthz").await.status, StatusCode::OK);

    // One for today alone is not two days'.
    admin
        .execute(
            "do $$ begin execute format(
                'create table audit_log_short partition of audit_log for values from (%L) to (%L)',
                current_date - 1, current_date + 1
            ); end $$",
        )
        .await
        .unwrap();
    app.caller(app.tenant().await, "user").record("VIEW").await;
    assert_eq!(probe(&app, "/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_need_no_proof_and_other_paths_outside_the_base_are_not_found() {
    let app = TestApp::shared().await;
    for path in ["/", "/api", "/api/v2/logs", "/logs", "/healthz/x"] {
        probe(app, path).await.assert_problem(404, "not_found");
    }
    let posted = send(app.client.post(format!("{}/healthz", app.base))).await;
    posted.assert_problem(405, "method_not_allowed");
    eventually("the probe answers", std::time::Duration::from_secs(5), || async {
        probe(app, "/readyz").await.status == StatusCode::OK
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_requests_id() {
    let app = TestApp::shared().await;
    let caller = app.operator();
    for path in ["/tenants", "/nothing"] {
        let given = caller.clone().with("x-request-id", "abc-1").get(path).await;
        assert_eq!(given.headers["x-request-id"], "abc-1");
        let made = [caller.get(path).await, caller.get(path).await]
            .map(|answer| answer.headers["x-request-id"].to_str().unwrap().to_owned());
        assert!(made.iter().all(|id| Uuid::parse_str(id).is_ok()));
        assert_ne!(made[0], made[1]);
        for refused in ["a b", "", &"x".repeat(257)] {
            let answer = caller.clone().with("x-request-id", refused).get(path).await;
            assert!(Uuid::parse_str(answer.headers["x-request-id"].to_str().unwrap()).is_ok());
        }
    }
}
