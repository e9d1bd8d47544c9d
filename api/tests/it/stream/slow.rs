//! Slow and idle clients: they hold up nobody, miss nothing, and cost little.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use api::commands::serve::raise_file_limit;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::record_many;
use crate::support::app::{TestApp, entry, identity};
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::seeds::soak;
use crate::support::service::Service;
use crate::support::socket::{Came, Socket};

/// Entries of the greatest message, in requests that fit.
fn large(count: usize) -> Vec<Value> {
    let message = "x".repeat(8_000);
    (0..count).map(|_| entry(json!({ "message": message }))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_up_nobody_and_misses_nothing() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    let mut slow = Socket::open_narrow(&app.base, tenant_id).await;
    let mut quick = Socket::open(&app.base, tenant_id, "").await;
    quick.expect("hello").await;
    // More than a ring holds, and than the systems between take.
    for batch in 0..4 {
        record_many(&caller, large(300)).await;
        let first = batch * 300 + 1;
        assert_eq!(quick.seqs(300).await, (first..first + 300).collect::<Vec<_>>());
    }
    slow.expect("hello").await;
    assert_eq!(slow.seqs(1_200).await, (1..=1_200).collect::<Vec<_>>());
    record_many(&caller, large(1)).await;
    assert_eq!(slow.seqs(1).await, [1_201], "it is live again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_cut_and_can_come_back() {
    let flags = ["--stream-hurry", "6", "--stream-tenant-max", "1"];
    let app = TestApp::start_with(TestDb::new().await, &flags).await;
    let tenant_id = app.tenant().await;
    let mut stuck = Socket::open_narrow(&app.base, tenant_id).await;
    stuck.expect("hello").await;
    record_many(&app.caller(tenant_id, "user"), large(1_000)).await;
    let headers = identity(Some(tenant_id), "auditor");
    eventually("its place is free", Duration::from_secs(45), async || {
        Socket::try_open(&app.base, "", headers.clone()).await.is_ok()
    })
    .await;
    let mut last = (0, String::new());
    while let Came::Frame(frame) = stuck.next().await {
        if frame["type"] == "log" {
            assert_eq!(frame["data"]["seq"], last.0 + 1);
            last = (last.0 + 1, frame["cursor"].as_str().unwrap().to_owned());
        }
    }
    assert!((1..1_000).contains(&last.0), "{}", last.0);
    let query = format!("?cursor={}", last.1);
    let back = RefCell::new(None);
    eventually("there is a place", Duration::from_secs(10), async || {
        let opened = Socket::try_open(&app.base, &query, headers.clone()).await.ok();
        back.replace(opened);
        back.borrow().is_some()
    })
    .await;
    let mut back = back.into_inner().unwrap();
    back.expect("hello").await;
    let rest = usize::try_from(1_000 - last.0).unwrap();
    assert_eq!(back.seqs(rest).await, (last.0 + 1..=1_000).collect::<Vec<_>>());
}

/// Bytes of the service's memory for each idle client.
const IDLE_BYTES_MAX: u64 = 48 << 10;

/// Part of a processor that may go into a thousand idle clients, in a build that is not optimised.
const IDLE_CPU_MAX: f64 = 0.10;

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_cost_little_memory_and_hardly_any_time() {
    let count: u32 = if soak() { 10_000 } else { 1_000 };
    raise_file_limit();
    let db = TestDb::new().await;
    let max = count.to_string();
    let settings = [("AUDIT_STREAM_MAX", max.as_str()), ("AUDIT_STREAM_TENANT_MAX", &max)];
    let service = Service::start(&db.url(), &settings).await;
    let (soft, hard) = service.pid().files_max();
    assert_eq!(soft, hard, "it takes as many files as it is allowed");
    let tenant_id = domain::TenantId::new(uuid::Uuid::now_v7());
    let made = api::tenants::default_settings("idle".to_owned(), 7);
    api::store::tenants::create(&mut db.admin().await, tenant_id, &made).await.unwrap();
    let warm = Socket::open(&service.base, tenant_id, "").await;
    drop(warm);
    let before = service.pid().memory("VmRSS");
    let opening = (0..count).map(|_| async {
        let mut socket = Socket::open(&service.base, tenant_id, "?action=NEVER").await;
        socket.expect("hello").await;
        socket
    });
    let mut sockets: Vec<Socket> = stream::iter(opening).buffer_unordered(32).collect().await;
    let headers = identity(Some(tenant_id), "auditor");
    let refused = Socket::try_open(&service.base, "", headers).await.err().expect("it is full");
    assert_eq!(refused.code(), (429, "rate_limited"));
    let each = service.pid().memory("VmRSS").saturating_sub(before) / u64::from(count);
    let (begun, cpu) = (Instant::now(), service.pid().cpu());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let worked = service.pid().cpu().saturating_sub(cpu);
    let part = worked.as_secs_f64() / begun.elapsed().as_secs_f64();
    eprintln!("{count} idle clients: {each} bytes each, {:.2} % of a processor", part * 100.0);
    assert!(each <= IDLE_BYTES_MAX, "{each} bytes");
    assert!(part <= IDLE_CPU_MAX * f64::from(count) / 1_000.0, "{part}");
    let caller = reqwest::Client::new().post(format!("{}/api/v1/logs", service.base));
    let posted = caller.headers(identity(Some(tenant_id), "user")).json(&entry(json!({
        "action": "NEVER"
    })));
    assert_eq!(posted.send().await.unwrap().status(), 201);
    for socket in &mut sockets {
        assert_eq!(socket.seqs(1).await, [1]);
    }
}
