//! The service as it is delivered, with a real queue: killed, cut off, and never slower for it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use domain::TenantId;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::{assert_in_order, ids_of, until_all_sent};
use crate::support::app::{entry, identity, send};
use crate::support::database::TestDb;
use crate::support::proxy::{Proxy, Way};
use crate::support::queue::{TestQueue, aws_url, ids, settings};
use crate::support::seeds;
use crate::support::service::Service;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn make_tenant(client: &reqwest::Client, base: &str) -> TenantId {
    let request = client.post(format!("{base}/api/v1/tenants")).headers(identity(None, "operator"));
    let answer = send(request.json(&json!({ "name": "test" }))).await.created();
    TenantId::parse(answer.body["id"].as_str().unwrap()).unwrap()
}

/// Records one entry; `None` when there was no 201.
pub(crate) async fn record(
    client: &reqwest::Client,
    base: &str,
    tenant_id: TenantId,
) -> Option<Uuid> {
    let request = client
        .post(format!("{base}/api/v1/logs"))
        .headers(identity(Some(tenant_id), "user"))
        .json(&entry(json!({})));
    let answer = request.send().await.ok()?;
    let is_created = answer.status() == StatusCode::CREATED;
    let body: serde_json::Value = answer.json().await.ok()?;
    is_created.then(|| body["id"].as_str().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_entry_is_sent_however_often_replicas_are_killed() {
    seeds::for_seeds("killed relays", 10, Duration::from_secs(10), killed).await;
}

async fn killed(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let db = TestDb::new().await;
    let queue = TestQueue::new().await;
    let endpoint = aws_url();
    let settings = settings(&queue.url, &endpoint);
    let url = db.url();
    let mut replicas =
        [Service::start(&url, &settings).await, Service::start(&url, &settings).await];
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let mut tenants = Vec::new();
    for _ in 0..3 {
        tenants.push(make_tenant(&client, &replicas[0].base).await);
    }
    let mut acknowledged = HashSet::new();
    for _ in 0..4 {
        for _ in 0..random.random_range(5..60) {
            let base = &replicas[random.random_range(0..2)].base;
            let tenant_id = tenants[random.random_range(0..3)];
            acknowledged.extend(record(&client, base, tenant_id).await);
        }
        let hit = random.random_range(0..2);
        replicas[hit].kill();
        replicas[hit].restart().await;
    }
    until_all_sent(&db, &tenants, PATIENCE).await;
    let messages = queue.take().await;
    assert_in_order(&messages);
    let sent = ids(&messages);
    assert!(sent.is_superset(&acknowledged));
    let mut admin = db.admin().await;
    let mut of_logs = HashSet::new();
    for tenant_id in &tenants {
        of_logs.extend(ids_of(&mut admin, *tenant_id).await);
    }
    assert!(sent == of_logs, "{} of {}", sent.len(), of_logs.len());
}

/// The median of some writes, in which each is a commit.
async fn median_write(client: &reqwest::Client, base: &str, tenant_id: TenantId) -> Duration {
    let mut took = Vec::new();
    for _ in 0..101 {
        let begun = Instant::now();
        assert!(record(client, base, tenant_id).await.is_some(), "a write failed");
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took[50]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_gone_or_silent_fails_and_slows_no_write_and_gets_all_of_it_later() {
    let db = TestDb::new().await;
    let queue = TestQueue::new().await;
    let proxy = Proxy::before_service(&aws_url()).await;
    let service = Service::start(&db.url(), &settings(&queue.url, &proxy.url)).await;
    let client = reqwest::Client::new();
    let tenant_id = make_tenant(&client, &service.base).await;
    median_write(&client, &service.base, tenant_id).await;
    until_all_sent(&db, &[tenant_id], PATIENCE).await;
    let usual = median_write(&client, &service.base, tenant_id).await;

    // Connections are made and nobody ever answers.
    let hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hole_url = format!("http://{}", hole.local_addr().unwrap());
    let deaf = Service::start(&db.url(), &settings(&queue.url, &hole_url)).await;
    let silent = median_write(&client, &deaf.base, tenant_id).await;
    drop(deaf);
    proxy.cut_after(Way::ToServer, 0);
    let gone = median_write(&client, &service.base, tenant_id).await;
    eprintln!("a write took {usual:?}, with a silent queue {silent:?}, with none {gone:?}");
    let slack = Duration::from_millis(5);
    assert!(silent < usual * 2 + slack && gone < usual * 2 + slack);

    proxy.mend();
    until_all_sent(&db, &[tenant_id], PATIENCE).await;
    let mut admin = db.admin().await;
    assert_eq!(ids(&queue.take().await), ids_of(&mut admin, tenant_id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_entry_is_sent_at_once_by_the_service_that_wrote_it() {
    let db = TestDb::new().await;
    let queue = TestQueue::new().await;
    let endpoint = aws_url();
    let mut service = Service::start(&db.url(), &settings(&queue.url, &endpoint)).await;
    let client = reqwest::Client::new();
    let tenant_id = make_tenant(&client, &service.base).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        record(&client, &service.base, tenant_id).await.unwrap();
        let begun = Instant::now();
        until_all_sent(&db, &[tenant_id], PATIENCE).await;
        slowest = slowest.max(begun.elapsed());
    }
    // Found by looking alone, it would take up to five seconds each time.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    service.pid().terminate();
    assert!(service.ended().await.success());
    let leased: i64 = sqlx::query_scalar("select count(leased_by) from log_cursor")
        .fetch_one(&mut db.admin().await)
        .await
        .unwrap();
    assert_eq!(leased, 0, "a stop gives the logs back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_a_region_is_a_wrong_setting_and_not_an_outage() {
    let db = TestDb::new().await;
    let settings = [
        ("AUDIT_QUEUE_URL", "http://127.0.0.1:1/000000000000/audit-logs"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
    ];
    let mut service = Service::spawn(&db.url(), &settings);
    assert!(!service.ended().await.success());
    assert!(service.said().contains("AWS_REGION"), "{}", service.said());
}
