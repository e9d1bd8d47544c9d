//! What a client sees in the simple case.

use serde_json::json;

use super::{record, record_many};
use crate::support::app::{TestApp, entry};
use crate::support::socket::Socket;

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_comes_as_it_was_answered_and_in_order() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    record(&caller, 0, 3).await;
    let mut socket = Socket::open(&app.base, tenant_id, "").await;
    let hello = socket.frame().await;
    assert_eq!(hello["type"], "hello");
    assert_eq!((&hello["head_seq"], &hello["floor_seq"]), (&json!(3), &json!(1)));
    let answer = caller.post_entry(json!({ "message": "now", "after": { "a": [1, "ü"] } })).await;
    let frame = socket.frame().await;
    assert_eq!(frame["type"], "log");
    assert_eq!(frame["data"], answer.body);
    record_many(&caller, (0..50).map(|n| entry(json!({ "message": n.to_string() }))).collect())
        .await;
    assert_eq!(socket.seqs(50).await, (5..55).collect::<Vec<_>>());
}

/// The first is read from the log; those after it the writer has handed over.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_the_same_whichever_way_it_comes() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "admin");
    let mut socket = Socket::open(&app.base, tenant_id, "").await;
    socket.expect("hello").await;
    let strange = json!({
        "occurred_at": "2024-02-29T23:59:59.999+14:00", "user_name": " ", "session_id": "ß\u{202e}",
        "request_id": "r-1", "resource_id": "inv/1", "severity": "CRITICAL", "message": "\u{1}\\\"",
        "ip_address": "2001:0DB8:0000::1", "user_agent": "a\tb", "before": [1.10, -0.0, 1e300],
        "after": { "b": 1, "a": { "ü": null } }, "metadata": { "k": "\u{fffd}" }
    });
    for _ in 0..4 {
        for fields in [json!({}), strange.clone()] {
            let answer = caller.post_entry(fields).await.created();
            let path = format!("/logs/{}", answer.body["id"].as_str().unwrap());
            let stored = caller.get(&path).await;
            assert_eq!(stored.body, answer.body);
            assert_eq!(socket.expect("log").await["data"], answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_brings_what_was_missed_and_then_what_is_new() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    let mut socket = Socket::open(&app.base, tenant_id, "").await;
    let begin = socket.expect("hello").await["cursor"].as_str().unwrap().to_owned();
    record(&caller, 0, 3).await;
    socket.seqs(1).await;
    let second = socket.expect("log").await;
    drop(socket);
    record(&caller, 3, 2).await;
    for (cursor, first) in [(begin.as_str(), 1), (second["cursor"].as_str().unwrap(), 3)] {
        let query = format!("?cursor={cursor}");
        let mut socket = Socket::open(&app.base, tenant_id, &query).await;
        assert_eq!(socket.expect("hello").await["cursor"], cursor);
        assert_eq!(socket.seqs(6 - first).await, (first as i64..6).collect::<Vec<_>>());
    }
    let mut socket = Socket::open(
        &app.base,
        tenant_id,
        &format!("?cursor={}", second["cursor"].as_str().unwrap()),
    )
    .await;
    socket.expect("hello").await;
    assert_eq!(socket.seqs(3).await, [3, 4, 5]);
    record(&caller, 5, 1).await;
    assert_eq!(socket.seqs(1).await, [6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_passes_filter_and_query_comes_and_both_can_be_changed() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    let query = "?action=DELETE&action=CREATE&q=invoice";
    let mut socket = Socket::open(&app.base, tenant_id, query).await;
    socket.expect("hello").await;
    let all = [
        json!({ "action": "DELETE", "message": "the Invoice" }),
        json!({ "action": "DELETE", "message": "the bill" }),
        json!({ "action": "UPDATE", "message": "the invoice" }),
        json!({ "action": "CREATE", "after": { "kind": "invoice" } }),
    ];
    record_many(&caller, all.clone().map(entry).to_vec()).await;
    assert_eq!(socket.seqs(2).await, [1, 4]);
    socket.filter("severity_min=ERROR").await;
    let hello = socket.expect("hello").await;
    assert_eq!(hello["head_seq"], 4);
    caller.post_entry(json!({ "severity": "WARNING" })).await.created();
    caller.post_entry(json!({ "severity": "CRITICAL" })).await.created();
    assert_eq!(socket.seqs(1).await, [6]);
    socket.filter("severity=error").await;
    let error = socket.expect("error").await;
    assert_eq!(error["code"], "invalid_parameter");
    caller.post_entry(json!({ "severity": "INFO" })).await.created();
    caller.post_entry(json!({ "severity": "ERROR" })).await.created();
    assert_eq!(socket.seqs(1).await, [8], "the filter before goes on");
    socket.filter("").await;
    socket.expect("hello").await;
    record(&caller, 0, 1).await;
    assert_eq!(socket.seqs(1).await, [9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_stream_goes_on_where_it_was() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    let mut socket = Socket::open(&app.base, tenant_id, "").await;
    socket.expect("hello").await;
    record(&caller, 0, 1).await;
    assert_eq!(socket.seqs(1).await, [1]);
    socket.say(json!({ "type": "pause" })).await;
    let paused = socket.expect("hello").await;
    record(&caller, 1, 5).await;
    socket.say(json!({ "type": "resume" })).await;
    let resumed = socket.expect("hello").await;
    assert_eq!(resumed["cursor"], paused["cursor"]);
    assert_eq!(socket.seqs(5).await, [2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_moves_the_cursor_although_nothing_matched() {
    let db = crate::support::database::TestDb::new().await;
    let app = TestApp::start_with(db, &["--stream-hurry", "60"]).await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    let mut socket = Socket::open(&app.base, tenant_id, "?action=NEVER").await;
    let hello = socket.expect("hello").await;
    record(&caller, 0, 2).await;
    let beat = loop {
        let beat = socket.frame().await;
        assert_eq!(beat["type"], "heartbeat", "{beat}");
        if beat["cursor"] != hello["cursor"] && beat["head_seq"] == 2 {
            break beat;
        }
    };
    record(&caller, 2, 1).await;
    let query = format!("?cursor={}", beat["cursor"].as_str().unwrap());
    let mut socket = Socket::open(&app.base, tenant_id, &query).await;
    socket.expect("hello").await;
    assert_eq!(socket.seqs(1).await, [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_the_service_itself_come_only_when_they_are_asked_for() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let mut without = Socket::open(&app.base, tenant_id, "").await;
    let mut with = Socket::open(&app.base, tenant_id, "?include_self=true").await;
    let begin = with.expect("hello").await["cursor"].as_str().unwrap().to_owned();
    without.expect("hello").await;
    let path = format!("/tenants/{tenant_id}");
    app.operator().patch(&path, &json!({ "name": "changed" })).await;
    record(&app.caller(tenant_id, "user"), 0, 1).await;
    assert_eq!(with.expect("log").await["data"]["resource_type"], "audit_log");
    assert_eq!(with.seqs(1).await, [2]);
    assert_eq!(without.seqs(1).await, [2]);
    // The same when they are read from the log.
    for (more, seqs) in [("", &[2][..]), ("&include_self=true", &[1, 2])] {
        let query = format!("?cursor={begin}{more}");
        let mut socket = Socket::open(&app.base, tenant_id, &query).await;
        socket.expect("hello").await;
        assert_eq!(socket.seqs(seqs.len()).await, seqs);
    }
}
