//! What becomes of spans when the collector takes them, does not, or is not there.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::{Given, PATIENCE};
use crate::support::app::entry;
use crate::support::collector::{Collector, Refusing};
use crate::support::eventually;
use crate::support::exposition::Watched;
use crate::support::said;
use crate::support::service::free_port;
use crate::support::switch::{Mode, Switch};

/// More than those that wait and those that are being sent.
const FLOOD: usize = 4_000;

/// How long a request may take beside others in a debug build: far less than a collector may.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);

/// What of spans is counted, by what became of them.
async fn counted(watched: &Watched) -> BTreeMap<&'static str, u64> {
    let scrape = watched.scrape().await;
    let mut counted = BTreeMap::new();
    for reason in ["no_room", "lost", "refused"] {
        let series = format!("audit_trace_spans_dropped_total{{reason=\"{reason}\"}}");
        counted.insert(reason, scrape.find(&series).unwrap());
    }
    counted.insert("sent", scrape.find("audit_trace_spans_sent_total").unwrap());
    let whole = |number: f64| format!("{number}").parse().unwrap();
    counted.into_iter().map(|(fate, number)| (fate, whole(number))).collect()
}

/// Waits until so many spans have met their end, and tells which.
async fn ended(watched: &Watched, spans: usize) -> BTreeMap<&'static str, u64> {
    let last = Mutex::new(BTreeMap::new());
    eventually("all spans have ended", PATIENCE, async || {
        let counted = counted(watched).await;
        let is_all = counted.values().sum::<u64>() == spans as u64;
        *last.lock().unwrap() = counted;
        is_all
    })
    .await;
    last.into_inner().unwrap()
}

/// Sends requests that are refused at once, each a span of its own; says how long one took at most.
async fn flood(watched: &Watched) -> Duration {
    let requests = (0..FLOOD).map(async |_| {
        let begun = Instant::now();
        let url = format!("{}/api/v1/logs", watched.app.base);
        assert_eq!(watched.app.client.get(url).send().await.unwrap().status(), 401);
        begun.elapsed()
    });
    let took: Vec<Duration> = stream::iter(requests).buffer_unordered(16).collect().await;
    took.into_iter().max().unwrap_or_default()
}

/// A collector that is away, or never answers, costs requests nothing, and a stop next to nothing.
async fn assert_nobody_waits_for(endpoint: &str, fate: &str) {
    let watched = Watched::start(&["--otlp-endpoint", endpoint]).await;
    let slowest = flood(&watched).await;
    assert!(slowest < REQUEST_WITHIN, "{slowest:?}");
    let tenant_id = watched.app.tenant().await;
    let user = watched.app.caller(tenant_id, "user").with("traceparent", &Given::new().header());
    user.post("/logs", &entry(json!({}))).await.created();
    // The tenant's, the entry's, its batch's.
    let spans = FLOOD + 3;
    let ended = ended(&watched, spans).await;
    assert!(ended[fate] > 0 && ended["sent"] == 0, "{ended:?}");
    eprintln!("{endpoint}: {ended:?}, the slowest request took {slowest:?}");
    flood(&watched).await;
    let begun = Instant::now();
    watched.app.stop().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_collector_that_is_away() {
    assert_nobody_waits_for(&format!("http://127.0.0.1:{}", free_port()), "lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_collector_that_never_answers() {
    let collector = Collector::start().await;
    let silent = Switch::before(&collector.url).await;
    silent.set(Mode::Hang);
    assert_nobody_waits_for(&silent.url, "no_room").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_spans_is_counted() {
    let secret = "planted-collector-key-4711";
    said::note(secret);
    let collector = Collector::start().await;
    let headers = format!("x-key={secret},x-more=a%2Cb");
    let flags = ["--otlp-endpoint", &collector.url, "--otlp-headers", &headers];
    let watched = Watched::start(&flags).await;
    let expect = async |sent: u64, refused: u64| {
        let auditor = watched.app.with_headers(crate::support::app::identity(None, "auditor"));
        auditor.get("/planted").await;
        let expected = [("lost", 0), ("no_room", 0), ("refused", refused), ("sent", sent)];
        let spans = usize::try_from(sent + refused).unwrap();
        assert_eq!(ended(&watched, spans).await, expected.into());
    };
    expect(1, 0).await;
    assert_eq!(collector.headers()["x-key"], secret);
    assert_eq!(collector.headers()["x-more"], "a,b");
    collector.refuse(Some(Refusing::All(503)));
    expect(1, 1).await;
    // A redirect is none of our business, and nobody else gets the key.
    let other = Collector::start().await;
    collector.refuse(Some(Refusing::Elsewhere(other.url.clone())));
    expect(1, 2).await;
    assert!(other.headers().is_empty(), "{:?}", other.headers());
    // It says that it wants none of it, and more than there were.
    collector.refuse(Some(Refusing::Some(7)));
    expect(1, 3).await;
    collector.refuse(None);
    expect(2, 3).await;
    watched.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_there_are_no_spans() {
    let watched = Watched::start(&[]).await;
    let tenant_id = watched.app.tenant().await;
    let user = watched.app.caller(tenant_id, "user").with("traceparent", &Given::new().header());
    user.post("/logs", &entry(json!({}))).await.created();
    let counted = counted(&watched).await;
    assert!(counted.values().all(|number| *number == 0), "{counted:?}");
}
