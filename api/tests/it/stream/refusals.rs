//! What is refused before a stream begins, and how.

use domain::TenantId;
use reqwest::Method;
use reqwest::header::HeaderMap;
use uuid::Uuid;

use crate::support::app::{TestApp, identity, send};
use crate::support::database::TestDb;
use crate::support::socket::Socket;

async fn refused(app: &TestApp, query: &str, headers: HeaderMap) -> (u16, String) {
    let refused = Socket::try_open(&app.base, query, headers).await;
    let refused = refused.err().expect("it is refused");
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    let (status, code) = refused.code();
    (status, code.to_owned())
}

fn with(mut headers: HeaderMap, name: &'static str, value: &str) -> HeaderMap {
    headers.insert(name, value.parse().unwrap());
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_problem_in_the_documented_order() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let good = identity(Some(tenant_id), "auditor");
    let stranger = identity(Some(TenantId::new(Uuid::now_v7())), "auditor");
    let evil = |headers| with(headers, "origin", "https://evil.example");
    let cases = [
        ("?x=1", evil(with(stranger.clone(), "x-gateway-secret", "no")), (401, "unauthenticated")),
        ("?x=1", evil(with(stranger.clone(), "x-user-role", "root")), (400, "invalid_identity")),
        ("?x=1", evil(stranger), (403, "unknown_tenant")),
        ("?x=1", evil(with(good.clone(), "x-user-role", "user")), (403, "forbidden_role")),
        ("?x=1", evil(good.clone()), (403, "origin_not_allowed")),
        ("?x=1", good.clone(), (400, "unknown_parameter")),
        ("?limit=1", good.clone(), (400, "unknown_parameter")),
        ("?severity=x", good.clone(), (400, "invalid_parameter")),
        ("?include_self=yes", good.clone(), (400, "invalid_parameter")),
        ("?q=(", good.clone(), (400, "invalid_query")),
        ("?cursor=x", good.clone(), (400, "invalid_cursor")),
    ];
    for (query, headers, expected) in cases {
        let (status, code) = refused(app, query, headers).await;
        assert_eq!((status, code.as_str()), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_tenant_or_of_a_list_is_refused() {
    let app = TestApp::shared().await;
    let (own, other) = (app.tenant().await, app.tenant().await);
    let auditor = app.caller(own, "auditor");
    app.caller(own, "user").record("A").await;
    app.caller(own, "user").record("B").await;
    let page = auditor.get("/logs?limit=1").await.body;
    let live = page["live_cursor"].as_str().unwrap();
    let next = page["next_cursor"].as_str().unwrap();
    for (tenant_id, cursor) in [(other, live), (own, next)] {
        let headers = identity(Some(tenant_id), "auditor");
        let refused = refused(app, &format!("?cursor={cursor}"), headers).await;
        assert_eq!(refused, (400, "invalid_cursor".to_owned()));
    }
    let mut socket = Socket::open(&app.base, own, &format!("?cursor={live}")).await;
    assert_eq!(socket.expect("hello").await["cursor"], live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_that_asks_for_no_stream_is_told_how_to() {
    let app = TestApp::shared().await;
    let auditor = app.caller(app.tenant().await, "auditor");
    auditor.get("/logs/stream").await.assert_problem(406, "not_acceptable");
    let json = auditor.clone().with("accept", "application/json");
    json.get("/logs/stream?x=1").await.assert_problem(406, "not_acceptable");
    let half = auditor.clone().with("upgrade", "websocket");
    half.get("/logs/stream").await.assert_problem(400, "invalid_request");
    let posted = send(auditor.request(Method::POST, "/logs/stream")).await;
    posted.assert_problem(405, "method_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_pages_and_those_allowed_may_open_a_stream() {
    let db = TestDb::new().await;
    let app = TestApp::start_with(db, &["--allowed-origins", "https://audit.example"]).await;
    let good = identity(Some(app.tenant().await), "auditor");
    // As browsers do; a WebSocket is no answer that could be compressed.
    let browser = with(good.clone(), "accept-encoding", "gzip, deflate, br, zstd");
    for origin in [app.base.as_str(), "https://audit.example"] {
        let headers = with(browser.clone(), "origin", origin);
        let opened = Socket::try_open(&app.base, "", headers).await;
        opened.expect(origin).expect("hello").await;
    }
    for origin in ["null", "https://audit.example.evil.example", "http://127.0.0.1"] {
        let refused = refused(&app, "", with(good.clone(), "origin", origin)).await;
        assert_eq!(refused, (403, "origin_not_allowed".to_owned()), "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_streams_of_a_tenant_or_in_all_get_429_until_one_ends() {
    let db = TestDb::new().await;
    let flags = ["--stream-tenant-max", "2", "--stream-max", "3"];
    let app = TestApp::start_with(db, &flags).await;
    let (one, other) = (app.tenant().await, app.tenant().await);
    let open = async |tenant_id| Socket::open(&app.base, tenant_id, "").await;
    let mut held = vec![open(one).await, open(one).await];
    let answer = Socket::try_open(&app.base, "", identity(Some(one), "auditor")).await;
    let answer = answer.err().expect("a tenant has its limit");
    assert_eq!(answer.code(), (429, "rate_limited"));
    assert_eq!(answer.headers["retry-after"], "10");
    held.push(open(other).await);
    let full = refused(&app, "", identity(Some(other), "auditor")).await;
    assert_eq!(full, (429, "rate_limited".to_owned()));
    drop(held.remove(0));
    crate::support::eventually("a place is free", std::time::Duration::from_secs(5), async || {
        Socket::try_open(&app.base, "", identity(Some(other), "auditor")).await.is_ok()
    })
    .await;
}
