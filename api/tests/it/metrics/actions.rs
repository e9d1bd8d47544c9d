//! Each counter moves when its thing happens, and by how much.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;
use time::Duration;
use time::macros::datetime;
use tokio::io::AsyncWriteExt as _;

use super::SEEN_WITHIN;
use crate::connections::{connect, head};
use crate::support::app::{TestApp, entry, send};
use crate::support::database::run;
use crate::support::eventually;
use crate::support::exposition::{Scrape, Watched};
use crate::support::history::{self, Past};
use crate::support::socket::Socket;

/// What is counted of the requests of a route.
fn requests(route: &str, method: &str, status: &str) -> String {
    format!(
        "audit_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
    )
}

fn refusals(code: &str) -> String {
    format!("audit_http_refusals_total{{code=\"{code}\"}}")
}

/// By how much each of these series has moved.
#[track_caller]
fn assert_moved(what: &str, before: &Scrape, after: &Scrape, expected: &[(String, f64)]) {
    for (series, by) in expected {
        let moved = after.get(series) - before.get(series);
        assert!((moved - by).abs() < 1e-9, "{what}: {series} moved by {moved}, not {by}");
    }
}

fn plain(series: &[(&str, f64)]) -> Vec<(String, f64)> {
    series.iter().map(|(name, by)| ((*name).to_owned(), *by)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_what_they_write_are_counted() {
    let watched = Watched::start(&[]).await;
    let app = &watched.app;
    let tenant_id = app.tenant().await;
    let user = app.caller(tenant_id, "user");
    let before = watched.scrape().await;
    user.post("/logs", &entry(json!({}))).await.created();
    let recorded = watched.scrape().await;
    let seconds = "audit_http_request_seconds_count{method=\"POST\",route=\"/api/v1/logs\"}";
    let mut expected = plain(&[
        (seconds, 1.0),
        ("audit_appended_entries_total", 1.0),
        ("audit_append_seconds_count", 1.0),
        ("audit_append_batch_entries_sum", 1.0),
    ]);
    expected.push((requests("/api/v1/logs", "POST", "2xx"), 1.0));
    assert_moved("an entry", &before, &recorded, &expected);
    assert!(
        recorded.get("audit_append_batch_bytes_sum") > before.get("audit_append_batch_bytes_sum")
    );
    assert!(recorded.get("audit_append_seconds_sum") > before.get("audit_append_seconds_sum"));

    let bulk = json!([entry(json!({})), entry(json!({})), entry(json!({}))]);
    user.post("/logs/bulk", &bulk).await.created();
    let written = watched.scrape().await;
    let mut expected = plain(&[("audit_appended_entries_total", 3.0)]);
    expected.push((requests("/api/v1/logs/bulk", "POST", "2xx"), 1.0));
    assert_moved("in bulk", &recorded, &written, &expected);

    user.get("/logs").await;
    let read = watched.scrape().await;
    let mut expected = plain(&[("audit_reads_pending", 1.0)]);
    expected.push((requests("/api/v1/logs", "GET", "2xx"), 1.0));
    assert_moved("a read", &written, &read, &expected);
    send(app.client.get(format!("{}/healthz", app.base))).await;
    let probed = watched.scrape().await;
    assert_moved("a probe", &read, &probed, &[(requests("/healthz", "GET", "2xx"), 1.0)]);
}

/// So many different ones are not kept for ten minutes: the older half goes to the log at once.
#[tokio::test(flavor = "multi_thread")]
async fn reads_are_pending_until_the_log_tells_them() {
    const READS: u16 = 2_100;
    let watched = Watched::start(&[]).await;
    let tenant_id = watched.app.tenant().await;
    let auditor = &watched.app.caller(tenant_id, "auditor");
    let before = watched.scrape().await;
    let read = async |n: u16| auditor.get(&format!("/logs?limit=1&user_id=user-{n}")).await;
    stream::iter(0..READS).map(read).buffer_unordered(16).for_each(async |_| {}).await;
    eventually("the older half is told", SEEN_WITHIN, async || {
        let scrape = watched.scrape().await;
        let moved = |series| scrape.get(series) - before.get(series);
        let recorded = moved("audit_reads_recorded_total");
        let all = recorded + moved("audit_reads_pending");
        recorded > 1_000.0
            && (all - f64::from(READS)).abs() < 1e-9
            && (moved("audit_appended_entries_total") - recorded).abs() < 1e-9
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_by_their_code() {
    let watched = Watched::start(&[]).await;
    let app = &watched.app;
    let tenant_id = app.tenant().await;
    let (user, logs) = (app.caller(tenant_id, "user"), "/api/v1/logs");
    let mut before = watched.scrape().await;
    let answers = [
        (user.post("/logs", &json!({ "action": "x" })).await, logs, "POST", "invalid_entry"),
        (user.get("/logs?planted=1").await, logs, "GET", "unknown_parameter"),
        (user.get("/logs/export").await, "/api/v1/logs/export", "GET", "forbidden_role"),
        (
            user.clone().without("x-gateway-secret").get("/logs").await,
            "other",
            "other",
            "unauthenticated",
        ),
        (user.get("/nothing/here").await, "other", "other", "not_found"),
        (send(user.request(Method::PUT, "/logs")).await, "other", "other", "method_not_allowed"),
    ];
    let after = watched.scrape().await;
    for (answer, route, method, code) in &answers {
        assert_eq!(answer.code(), *code, "{answer:?}");
        assert_moved(code, &before, &after, &[(refusals(code), 1.0)]);
        assert!(after.get(&requests(route, method, "4xx")) > 0.0, "{route} {method} {code}");
    }
    // A reused key goes to the log and changes nothing there.
    let keyed = user.clone().with("idempotency-key", "planted");
    keyed.post("/logs", &entry(json!({}))).await.created();
    before = watched.scrape().await;
    let replayed = keyed.post("/logs", &entry(json!({}))).await.created();
    assert_eq!(replayed.headers["idempotency-replayed"], "true");
    keyed
        .post("/logs", &entry(json!({ "message": "another" })))
        .await
        .assert_problem(409, "idempotency_key_reused");
    let after = watched.scrape().await;
    let mut expected = plain(&[("audit_appended_entries_total", 0.0)]);
    expected.push((refusals("idempotency_key_reused"), 1.0));
    assert_moved("a key", &before, &after, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_cannot_be_written_are_counted_by_what_it_was() {
    let watched = Watched::start(&[]).await;
    let tenant_id = watched.app.tenant().await;
    let poison = "alter table audit_log add constraint audit_log_test_poison
        check (message <> 'poison') not valid";
    run(&mut watched.app.db.admin().await, poison.to_owned()).await;
    let user = watched.app.caller(tenant_id, "user");
    let before = watched.scrape().await;
    user.post("/logs", &entry(json!({ "message": "poison" }))).await;
    let after = watched.scrape().await;
    let fault = |name: &str| format!("audit_append_faults_total{{fault=\"{name}\"}}");
    let mut expected = plain(&[("audit_appended_entries_total", 0.0)]);
    expected.extend([(fault("refused"), 1.0), (fault("failed"), 0.0), (fault("lost"), 0.0)]);
    assert_moved("poison", &before, &after, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_or_for_too_much_is_counted_apart() {
    let flags = ["--rate-limits", "read=1/h", "--admission-mib", "96"];
    let watched = Watched::start(&flags).await;
    let (app, tenant_id) = (&watched.app, watched.app.tenant().await);
    let user = app.caller(tenant_id, "user");
    user.get("/logs").await;
    let before = watched.scrape().await;
    user.get("/logs").await.assert_problem(429, "rate_limited");
    // A body that never comes keeps its weight, and so others of its tenant out.
    let mut heavy = connect(&app.base).await;
    let post = head("POST", "/logs/bulk", tenant_id, "user");
    let post = format!("{post}content-type: application/json\r\ncontent-length: 9000000\r\n\r\n");
    heavy.write_all(post.as_bytes()).await.unwrap();
    let admitted = "audit_admission_bytes";
    eventually("it is weighed", SEEN_WITHIN, async || watched.scrape().await.get(admitted) >= 36e6)
        .await;
    user.post("/logs", &entry(json!({}))).await.assert_problem(503, "overloaded");
    let after = watched.scrape().await;
    let expected = [
        (refusals("rate_limited"), 1.0),
        (refusals("overloaded"), 1.0),
        (requests("/api/v1/logs", "GET", "4xx"), 1.0),
        (requests("/api/v1/logs", "POST", "5xx"), 1.0),
    ];
    assert_moved("too much", &before, &after, &expected);
    assert_eq!(after.find("audit_admission_limit_bytes"), Some(f64::from(96 << 20)));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_tickets_and_gaps_are_counted() {
    let watched = Watched::start(&["--stream-max", "7"]).await;
    let (app, tenant_id) = (&watched.app, watched.app.tenant().await);
    let before = watched.scrape().await;
    assert_eq!(before.find("audit_streams_limit"), Some(7.0));
    let auditor = app.caller(tenant_id, "auditor");
    let issued = auditor.post("/logs/stream/ticket", &json!({})).await;
    let ticket = issued.body["ticket"].as_str().unwrap().to_owned();
    let query = format!("?ticket={ticket}");
    let mut socket = Socket::try_open(&app.base, &query, HeaderMap::new()).await.unwrap();
    socket.expect("hello").await;
    let open = watched.scrape().await;
    assert_moved(
        "a stream",
        &before,
        &open,
        &plain(&[
            ("audit_stream_tickets_issued_total", 1.0),
            ("audit_stream_tickets_redeemed_total", 1.0),
            ("audit_streams", 1.0),
        ]),
    );
    app.caller(tenant_id, "user").post("/logs", &entry(json!({}))).await.created();
    socket.expect("log").await;
    assert!(watched.scrape().await.get("audit_stream_ring_bytes") > 0.0);
    drop(socket);
    eventually("the stream has ended", SEEN_WITHIN, async || {
        let ended = watched.scrape().await;
        ended.is("audit_streams", 0.0)
            && ended.names().any(|name| name.starts_with("audit_streams_ended_total{"))
            && ended.is("audit_stream_entries_total", 1.0)
    })
    .await;

    let expired = "audit_stream_gaps_total{reason=\"expired\"}";
    let gaps = plain(&[(expired, 1.0)]);
    let before = watched.scrape().await;
    see_a_gap(app).await;
    assert_moved("a gap", &before, &watched.scrape().await, &gaps);
}

/// Follows a log from a place whose entries have expired.
async fn see_a_gap(app: &TestApp) {
    let tenant_id = app.tenant().await;
    let mut socket = Socket::open(&app.base, tenant_id, "").await;
    let begin = socket.expect("hello").await["cursor"].as_str().unwrap().to_owned();
    let day = datetime!(2024-03-01 00:00 UTC);
    let mut admin = app.db.admin().await;
    history::make_room(&mut admin).await;
    let past: Vec<Past> = (0..4).map(|n| Past::at(day + Duration::hours(12 * n))).collect();
    history::write(&mut admin, tenant_id, &past).await;
    history::move_floor(&mut admin, tenant_id, (day + Duration::hours(24)).date()).await;
    let mut socket = Socket::open(&app.base, tenant_id, &format!("?cursor={begin}")).await;
    socket.expect("hello").await;
    socket.expect("gap").await;
}

/// Every family is told from the start or once it has a value, and none twice.
#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_is_read_strictly() {
    let watched = Watched::start(&[]).await;
    watched.app.tenant().await;
    let scrape = watched.scrape().await;
    let families: BTreeSet<_> = scrape.families.keys().cloned().collect();
    assert!(families.len() > 40, "{families:#?}");
    for labels in scrape.labels.values() {
        assert!(!labels.iter().any(|label| label.contains("tenant")), "{labels:?}");
    }
}
