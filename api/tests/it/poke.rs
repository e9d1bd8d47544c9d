//! `audit-log poke`: against real parts, right and wrong ones.

use std::time::{Duration, Instant};

use domain::{EntryId, LogOwner, Place, Seq, TenantId, Timestamp, read_message};
use search::{Document, Shape};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::command::{self, Ended};
use crate::support::database::TestDb;
use crate::support::way::Way;

const PATIENCE: Duration = Duration::from_secs(20);

/// Pokes, and reads what it found: (part, status, all that it says).
async fn poke(env: &[(&str, &str)], flags: &[&str]) -> (Ended, Vec<(String, String, String)>) {
    let ended = command::run(&[&["poke", "--json"], flags].concat(), env).await;
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    let found: Vec<_> = checks
        .map(|check| {
            let said = format!("{} {}", check["problems"], check["facts"]);
            (text(&check["part"]), text(&check["status"]), said)
        })
        .collect();
    let faults = found.iter().any(|(_, status, _)| status == "fault");
    assert_eq!(ended.code, Some(i32::from(faults)), "{ended:?}");
    assert_eq!(report["ok"], json!(!faults));
    (ended, found)
}

fn statuses(found: &[(String, String, String)]) -> Vec<(&str, &str)> {
    found.iter().map(|(part, status, _)| (part.as_str(), status.as_str())).collect()
}

#[track_caller]
fn assert_says(found: &[(String, String, String)], part: &str, status: &str, words: &str) {
    let (_, its, said) = found.iter().find(|(name, ..)| name == part).unwrap();
    assert_eq!(its, status, "{part}: {said}");
    assert!(said.contains(words), "{part} does not say '{words}': {said}");
}

fn with<'a>(url: &'a str, way: &'a Way, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("AUDIT_DATABASE_URL", url)], way.settings().as_slice(), more].concat()
}

/// Brings what a tenant's log holds into the index, as the way through the queue would.
async fn index_all(app: &TestApp, way: &Way, tenant_id: TenantId) {
    let page = app.caller(tenant_id, "user").get("/logs").await;
    index(way, tenant_id, page.body["data"].clone()).await;
}

async fn index(way: &Way, tenant_id: TenantId, entries: Value) {
    let message = json!({ "task_type": "INDEX_LOGS", "version": 1, "entries": entries });
    let message = message.to_string();
    let owner = LogOwner::of(tenant_id);
    let entries = read_message(&message).unwrap();
    let documents: Vec<_> =
        entries.iter().map(|entry| Document::of(&entry.as_stored(), &owner)).collect();
    let outcomes = way.index().bulk(&documents, PATIENCE).await.unwrap();
    assert!(outcomes.iter().all(search::Outcome::is_there), "{outcomes:?}");
    way.index().refresh().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_that_is_as_it_should_be_says_so_and_the_code_is_0() {
    let (db, way) = (TestDb::new().await, Way::make(&[]).await);
    way.index().set_up(Shape::default()).await.unwrap();
    let url = db.url();
    let (_, found) = poke(&with(&url, &way, &[]), &[]).await;
    let parts = ["postgres", "queue", "dead letters", "function", "opensearch", "index"];
    assert_eq!(statuses(&found), parts.map(|part| (part, "ok")), "{found:?}");
    assert_says(&found, "postgres", "ok", "profile native");
    assert_says(&found, "queue", "ok", "visibility 180 s");
    assert_says(&found, "function", "ok", "partial responses");
    assert_says(&found, "index", "ok", "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn for_people_each_part_has_one_line_without_colours_where_nobody_looks() {
    let (db, way) = (TestDb::new().await, Way::make(&[]).await);
    way.index().set_up(Shape::default()).await.unwrap();
    let ended = command::run(&["poke"], &with(&db.url(), &way, &[])).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 6, "{ended:?}");
    assert!(ended.stdout.lines().all(|line| line.starts_with("ok ")), "{ended:?}");
    assert!(!ended.stdout.contains('\x1b'));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_configured_is_off_and_no_fault_but_for_the_log() {
    let db = TestDb::new().await;
    let (_, found) = poke(&[("AUDIT_DATABASE_URL", &db.url())], &[]).await;
    let off = |part| (part, "off");
    assert_eq!(
        statuses(&found),
        [("postgres", "ok"), off("queue"), off("opensearch"), off("index")]
    );
    let (_, found) = poke(&[], &[]).await;
    assert_says(&found, "postgres", "fault", "AUDIT_DATABASE_URL is not set");
    assert_eq!(statuses(&found)[1..], [off("queue"), off("opensearch"), off("index")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_answer_is_a_fault_within_its_time_and_no_secret_is_told() {
    let nowhere = [
        ("AUDIT_DATABASE_URL", "postgres://audit:planted-secret@127.0.0.1:1/audit"),
        ("AUDIT_QUEUE_URL", "http://127.0.0.1:1/000000000000/x"),
        ("AUDIT_SEARCH_URL", "http://127.0.0.1:1"),
        ("AUDIT_SEARCH_USER", "somebody"),
        ("AUDIT_SEARCH_PASSWORD", "planted-secret"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "planted-key"),
        ("AWS_SECRET_ACCESS_KEY", "planted-secret"),
    ];
    let begun_at = Instant::now();
    let (ended, found) = poke(&nowhere, &["--wait-s", "0"]).await;
    assert!(begun_at.elapsed() < PATIENCE);
    let parts = ["postgres", "queue", "opensearch", "index"];
    assert_eq!(statuses(&found), parts.map(|part| (part, "fault")), "{found:?}");
    assert!(!format!("{ended:?}").contains("planted-"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_setting_is_named() {
    let settings = [
        ("AUDIT_FANOUT_VISIBILITY_S", "60"),
        ("AUDIT_FANOUT_RECEIVES_MAX", "2"),
        ("AUDIT_SEARCH_PREFIX", "somewhere-else"),
    ];
    let way = Way::make(&settings).await;
    forget_partial_responses(&way).await;
    let db = TestDb::empty().await;
    let (_, found) = poke(&with(&db.url(), &way, &[]), &["--wait-s", "0"]).await;
    assert_says(&found, "postgres", "fault", "run audit-log migrate");
    assert_says(&found, "queue", "fault", "maxReceiveCount must be 5 or more");
    assert_says(&found, "function", "fault", "visibility is 60 s: 180 s");
    assert_says(&found, "function", "fault", "without ReportBatchItemFailures");
    assert_says(&found, "function", "fault", "it writes to indices named somewhere-else");
    assert_says(&found, "opensearch", "fault", "template 1 is missing");
    assert_says(&found, "index", "fault", "cannot be counted");
}

/// As when somebody made the mapping by hand.
async fn forget_partial_responses(way: &Way) {
    let mappings = format!("{}/2015-03-31/event-source-mappings/", way.aws_url);
    let client = reqwest::Client::new();
    let found: Value = client.get(&mappings).send().await.unwrap().json().await.unwrap();
    let of_ours = |mapping: &&Value| {
        mapping["FunctionArn"].as_str().is_some_and(|arn| arn.ends_with(&way.name))
    };
    let found = found["EventSourceMappings"].as_array().unwrap().iter().find(of_ours).unwrap();
    let one = format!("{mappings}{}", found["UUID"].as_str().unwrap());
    let changed = client.put(one).json(&json!({ "FunctionResponseTypes": [] })).send().await;
    assert!(changed.unwrap().status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_not_in_the_index_and_documents_too_many_are_counted() {
    let (app, way) = (TestApp::start().await, Way::make(&[]).await);
    way.index().set_up(Shape::default()).await.unwrap();
    let (one, another) = (app.tenant().await, app.tenant().await);
    for tenant_id in [one, one, another] {
        app.caller(tenant_id, "user").record("CREATE").await;
    }
    let url = app.db.url();
    let env = with(&url, &way, &[]);
    index_all(&app, &way, one).await;
    let (_, found) = poke(&env, &["--wait-s", "0"]).await;
    assert_says(&found, "index", "fault", "1 of them are not in the index");
    assert_says(&found, "index", "fault", &another.to_string());
    assert_says(&found, "index", "fault", "3 entries of 2 logs");
    assert_says(&found, "opensearch", "ok", "1 indices");

    index_all(&app, &way, another).await;
    let (_, found) = poke(&env, &["--wait-s", "0"]).await;
    assert_says(&found, "index", "ok", "complete");

    // A number that a failover has used twice is two documents.
    let page = app.caller(one, "user").get("/logs").await;
    index(&way, one, json!([used_twice(&page.body["data"][0], one)])).await;
    let (_, found) = poke(&env, &["--wait-s", "0"]).await;
    assert_says(&found, "index", "fault", "1 documents too many");
    assert_says(&found, "index", "fault", &one.to_string());
}

/// The same number, a millisecond later.
fn used_twice(entry: &Value, tenant_id: TenantId) -> Value {
    let recorded_at = Timestamp::parse(entry["recorded_at"].as_str().unwrap()).unwrap();
    let recorded_at = Timestamp::from_millis(recorded_at.as_millis() + 1);
    let place = Place { recorded_at, seq: Seq::new(entry["seq"].as_i64().unwrap()).unwrap() };
    let mut twin = entry.clone();
    twin["id"] = json!(EntryId::of(place, tenant_id));
    twin["recorded_at"] = json!(recorded_at);
    twin
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_may_take_its_time_into_the_index() {
    let (app, way) = (TestApp::start().await, Way::make(&[]).await);
    way.index().set_up(Shape::default()).await.unwrap();
    let tenant_id = app.tenant().await;
    app.caller(tenant_id, "user").record("CREATE").await;
    let url = app.db.url();
    let env = with(&url, &way, &[]);
    let poking = poke(&env, &["--wait-s", "20"]);
    let ((_, found), ()) = tokio::join!(poking, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        index_all(&app, &way, tenant_id).await;
    });
    assert_says(&found, "index", "ok", "complete");
}
