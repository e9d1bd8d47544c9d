//! How streams end, and with which code.

use std::time::{Duration, Instant};

use api::tenants::default_settings;
use bytes::Bytes;
use domain::TenantId;
use futures_util::SinkExt as _;
use reqwest::header::HeaderMap;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use uuid::Uuid;

use super::record;
use crate::support::app::{TestApp, identity};
use crate::support::command;
use crate::support::database::{TestDb, run};
use crate::support::eventually;
use crate::support::socket::{Came, Socket};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sends_what_is_there_a_last_cursor_and_1012() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut socket = Socket::open(&app.base, tenant_id, "").await;
    socket.expect("hello").await;
    let mut paused = Socket::open(&app.base, tenant_id, "").await;
    paused.expect("hello").await;
    paused.say(json!({ "type": "pause" })).await;
    let begin = paused.expect("hello").await;
    record(&app.caller(tenant_id, "user"), 0, 20).await;
    let stopping = tokio::spawn(app.stop());
    assert_eq!(socket.seqs(20).await, (1..21).collect::<Vec<_>>());
    let beat = socket.frame().await;
    assert_eq!((&beat["type"], &beat["head_seq"]), (&json!("heartbeat"), &json!(20)));
    assert_eq!(socket.closed().await.0, 1012);
    let beat = paused.frame().await;
    assert_eq!(beat["cursor"], begin["cursor"]);
    assert_eq!(paused.closed().await.0, 1012);
    stopping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_the_rules_is_told_1008() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let long = format!("{{\"type\":\"filter\",\"filter\":\"{}\"}}", "x".repeat(16 << 10));
    let messages = [
        Message::binary(b"{\"type\":\"pause\"}".to_vec()),
        Message::text("{"),
        Message::text("{\"type\":\"stop\"}"),
        Message::text("{\"type\":\"pause\",\"more\":1}"),
        Message::text("[]"),
        Message::text(long.clone()),
        Message::text(long.repeat(64)),
        Message::Frame(Frame::message(b"\xff\xfe".to_vec(), OpCode::Data(Data::Text), true)),
        Message::Frame(Frame::message(b"".to_vec(), OpCode::Data(Data::Continue), true)),
        Message::Frame(Frame::message(b"x".to_vec(), OpCode::Data(Data::Reserved(3)), true)),
    ];
    for message in messages {
        let shown: String = format!("{message:?}").chars().take(80).collect();
        let mut socket = Socket::open(&app.base, tenant_id, "").await;
        socket.expect("hello").await;
        // It may be told before it has said all.
        let _ = socket.0.send(message).await;
        assert_eq!(socket.closed().await.0, 1008, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_fragments_is_one_message() {
    let app = TestApp::shared().await;
    let mut socket = Socket::open(&app.base, app.tenant().await, "").await;
    socket.expect("hello").await;
    let text = b"{\"type\":\"pause\"}";
    for (n, byte) in text.iter().enumerate() {
        let kind = if n == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(vec![*byte], OpCode::Data(kind), n + 1 == text.len());
        socket.send(Message::Frame(frame)).await;
        socket.send(Message::Ping(Bytes::new())).await;
    }
    socket.expect("hello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_is_answered() {
    let app = TestApp::shared().await;
    let mut socket = Socket::open(&app.base, app.tenant().await, "").await;
    socket.expect("hello").await;
    let close = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
    socket.send(Message::Close(Some(close))).await;
    assert_eq!(socket.closed().await.0, 1000);
}

/// A heartbeat must not say that there is nothing new when nobody can know.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_at_the_head_is_told_when_the_log_cannot_be_read_for_long() {
    // An outage of 4 s is a long one, and heartbeats come every second.
    let app = TestApp::start_with(TestDb::new().await, &["--stream-hurry", "15"]).await;
    let tenant_id = app.tenant().await;
    let mut socket = Socket::open(&app.base, tenant_id, "").await;
    let hello = socket.expect("hello").await;
    app.db.shut().await;
    let (shut, mut beats) = (Instant::now(), 0);
    let (code, reason) = loop {
        match socket.next().await {
            Came::Frame(frame) if frame["type"] == "heartbeat" => beats += 1,
            Came::Closed(code, reason) => break (code, reason),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 1013, "{reason}");
    assert!(reason.contains("cannot be read"), "{reason}");
    assert!(shut.elapsed() > Duration::from_secs(3) && beats > 1, "{beats} in {shut:?}");
    app.db.open_again().await;
    let query = format!("?cursor={}", hello["cursor"].as_str().unwrap());
    let headers = identity(Some(tenant_id), "auditor");
    eventually("it can come back", Duration::from_secs(30), async || {
        Socket::try_open(&app.base, &query, headers.clone()).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_word_of_a_gateway_ends_with_4401_and_so_does_a_ticket_made_on_it() {
    let app = TestApp::start_with(TestDb::new().await, &["--stream-max-age", "1s"]).await;
    let tenant_id = app.tenant().await;
    let made = app.caller(tenant_id, "auditor").post("/logs/stream/ticket", &json!({})).await;
    let query = format!("?ticket={}", made.created().body["ticket"].as_str().unwrap());
    let mut sockets = [
        Socket::open(&app.base, tenant_id, "").await,
        Socket::try_open(&app.base, &query, HeaderMap::new()).await.unwrap(),
    ];
    for socket in &mut sockets {
        assert_eq!(socket.closed().await.0, 4401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_a_stream_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let keys = keys.to_str().unwrap();
    assert_eq!(command::run(&["token", "--new-key", keys], &[]).await.code, Some(0));
    let flags = ["--auth", "jwt", "--jwt-jwks", keys, "--jwt-leeway-s", "0"];
    let app = TestApp::start_with(TestDb::new().await, &flags).await;
    let tenant_id = TenantId::new(Uuid::now_v7());
    let settings = default_settings("test".to_owned(), 7);
    api::store::tenants::create(&mut app.db.admin().await, tenant_id, &settings).await.unwrap();
    let id = tenant_id.to_string();
    let token = ["token", "--tenant", &id, "--role", "auditor", "--ttl-s", "3"];
    let minted = command::run(&token, &[("AUDIT_JWT_JWKS", keys)]).await;
    let bearer = format!("Bearer {}", minted.stdout.trim());
    let mut headers = HeaderMap::new();
    headers.insert("authorization", bearer.parse().unwrap());
    let made = app.with_headers(headers.clone()).post("/logs/stream/ticket", &json!({})).await;
    let query = format!("?ticket={}", made.created().body["ticket"].as_str().unwrap());
    let mut sockets = [
        Socket::try_open(&app.base, "", headers.clone()).await.unwrap(),
        Socket::try_open(&app.base, &query, HeaderMap::new()).await.unwrap(),
    ];
    let env = [("AUDIT_URL", &*app.base), ("AUDIT_TOKEN", minted.stdout.trim())];
    let (tail, ()) = tokio::join!(command::run(&["tail"], &env), async {
        for socket in &mut sockets {
            socket.expect("hello").await;
            assert_eq!(socket.closed().await.0, 4401);
        }
        // Not for the rest of that second either.
        let again = Socket::try_open(&app.base, "", headers).await.err().expect("it has ended");
        assert_eq!(again.code(), (401, "unauthenticated"));
    });
    assert_eq!(tail.code, Some(3), "{tail:?}");
    assert!(tail.stderr.contains("close code 4401"), "{tail:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_gone_ends_its_streams_with_4403_and_a_suspended_one_does_not() {
    let app = TestApp::start_with(TestDb::new().await, &["--stream-hurry", "30"]).await;
    let (gone, suspended) = (app.tenant().await, app.tenant().await);
    let path = format!("/tenants/{suspended}");
    app.operator().patch(&path, &json!({ "suspended": true })).await;
    let mut stays = Socket::open(&app.base, suspended, "").await;
    let mut ends = Socket::open(&app.base, gone, "").await;
    ends.expect("hello").await;
    for table in ["log_cursor", "log_floor", "log_head"] {
        let statement = format!("delete from {table} where tenant_id = '{gone}'");
        run(&mut app.db.admin().await, statement).await;
    }
    run(&mut app.db.admin().await, format!("delete from tenant where id = '{gone}'")).await;
    assert_eq!(ends.closed().await.0, 4403);
    stays.expect("hello").await;
    assert_eq!(stays.frame().await["type"], "heartbeat");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_idle() {
    let app = TestApp::start_with(TestDb::new().await, &["--stream-hurry", "30"]).await;
    let tenant_id = app.tenant().await;
    let mut lively = Socket::open(&app.base, tenant_id, "").await;
    let mut silent = Socket::open(&app.base, tenant_id, "").await;
    // The client answers pings only while it is read.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        assert_ne!(lively.frame().await["type"], "log");
    }
    assert_eq!(silent.closed().await.0, 4408);
}
