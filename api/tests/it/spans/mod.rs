//! Traces: one request, followed from its sender into the index.

mod collecting;

use std::sync::Mutex;
use std::time::Duration;

use domain::TenantId;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::relay::restarts::make_tenant;
use crate::support::app::{TestApp, entry, identity, send};
use crate::support::collector::{Collector, Sent};
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::fan_out::FanOut;
use crate::support::queue::{TestQueue, aws_url, settings};
use crate::support::service::Service;
use crate::support::switch::{Mode, Switch};

const PATIENCE: Duration = Duration::from_secs(30);

/// A trace of the sender's, and the span in it that it sent from.
struct Given {
    trace: String,
    span: String,
}

impl Given {
    fn new() -> Self {
        let (trace, span): (u128, u64) = (rand::random(), rand::random());
        Self { trace: format!("{:032x}", trace.max(1)), span: format!("{:016x}", span.max(1)) }
    }

    fn header(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.span)
    }

    /// The same, where nobody wants to see it.
    fn unsampled(&self) -> String {
        format!("00-{}-{}-00", self.trace, self.span)
    }
}

async fn app(collector: &Collector) -> TestApp {
    TestApp::start_with(TestDb::new().await, &["--otlp-endpoint", &collector.url]).await
}

#[track_caller]
fn named<'s>(spans: &'s [Sent], name: &str) -> &'s Sent {
    let mut found = spans.iter().filter(|span| span.name == name);
    let only = found.next().unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert!(found.next().is_none(), "{name} twice in {spans:#?}");
    only
}

/// Records an entry, as a request with this `traceparent`.
async fn record(base: &str, tenant_id: TenantId, traceparent: &str) -> Uuid {
    let request = reqwest::Client::new().post(format!("{base}/api/v1/logs"));
    let request = request.headers(identity(Some(tenant_id), "user"));
    let request = request.header("traceparent", traceparent);
    let answer = send(request.json(&entry(json!({ "message": "planted message" })))).await;
    answer.created().body["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_trace_from_its_sender_into_the_index() {
    let collector = Collector::start().await;
    let traced = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())];
    let fan_out = FanOut::start(&traced).await;
    let db = TestDb::new().await;
    let settings = [&settings(&fan_out.queue_url, &fan_out.url)[..], &traced].concat();
    let service = Service::start(&db.url(), &settings).await;
    let tenant_id = make_tenant(&reqwest::Client::new(), &service.base).await;
    let given = Given::new();
    record(&service.base, tenant_id, &given.header()).await;
    eventually("the Lambda has told its span", PATIENCE, async || {
        collector.of_trace(&given.trace).len() >= 4
    })
    .await;
    let spans = collector.of_trace(&given.trace);
    let chain = [
        ("audit-log", "POST /api/v1/logs", given.span),
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

/// The index is worth more than its traces.
#[tokio::test(flavor = "multi_thread")]
async fn a_lambda_indexes_whatever_is_wrong_with_its_collector() {
    let collector = Collector::start().await;
    let silent = Switch::before(&collector.url).await;
    silent.set(Mode::Hang);
    for wrong in ["nonsense", &silent.url] {
        let fan_out = FanOut::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", wrong)]).await;
        let db = TestDb::new().await;
        let traced = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())];
        let settings = [&settings(&fan_out.queue_url, &fan_out.url)[..], &traced].concat();
        let service = Service::start(&db.url(), &settings).await;
        let tenant_id = make_tenant(&reqwest::Client::new(), &service.base).await;
        let id = record(&service.base, tenant_id, &Given::new().header()).await;
        eventually("it is indexed, and its message done", PATIENCE, async || {
            !fan_out.find(&[id]).await.is_empty() && fan_out.waiting(false).await == 0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_tells_of_a_trace_only_where_somebody_follows_it() {
    let collector = Collector::start().await;
    let (queue, db) = (TestQueue::new().await, TestDb::new().await);
    let aws = aws_url();
    let untraced = Service::start(&db.url(), &settings(&queue.url, &aws)).await;
    let tenant_id = make_tenant(&reqwest::Client::new(), &untraced.base).await;
    let message = async |base: &str, traceparent: String| {
        record(base, tenant_id, &traceparent).await;
        let said = Mutex::new(Vec::new());
        eventually("it is sent", PATIENCE, async || {
            let seen = queue.traceparents().await;
            said.lock().unwrap().extend(seen.iter().cloned());
            !seen.is_empty()
        })
        .await;
        let mut said = said.into_inner().unwrap();
        assert_eq!(said.len(), 1, "{said:?}");
        said.remove(0)
    };
    assert_eq!(message(&untraced.base, Given::new().header()).await, None);
    drop(untraced);

    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str());
    let settings = [&settings(&queue.url, &aws)[..], &[endpoint]].concat();
    let traced = Service::start(&db.url(), &settings).await;
    let given = Given::new();
    assert_eq!(message(&traced.base, given.unsampled()).await, None);
    let said = message(&traced.base, given.header()).await.unwrap();
    eventually("the relay has told its span", PATIENCE, async || {
        collector.of_trace(&given.trace).iter().any(|span| span.name == "relay")
    })
    .await;
    let relay = named(&collector.of_trace(&given.trace), "relay").clone();
    assert_eq!(said, format!("00-{}-{}-01", given.trace, relay.id));
}

/// What could not be sent is sent later, still in its trace.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_outlives_a_queue_that_is_away() {
    let collector = Collector::start().await;
    let (queue, db) = (TestQueue::new().await, TestDb::new().await);
    let switch = Switch::before(&aws_url()).await;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str());
    let settings = [&settings(&queue.url, &switch.url)[..], &[endpoint]].concat();
    let service = Service::start(&db.url(), &settings).await;
    let tenant_id = make_tenant(&reqwest::Client::new(), &service.base).await;
    switch.set(Mode::Close);
    let given = Given::new();
    record(&service.base, tenant_id, &given.header()).await;
    let relays = || {
        let spans = collector.of_trace(&given.trace).into_iter();
        spans.filter(|span| span.name == "relay").collect::<Vec<_>>()
    };
    eventually("the relay has failed", PATIENCE, async || !relays().is_empty()).await;
    assert!(relays().iter().all(|span| span.has_failed), "{:#?}", relays());
    switch.set(Mode::Pass);
    eventually("it has not", PATIENCE, async || relays().iter().any(|span| !span.has_failed)).await;
    let relays = relays();
    let sent = relays.iter().find(|span| !span.has_failed).unwrap();
    assert_eq!(sent.notes["audit.entries.sent"], "1");
    let expected = format!("00-{}-{}-01", given.trace, sent.id);
    assert_eq!(queue.traceparents().await, [Some(expected)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_in_the_trace_of_one_request_and_names_the_others() {
    let collector = Collector::start().await;
    let app = app(&collector).await;
    let tenants: Vec<TenantId> = [app.tenant().await, app.tenant().await].into();
    let traces: Vec<_> = (0..40).map(|_| Given::new()).collect();
    // Whom nobody follows goes in the same batches, and stands in nobody's way.
    let unseen: Vec<_> = (0..40).map(|_| Given::new()).collect();
    let headers = unseen.iter().map(Given::unsampled).chain(traces.iter().map(Given::header));
    let sending = headers.enumerate().map(|(n, header)| {
        let user = app.caller(tenants[n % 2], "user").with("traceparent", &header);
        async move { user.post("/logs", &entry(json!({}))).await.created() }
    });
    futures_util::future::join_all(sending).await;
    app.stop().await.unwrap();
    let spans = collector.spans();
    let batches: Vec<_> = spans.iter().filter(|span| span.name == "append").collect();
    assert!(batches.iter().any(|batch| !batch.links.is_empty()), "no batch: {batches:#?}");
    for given in &traces {
        let of_request = spans.iter().find(|span| span.parent == given.span);
        let request = of_request.unwrap_or_else(|| panic!("{} is lost", given.trace));
        let is_behind = |batch: &&&Sent| {
            let of_it = (request.trace.clone(), request.id.clone());
            (batch.trace == request.trace && batch.parent == request.id)
                || batch.links.contains(&of_it)
        };
        let count = batches.iter().filter(is_behind).count();
        assert_eq!(count, 1, "a request is written in one batch: {request:?}");
    }
    let entries = |batch: &&Sent| batch.notes["audit.batch.entries"].parse::<u64>().unwrap();
    let entries: u64 = batches.iter().map(entries).sum();
    assert!(entries >= 40, "{entries}");
    assert!(unseen.iter().all(|given| collector.of_trace(&given.trace).is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_trace_begins_one_and_refusals_are_told() {
    let collector = Collector::start().await;
    let app = app(&collector).await;
    let user = app.caller(app.tenant().await, "user");
    let (told, unsampled, refused) = (Given::new(), Given::new(), Given::new());
    let wrong = ["planted", "00-0-0-00", "", &told.header().to_uppercase()];
    let wrong_ones = wrong.len() + 2;
    for given in wrong {
        user.clone().with("traceparent", given).post("/logs", &entry(json!({}))).await.created();
    }
    // Twice, or not even text, is as good as nothing; unsampled is not told.
    let header = told.header();
    let twice = user.clone().with("traceparent", &header).with_another("traceparent", &header);
    twice.post("/logs", &entry(json!({}))).await.created();
    let bytes = user.clone().with_bytes("traceparent", b"\xff\xfe");
    bytes.post("/logs", &entry(json!({}))).await.created();
    let quiet = user.clone().with("traceparent", &unsampled.unsampled());
    quiet.post("/logs", &entry(json!({}))).await.created();
    let wanted = user.clone().with("traceparent", &refused.header());
    wanted.post("/logs", &json!({ "action": "x" })).await.assert_problem(422, "invalid_entry");
    send(app.client.get(format!("{}/healthz", app.base))).await;
    let brewed = Method::from_bytes(b"PLANTED").unwrap();
    send(user.request(brewed, "/logs?planted=planted"))
        .await
        .assert_problem(405, "method_not_allowed");
    user.get("/planted").await.assert_problem(404, "not_found");
    app.stop().await.unwrap();
    let spans = collector.spans();
    assert!(collector.of_trace(&told.trace).is_empty(), "{spans:#?}");
    assert!(collector.of_trace(&unsampled.trace).is_empty(), "{spans:#?}");
    let posts = spans.iter().filter(|span| span.name == "POST /api/v1/logs");
    let begun = posts.filter(|span| span.parent.is_empty()).count();
    assert_eq!(begun, wrong_ones, "{spans:#?}");
    let [refused] = &collector.of_trace(&refused.trace)[..] else { panic!("{spans:#?}") };
    assert_eq!(refused.notes["error.type"], "invalid_entry");
    assert_eq!(refused.notes["http.response.status_code"], "422");
    assert!(!refused.has_failed, "it was the client's fault");
    assert_eq!(named(&spans, "_OTHER").notes["http.request.method"], "_OTHER");
    // Neither probes, nor anything in the words of a sender.
    let told = format!("{spans:?}").to_lowercase();
    assert!(!told.contains("healthz") && !told.contains("planted"), "{told}");
}
