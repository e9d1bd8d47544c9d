//! Tickets: one stream, once, for seconds, and nothing else.

use api::tenants::default_settings;
use domain::TenantId;
use reqwest::header::HeaderMap;
use serde_json::json;
use uuid::Uuid;

use crate::support::app::{Caller, SECRET, TestApp, identity, send};
use crate::support::command::Running;
use crate::support::database::TestDb;
use crate::support::socket::{Refused, Socket};

async fn ticket(caller: &Caller<'_>) -> String {
    let answer = caller.post("/logs/stream/ticket", &json!({})).await.created();
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(answer.body["expires_at"].is_string());
    format!("?ticket={}", answer.body["ticket"].as_str().unwrap())
}

async fn open(app: &TestApp, query: &str, headers: HeaderMap) -> Result<Socket, Refused> {
    Socket::try_open(&app.base, query, headers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_stream_of_its_own_tenant_whatever_is_sent_beside_it() {
    let app = TestApp::shared().await;
    let (own, other) = (app.tenant().await, app.tenant().await);
    let ticket = ticket(&app.caller(own, "auditor")).await;
    let mut socket = open(app, &ticket, identity(Some(other), "user")).await.unwrap();
    socket.expect("hello").await;
    app.caller(other, "user").record("OTHER").await;
    app.caller(own, "user").record("OWN").await;
    assert_eq!(socket.expect("log").await["data"]["action"], "OWN");
    for headers in [HeaderMap::new(), identity(Some(own), "admin")] {
        let again = open(app, &ticket, headers).await.err().expect("it is spent");
        assert_eq!(again.code(), (401, "unauthenticated"));
        assert_eq!(again.headers["www-authenticate"], "Ticket");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_or_made_up_ticket_opens_nothing() {
    let app = TestApp::start().await;
    let auditor = app.caller(app.tenant().await, "auditor");
    let expired = ticket(&auditor).await;
    sqlx::query("update stream_ticket set expires_at = clock_timestamp() - interval '1 ms'")
        .execute(&mut app.db.admin().await)
        .await
        .unwrap();
    let refused = open(&app, &expired, auditor.headers.clone()).await.err().expect("too old");
    assert_eq!(refused.code(), (401, "unauthenticated"));
    let good = ticket(&auditor).await;
    let (first, second) = (&good["?ticket=".len()..], "A".repeat(43));
    for query in [
        expired,
        "?ticket=".to_owned(),
        "?ticket=x".to_owned(),
        format!("?ticket={second}"),
        format!("?ticket={first}&ticket={first}"),
        format!("?ticket={first}A"),
    ] {
        let refused = open(&app, &query, auditor.headers.clone()).await.err().expect("not good");
        assert_eq!(refused.code(), (401, "unauthenticated"), "{query}");
    }
    assert!(open(&app, &good, HeaderMap::new()).await.is_ok());
    // Nowhere else does it prove anything.
    let elsewhere = app.with_headers(HeaderMap::new()).get(&format!("/logs{good}")).await;
    elsewhere.assert_problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_own_log_never_sees_a_ticket() {
    let db = TestDb::new().await;
    let url = db.url();
    let env = [("AUDIT_DATABASE_URL", url.as_str()), ("AUDIT_GATEWAY_SECRET", SECRET)];
    let service = Running::serve(&[], &env).await;
    let tenant_id = TenantId::new(Uuid::now_v7());
    let settings = default_settings("test".to_owned(), 7);
    api::store::tenants::create(&mut db.admin().await, tenant_id, &settings).await.unwrap();
    let url = format!("{}/api/v1/logs/stream/ticket", service.base);
    let asking = reqwest::Client::new().post(url).headers(identity(Some(tenant_id), "admin"));
    let made = send(asking).await.created();
    let ticket = made.body["ticket"].as_str().unwrap();
    let query = format!("?ticket={ticket}");
    let mut socket = Socket::try_open(&service.base, &query, HeaderMap::new()).await.unwrap();
    socket.expect("hello").await;
    let again = Socket::try_open(&service.base, &query, HeaderMap::new()).await;
    assert!(again.is_err());
    let (stopping, closed) = tokio::join!(service.stop(), socket.closed());
    assert_eq!((stopping.0, closed.0), (Some(0), 1012));
    let log = stopping.1;
    assert!(log.iter().all(|line| !line.contains(ticket)), "{log:?}");
    assert!(log.iter().any(|line| line.contains("stream ended") && line.contains("1012")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_never_sees_a_ticket() {
    let app = TestApp::start().await;
    let ticket = ticket(&app.caller(app.tenant().await, "auditor")).await;
    let kept: String = sqlx::query_scalar("select stream_ticket::text from stream_ticket")
        .fetch_one(&mut app.db.admin().await)
        .await
        .unwrap();
    assert!(!kept.contains(&ticket["?ticket=".len()..]), "{kept}");
    assert!(kept.contains("alice"));
}
