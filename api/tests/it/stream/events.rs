//! The same machine over server-sent events.

use super::record;
use crate::support::app::TestApp;
use crate::support::database::TestDb;
use crate::support::events::Events;

#[tokio::test(flavor = "multi_thread")]
async fn every_event_has_the_cursor_as_its_id() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let auditor = app.caller(tenant_id, "auditor");
    let mut events = Events::open(&auditor, "?action=UPDATE").await;
    assert_eq!(events.headers["content-type"], "text/event-stream");
    assert_eq!(events.headers["cache-control"], "private, no-store");
    let hello = events.expect("hello").await;
    assert_eq!(hello.id, hello.data["cursor"].as_str().unwrap());
    let caller = app.caller(tenant_id, "user");
    caller.record("VIEW").await;
    record(&caller, 0, 3).await;
    for seq in 2..=4 {
        let event = events.expect("log").await;
        assert_eq!(event.id, event.data["cursor"].as_str().unwrap());
        assert_eq!(event.data["data"]["seq"], seq);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_event_beats_the_address() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let auditor = app.caller(tenant_id, "auditor");
    let mut events = Events::open(&auditor, "").await;
    let begin = events.expect("hello").await.id;
    record(&app.caller(tenant_id, "user"), 0, 3).await;
    let first = events.expect("log").await.id;
    drop(events);
    let query = format!("?cursor={begin}");
    for (last, seqs) in
        [(None, &[1, 2, 3][..]), (Some(&first), &[2, 3]), (Some(&String::new()), &[1, 2, 3])]
    {
        let caller = match last {
            Some(last) => auditor.clone().with("last-event-id", last),
            None => auditor.clone(),
        };
        let mut events = Events::open(&caller, &query).await;
        events.expect("hello").await;
        for seq in seqs {
            assert_eq!(events.expect("log").await.data["data"]["seq"], *seq, "{last:?}");
        }
    }
    let broken = auditor.with("last-event-id", "x").with("accept", "text/event-stream");
    broken.get(&format!("/logs/stream{query}")).await.assert_problem(400, "invalid_cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_at_once_although_the_client_takes_compressed_answers() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let auditor = app.caller(tenant_id, "auditor").with("accept-encoding", "gzip, zstd");
    let mut events = Events::open(&auditor, "").await;
    assert!(!events.headers.contains_key("content-encoding"));
    events.expect("hello").await;
    record(&app.caller(tenant_id, "user"), 0, 1).await;
    events.expect("log").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_events_with_a_cursor_and_an_error() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut events = Events::open(&app.caller(tenant_id, "auditor"), "").await;
    events.expect("hello").await;
    record(&app.caller(tenant_id, "user"), 0, 2).await;
    let stopping = tokio::spawn(app.stop());
    events.expect("log").await;
    let last = events.expect("log").await.id;
    assert_eq!(events.expect("heartbeat").await.id, last);
    let error = events.expect("error").await;
    assert_eq!((error.id, error.data["code"].as_str()), (last, Some("shutting_down")));
    assert!(events.next().await.is_none());
    stopping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_word_of_a_gateway_ends() {
    let app = TestApp::start_with(TestDb::new().await, &["--stream-max-age", "1s"]).await;
    let tenant_id = app.tenant().await;
    let mut events = Events::open(&app.caller(tenant_id, "auditor"), "").await;
    events.expect("hello").await;
    assert_eq!(events.expect("error").await.data["code"], "proof_ended");
    assert!(events.next().await.is_none());
}
