//! Traces: one request, followed from its sender into the index.

use std::time::{Duration, Instant};

use domain::TenantId;
use serde_json::json;

use crate::relay::restarts::make_tenant;
use crate::support::app::{TestApp, entry, identity, send};
use crate::support::collector::{Collector, Sent};
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::fan_out::FanOut;
use crate::support::queue::settings;
use crate::support::service::{Service, free_port};
use crate::support::switch::{Mode, Switch};

const PATIENCE: Duration = Duration::from_secs(30);

/// A trace of the sender's, and the span in it that it sent from.
fn trace() -> (String, String, String) {
    let (trace, span): (u128, u64) = (rand::random(), rand::random());
    let (trace, span) = (format!("{:032x}", trace.max(1)), format!("{:016x}", span.max(1)));
    let header = format!("00-{trace}-{span}-01");
    (trace, span, header)
}

async fn app(collector: &Collector) -> TestApp {
    TestApp::start_with(TestDb::new().await, &["--otlp-endpoint", &collector.url]).await
}

fn named<'s>(spans: &'s [Sent], name: &str) -> &'s Sent {
    let mut found = spans.iter().filter(|span| span.name == name);
    let only = found.next().unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert!(found.next().is_none(), "{name} twice in {spans:#?}");
    only
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_trace_from_its_sender_into_the_index() {
    let collector = Collector::start().await;
    let fast = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let fan_out = FanOut::start(&fast).await;
    let db = TestDb::new().await;
    let settings = [&settings(&fan_out.queue_url, &fan_out.url)[..], &fast].concat();
    let service = Service::start(&db.url(), &settings).await;
    let client = reqwest::Client::new();
    let tenant_id = make_tenant(&client, &service.base).await;
    let (trace, parent, header) = trace();
    let request = client.post(format!("{}/api/v1/logs", service.base));
    let request = request.headers(identity(Some(tenant_id), "user")).header("traceparent", header);
    send(request.json(&entry(json!({ "message": "planted message" })))).await.created();
    eventually("the Lambda has told its span", PATIENCE, async || {
        collector.of_trace(&trace).len() >= 4
    })
    .await;
    let spans = collector.of_trace(&trace);
    let chain = [
        ("audit-log", "POST /api/v1/logs", parent),
        ("audit-log", "append", named(&spans, "POST /api/v1/logs").id.clone()),
        ("audit-log", "relay", named(&spans, "append").id.clone()),
        ("audit-log-indexer", "index", named(&spans, "relay").id.clone()),
    ];
    for (program, name, parent) in chain {
        let span = named(&spans, name);
        assert_eq!((span.program.as_str(), &span.parent), (program, &parent), "{spans:#?}");
        assert!(!span.has_failed, "{span:?}");
    }
    assert_eq!(spans.len(), 4, "{spans:#?}");
    assert_eq!(named(&spans, "relay").notes["audit.entries.sent"], "1");
    // How much and how it ended, never what it was.
    let told = format!("{:?}", collector.spans());
    for confident in ["planted", "alice", &tenant_id.to_string()] {
        assert!(!told.contains(confident), "{confident}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_in_the_trace_of_one_request_and_names_the_others() {
    let collector = Collector::start().await;
    let app = app(&collector).await;
    let tenants: Vec<TenantId> = [app.tenant().await, app.tenant().await].into();
    let traces: Vec<_> = (0..40).map(|_| trace()).collect();
    let sending = traces.iter().enumerate().map(|(n, (_, _, header))| {
        let user = app.caller(tenants[n % 2], "user").with("traceparent", header);
        async move { user.post("/logs", &entry(json!({}))).await.created() }
    });
    futures_util::future::join_all(sending).await;
    app.stop().await.unwrap();
    let spans = collector.spans();
    let batches: Vec<_> = spans.iter().filter(|span| span.name == "append").collect();
    for (trace, parent, _) in &traces {
        let of_request = spans.iter().find(|span| span.trace == *trace && span.parent == *parent);
        let request = of_request.unwrap_or_else(|| panic!("{trace} is lost"));
        let is_behind = |batch: &&&Sent| {
            batch.parent == request.id || batch.links.iter().any(|(_, id)| *id == request.id)
        };
        let count = batches.iter().filter(is_behind).count();
        assert_eq!(count, 1, "a request is written in one batch: {request:?}");
    }
    let entries: u64 = batches
        .iter()
        .map(|batch| batch.notes["audit.batch.entries"].parse::<u64>().unwrap())
        .sum();
    assert!(entries >= 40, "{entries}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_trace_begins_one_and_refusals_are_told() {
    let collector = Collector::start().await;
    let app = app(&collector).await;
    let tenant_id = app.tenant().await;
    let (told, _, header) = trace();
    let user = app.caller(tenant_id, "user");
    for given in ["planted", "00-0-0-00", "", &header.to_uppercase()] {
        user.clone().with("traceparent", given).post("/logs", &entry(json!({}))).await.created();
    }
    // Twice is as good as nothing; unsampled is not told.
    let twice = user.clone().with("traceparent", &header).with_another("traceparent", &header);
    twice.post("/logs", &entry(json!({}))).await.created();
    let (unsampled, _, header) = trace();
    let header = header.replace("-01", "-00");
    user.clone().with("traceparent", &header).post("/logs", &entry(json!({}))).await.created();
    let (refused, _, header) = trace();
    let answer = user.with("traceparent", &header).post("/logs", &json!({ "action": "x" })).await;
    answer.assert_problem(422, "invalid_entry");
    send(app.client.get(format!("{}/healthz", app.base))).await;
    app.stop().await.unwrap();
    let spans = collector.spans();
    let is_of = |trace: &str| spans.iter().filter(|span| span.trace == trace).count();
    assert_eq!((is_of(&told), is_of(&unsampled)), (0, 0));
    let begun = spans.iter().filter(|span| span.parent.is_empty()).count();
    assert!(begun >= 5, "{spans:#?}");
    let refused: Vec<_> = spans.iter().filter(|span| span.trace == refused).collect();
    let [refused] = &refused[..] else { panic!("{refused:#?}") };
    assert_eq!(refused.notes["error.type"], "invalid_entry");
    assert_eq!(refused.notes["http.response.status_code"], "422");
    assert!(!refused.has_failed, "it was the client's fault");
    assert!(!spans.iter().any(|span| span.name.contains("healthz")), "{spans:#?}");
}

/// A collector that is away, or never answers, costs requests nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_the_collector() {
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let collector = Collector::start().await;
    let silent = Switch::before(&collector.url).await;
    silent.set(Mode::Hang);
    for endpoint in [nowhere, silent.url.clone()] {
        let app = TestApp::start_with(TestDb::new().await, &["--otlp-endpoint", &endpoint]).await;
        let tenant_id = app.tenant().await;
        let user = app.caller(tenant_id, "user");
        let mut slowest = Duration::ZERO;
        // More than the queue of spans holds.
        for _ in 0..3_000 {
            let begun = Instant::now();
            let answer = user.get("/logs?limit=1").await;
            assert_eq!(answer.status, 200);
            slowest = slowest.max(begun.elapsed());
        }
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
        let begun = Instant::now();
        app.stop().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
