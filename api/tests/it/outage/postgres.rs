//! PostgreSQL is killed, is down for a while, or is one that may lose what it committed.

use std::time::{Duration, Instant};

use domain::TenantId;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use sqlx::Executor as _;

use super::ledger::Told;
use super::{RECOVERY, Stage, for_seeds, record, turn};
use crate::support::app::{identity, send};
use crate::support::cluster::Cluster;
use crate::support::database::{TestDb, run};
use crate::support::eventually;
use crate::support::service::Service;

/// How soon a client is told that the database is not there.
const TOLD_WITHIN: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_postgres_loses_nothing_that_was_acknowledged() {
    let _turn = turn().await;
    let cluster = Cluster::start();
    let stage = Stage::on_cluster(&cluster, 3).await;
    for_seeds("pg_ctl -m immediate", async |seed| {
        let mut rng = SmallRng::seed_from_u64(seed);
        let tenants = stage.tenants(6).await;
        let load = stage.load(seed, &tenants).await;
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..1_000))).await;
        let down_for = Duration::from_millis(rng.random_range(0..2_000));
        tokio::task::block_in_place(|| cluster.crash());
        tokio::time::sleep(down_for).await;
        tokio::task::block_in_place(|| cluster.start_again());
        let back = Instant::now();
        eventually("every tenant is served again", RECOVERY, async || {
            tenants.iter().all(|one| load.count(Told::CREATED, |of| of == *one, back) > 0)
        })
        .await;
        stage.verify(load).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_writes_get_503_at_once_and_come_back_without_a_restart() {
    let _turn = turn().await;
    let cluster = Cluster::start();
    let stage = Stage::on_cluster(&cluster, 1).await;
    let service = &stage.services[0];
    let tenant_id = stage.tenants(1).await[0];
    assert_eq!(record(service, tenant_id, None).await.status, StatusCode::CREATED);

    cluster.shut_down();
    // Some while the tenant is remembered, some after it is forgotten.
    let down = Instant::now();
    while down.elapsed() < Duration::from_secs(7) {
        assert_eq!(probe(service, "readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(probe(service, "healthz").await, StatusCode::OK);
        let asked = Instant::now();
        let refused = record(service, tenant_id, None).await;
        assert!(asked.elapsed() < TOLD_WITHIN, "told after {:?}", asked.elapsed());
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
        assert_eq!(refused.code(), "database_unavailable", "{refused:?}");
        assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    }
    assert_board_says_so(service, tenant_id).await;

    cluster.start_again();
    eventually("writes are taken again", RECOVERY, async || {
        record(service, tenant_id, None).await.status == StatusCode::CREATED
    })
    .await;
    assert_eq!(probe(service, "readyz").await, StatusCode::OK);
    let mut admin = stage.admin().await;
    assert_eq!(super::head(&mut admin, tenant_id).await, 2, "a refused write is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_may_lose_commits_is_refused_at_the_start() {
    let _turn = turn().await;
    let cluster = Cluster::start();
    let mut admin = cluster.admin().await;
    for setting in ["fsync", "full_page_writes"] {
        run(&mut admin, format!("alter system set {setting} = off")).await;
        reload_until(&mut admin, setting, "off").await;
        refuses_to_start(&cluster.url, setting).await;
        run(&mut admin, format!("alter system reset {setting}")).await;
        reload_until(&mut admin, setting, "on").await;
    }
    for value in ["off", "local", "remote_write"] {
        let db = TestDb::new().await;
        let mut admin = db.admin().await;
        let name: String =
            sqlx::query_scalar("select current_database()").fetch_one(&mut admin).await.unwrap();
        run(&mut admin, format!("alter database {name} set synchronous_commit = {value}")).await;
        refuses_to_start(&db.url(), "synchronous_commit").await;
    }
    Service::start(&cluster.url, &[]).await;
}

async fn refuses_to_start(url: &str, setting: &str) {
    let mut service = Service::spawn(url, &[]);
    let code = service.ended().await.code();
    let said = service.said();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("may lose what it has committed"), "{said}");
    assert!(said.contains(&format!("{setting} = ")), "{said}");
    // Unless it is told to.
    Service::start(url, &[("AUDIT_ALLOW_UNSAFE_POSTGRES", "1")]).await;
}

async fn reload_until(admin: &mut sqlx::PgConnection, setting: &str, value: &str) {
    admin.execute("select pg_reload_conf()").await.unwrap();
    let admin = tokio::sync::Mutex::new(admin);
    eventually("the setting is reloaded", RECOVERY, async || {
        let is: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&mut **admin.lock().await)
            .await
            .unwrap();
        is == value
    })
    .await;
}

/// A browser gets the page, which tells what is wrong.
async fn assert_board_says_so(service: &Service, tenant_id: TenantId) {
    let page = reqwest::Client::new()
        .get(format!("{}/api/v1/logs/board", service.base))
        .headers(identity(Some(tenant_id), "auditor"))
        .header("accept", "text/html");
    let page = send(page).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{page:?}");
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.headers.contains_key("retry-after"), "{page:?}");
    assert!(page.text.starts_with("<!doctype html>"), "{page:?}");
}

async fn probe(service: &Service, path: &str) -> StatusCode {
    reqwest::get(format!("{}/{path}", service.base)).await.unwrap().status()
}
