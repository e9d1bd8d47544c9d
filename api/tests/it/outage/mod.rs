//! What is promised while things break: real parts are killed, stopped and cut in mid-load.
//!
//! Each scenario is a function of a seed, which decides when and what is hit. A run tries as many
//! random seeds as fit into a bounded time and prints them; `AUDIT_TEST_SEED` repeats one,
//! `AUDIT_TEST_SOAK=1` tries 25 of each. What was promised is compared as sets of ids.

mod clocks;
mod connections;
mod frozen;
mod keys;
mod ledger;
mod load;
mod memory;
mod postgres;
mod services;
mod stopping;

use std::time::Duration;

use domain::TenantId;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use self::load::Load;
use crate::support::app::{Answer, identity, send};
use crate::support::cluster::Cluster;
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::seeds;
use crate::support::service::Service;

/// Seeds of a scenario in a soak.
const SEEDS: usize = 25;

/// After so long no further seed is begun, outside of a soak.
const TIME_FOR_SEEDS: Duration = Duration::from_secs(12);

/// How soon the tenants that a fault does not touch must be served again.
const OTHERS_GO_ON: Duration = Duration::from_secs(6);

/// Clients of a load.
const CLIENTS: usize = 32;

/// How soon a service must be back once what it needs is.
const RECOVERY: Duration = Duration::from_secs(10);

/// Scenarios measure time and fill the machine: they take turns.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Runs a scenario with one seed after the other.
async fn for_seeds(scenario: &str, run: impl AsyncFnMut(u64)) {
    seeds::for_seeds(scenario, SEEDS, TIME_FOR_SEEDS, run).await;
}

/// Replicas on one database.
struct Stage {
    services: Vec<Service>,
    admin_url: String,
}

impl Stage {
    /// On a database of its own in the cluster that all tests share.
    async fn on_shared(replicas: usize) -> Self {
        let url = TestDb::new().await.url();
        Self::on(&url, &url, replicas).await
    }

    /// On a cluster that may be broken.
    async fn on_cluster(cluster: &Cluster, replicas: usize) -> Self {
        Self::on(&cluster.url, &cluster.admin_url, replicas).await
    }

    async fn on(url: &str, admin_url: &str, replicas: usize) -> Self {
        let mut services = Vec::new();
        for _ in 0..replicas {
            services.push(Service::start(url, &[]).await);
        }
        Self { services, admin_url: admin_url.to_owned() }
    }

    /// A session as superuser.
    async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.admin_url).await.unwrap()
    }

    /// New tenants, with empty logs.
    async fn tenants(&self, count: usize) -> Vec<TenantId> {
        let mut tenants = Vec::new();
        for _ in 0..count {
            tenants.push(tenant(&self.services[0]).await);
        }
        tenants
    }

    /// Begins a load of these tenants on all replicas and waits until it flows.
    async fn load(&self, seed: u64, tenants: &[TenantId]) -> Load {
        let bases = self.services.iter().map(|service| service.base.clone()).collect();
        let load = Load::start(seed, bases, tenants);
        eventually("the load flows", RECOVERY, async || load.answers() >= 3 * CLIENTS).await;
        load
    }

    /// Ends the load and compares all that was answered with what is in the logs.
    async fn verify(&self, load: Load) -> usize {
        let ledger = load.finish().await;
        let mut admin = self.admin().await;
        ledger.verify(&mut admin).await;
        admin.close().await.unwrap();
        ledger.acknowledged.len()
    }
}

/// Makes a tenant through the API.
async fn tenant(service: &Service) -> TenantId {
    let request = reqwest::Client::new()
        .post(format!("{}/api/v1/tenants", service.base))
        .headers(identity(None, "operator"))
        .json(&json!({ "name": "test" }));
    let answer = send(request).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    TenantId::parse(answer.body["id"].as_str().unwrap()).unwrap()
}

/// Records one entry, with a key or without.
async fn record(service: &Service, tenant_id: TenantId, key: Option<&str>) -> Answer {
    send(request(service, tenant_id, key)).await
}

/// The request to do so.
fn request(service: &Service, tenant_id: TenantId, key: Option<&str>) -> RequestBuilder {
    let body = json!({ "action": "UPDATE", "resource_type": "thing" });
    let request = request_with(service, tenant_id, "/logs", &body);
    match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    }
}

fn request_with(
    service: &Service,
    tenant_id: TenantId,
    path: &str,
    body: &Value,
) -> RequestBuilder {
    reqwest::Client::new()
        .post(format!("{}/api/v1{path}", service.base))
        .headers(identity(Some(tenant_id), "user"))
        .json(body)
}

/// The end of a log.
async fn head(admin: &mut PgConnection, tenant_id: TenantId) -> i64 {
    sqlx::query_scalar("select seq from log_head where tenant_id = $1")
        .bind(tenant_id.as_uuid())
        .fetch_one(admin)
        .await
        .unwrap()
}

/// The id that an answer names.
fn id_of(answer: &Answer) -> Uuid {
    answer.body["id"].as_str().unwrap_or_else(|| panic!("no id: {answer:?}")).parse().unwrap()
}
