//! Clients that say nothing, too little, or take nothing.

use std::time::{Duration, Instant};

use api::commands::serve::raise_file_limit;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::{HEALTHZ, ask, connect, connect_narrow, head, is_cut_within};
use crate::support::app::{TestApp, entry};
use crate::support::database::TestDb;
use crate::support::seeds::soak;
use crate::support::service::Service;

/// Connections of each kind.
const MANY: usize = 1_000;

/// Sends a byte of a head from time to time, until the connection ends.
async fn dribble(mut stream: TcpStream) {
    let mut beats = interval(Duration::from_millis(500));
    let endless = b"GET /healthz HTTP/1.1\r\nx-filler: ".iter().chain(std::iter::repeat(&b'x'));
    for byte in endless {
        beats.tick().await;
        let mut answer = [0; 64];
        let has_ended = matches!(stream.try_read(&mut answer), Ok(0));
        if has_ended || stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

/// Somebody who is served, whoever else is there.
async fn ask_for_ever(base: &str) {
    let client = reqwest::Client::new();
    let ready = format!("{base}/readyz");
    loop {
        let answer = client.get(&ready).timeout(Duration::from_secs(5)).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_silent_and_a_thousand_dribbling_connections_are_cut_and_others_are_served() {
    raise_file_limit();
    let db = TestDb::new().await;
    let head_s = if soak() { "10" } else { "4" };
    let settings = [("AUDIT_HEAD_TIMEOUT_S", head_s), ("AUDIT_CONNECTIONS_MAX", "3000")];
    let service = Service::start(&db.url(), &settings).await;
    let (mut silent, mut dribbling) = (Vec::new(), JoinSet::new());
    for _ in 0..MANY {
        silent.push(connect(&service.base).await);
        dribbling.spawn(dribble(connect(&service.base).await));
    }
    let begun = Instant::now();
    let all_cut = async {
        let cut = silent.iter_mut().map(|stream| is_cut_within(stream, Duration::from_secs(30)));
        assert!(join_all(cut).await.into_iter().all(|is_cut| is_cut));
        dribbling.join_all().await;
    };
    tokio::select! {
        () = all_cut => {}
        () = ask_for_ever(&service.base) => {}
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_its_time_between_requests_and_less_within_one() {
    let flags = ["--head-timeout-s", "2", "--idle-timeout-s", "5"];
    let app = TestApp::start_with(TestDb::new().await, &flags).await;
    let mut stream = connect(&app.base).await;
    for _ in 0..2 {
        assert!(ask(&mut stream, HEALTHZ).await.unwrap().starts_with("HTTP/1.1 200"));
        assert!(!is_cut_within(&mut stream, Duration::from_secs(3)).await, "it is idle");
    }
    assert!(is_cut_within(&mut stream, Duration::from_secs(4)).await);

    let mut stream = connect(&app.base).await;
    ask(&mut stream, HEALTHZ).await.unwrap();
    stream.write_all(b"GET /hea").await.unwrap();
    let begun = Instant::now();
    assert!(is_cut_within(&mut stream, Duration::from_secs(4)).await, "a head has begun");
    assert!(begun.elapsed() > Duration::from_secs(1), "and had its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_dribbles_in_ends_with_an_answer_and_its_connection() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    // Small ones are dropped with their connection, of others the rest is read for a while.
    let kinds = ["content-length: 3000", "content-length: 300000", "transfer-encoding: chunked"];
    let sent = kinds.map(async |kind| {
        let mut stream = connect(&app.base).await;
        let head = head("POST", "/logs", tenant_id, "user");
        let head = format!("{head}content-type: application/json\r\n{kind}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut answers, mut body) = stream.into_split();
        let dribbling = tokio::spawn(async move {
            let mut beats = interval(Duration::from_secs(1));
            let byte: &[u8] = if kind.ends_with("chunked") { b"1\r\n \r\n" } else { b" " };
            while body.write_all(byte).await.is_ok() {
                beats.tick().await;
            }
        });
        let mut answer = Vec::new();
        // A reset may follow the answer, for bytes came that nobody read.
        let _ = timeout(Duration::from_secs(50), answers.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{kind}: {answer}");
        timeout(Duration::from_secs(5), dribbling).await.unwrap().unwrap();
    });
    join_all(sent).await;
}

/// Entries of more than systems keep for a slow reader.
async fn fill(app: &TestApp, tenant_id: domain::TenantId, batches: usize) {
    let caller = app.caller(tenant_id, "user");
    let message = "x".repeat(8_000);
    let batch: Vec<Value> = (0..500).map(|_| entry(json!({ "message": message }))).collect();
    for _ in 0..batches {
        caller.post("/logs/bulk", &Value::from(batch.clone())).await.created();
    }
}

/// Reads so many bytes at a time for so long; false when the connection ended.
async fn sip(stream: &mut TcpStream, bytes: usize, time: Duration) -> bool {
    let begun = Instant::now();
    let mut beats = interval(Duration::from_millis(50));
    let mut sip = vec![0; bytes];
    while begun.elapsed() < time {
        beats.tick().await;
        if stream.read_exact(&mut sip).await.is_err() {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_must_be_taken_in_time_and_an_export_only_be_read() {
    // Six seconds for an answer.
    let flags = ["--head-timeout-s", "600", "--idle-timeout-s", "600", "--connection-hurry", "20"];
    let app = TestApp::start_with(TestDb::new().await, &flags).await;
    let tenant_id = app.tenant().await;
    fill(&app, tenant_id, 4).await;

    let mut page = connect_narrow(&app.base).await;
    let request = head("GET", "/logs?limit=1000", tenant_id, "auditor");
    page.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
    let mut export = connect_narrow(&app.base).await;
    let request = head("GET", "/logs/export?format=ndjson", tenant_id, "auditor");
    export.write_all(format!("{request}connection: close\r\n\r\n").as_bytes()).await.unwrap();

    // What the system keeps for a connection is up to 4 MiB, and it takes more when a third of it
    // is free: an export that goes on at all is read faster than a page that does not.
    let reading = Duration::from_secs(14);
    let (page_goes_on, export_goes_on) =
        tokio::join!(sip(&mut page, 2 << 10, reading), sip(&mut export, 32 << 10, reading));
    assert!(export_goes_on, "who reads an export may take all the time");
    let mut rest = Vec::new();
    export.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("\"sha256\""), "and gets all of it");
    let mut rest = Vec::new();
    let ended = page.read_to_end(&mut rest).await;
    let is_whole = ended.is_ok() && rest.ends_with(b"}");
    assert!(!page_goes_on || !is_whole, "a page that nobody takes is given up");
}
