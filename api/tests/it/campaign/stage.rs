//! What a seed plays on: two replicas, a PostgreSQL of its own, the way to the index, links between
//! all of them that may be cut, and tenants of whom one has a past that expires.

use std::sync::Arc;
use std::time::Duration;

use domain::TenantId;
use rand::Rng as _;
use rand::rngs::SmallRng;
use reqwest::{Client, StatusCode};
use serde_json::json;
use time::OffsetDateTime;
use tokio::task::block_in_place;
use uuid::Uuid;

use super::truth::{self, Fact};
use crate::support::app::{identity, send};
use crate::support::cluster::Cluster;
use crate::support::deployed::{Deployed, Settings};
use crate::support::history;
use crate::support::parts::Parts;
use crate::support::proxy::Proxy;
use crate::support::service::{Service, migrate_with};

pub(super) const REPLICAS: usize = 2;

/// The last of them is the one whose entries expire.
pub(super) const TENANTS: usize = 4;

/// The one whose entries expire meanwhile.
pub(super) const EXPIRING: usize = TENANTS - 1;

/// How many entries it has from these days ago on.
const PAST_LEN: std::ops::Range<i64> = 300..1_500;
const PAST_FROM: time::Duration = time::Duration::days(30);
const PAST_TO: time::Duration = time::Duration::days(8);

/// How long it keeps entries: the first of the past are due before all begins.
const RETENTION_DAYS: i64 = 26;

/// A queue that gives up on a message within seconds.
const IMPATIENT: Settings<'static> = &[
    ("AUDIT_FANOUT_TIMEOUT_S", "3"),
    ("AUDIT_FANOUT_VISIBILITY_S", "3"),
    ("AUDIT_FANOUT_RECEIVES_MAX", "5"),
    ("AUDIT_FANOUT_CALLS_MAX", "16"),
];

/// The ways between the parts.
pub(super) struct Links {
    /// Of each replica.
    pub(super) database: Vec<Proxy>,
    pub(super) search: Proxy,
    pub(super) index: Proxy,
    pub(super) queue: Proxy,
}

/// One tenant, as its own people know it.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) id: TenantId,
    /// A word of its name and of all that is recorded for it, and of nobody else's.
    pub(super) canary: String,
    /// A cursor before the first entry.
    pub(super) start: String,
    /// What its log held before all began.
    pub(super) past: Vec<Fact>,
}

/// What clients know.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) bases: Arc<[String]>,
    pub(super) tenants: Arc<[Tenant]>,
}

/// See the module. The services end first.
pub(super) struct Stage {
    pub(super) services: Vec<Service>,
    pub(super) links: Links,
    pub(super) cluster: Cluster,
    pub(super) deployed: Deployed,
    pub(super) scene: Scene,
}

impl Stage {
    pub(super) async fn set(parts: &Parts, rng: &mut SmallRng) -> Self {
        let cluster = block_in_place(Cluster::start);
        let links = Links::between(parts, &cluster.url).await;
        let deployed = Deployed::on(&parts.emulator.url, &links.index.url);
        make_way(&deployed).await;
        let settings = settings(&deployed, &links);
        block_in_place(|| migrate_with(&cluster.url, &borrowed(&deployed.of_service())));
        let mut services = Vec::new();
        for link in &links.database {
            services.push(Service::start(&link.url, &borrowed(&settings)).await);
        }
        let bases: Arc<[_]> = services.iter().map(|service| service.base.clone()).collect();
        let mut tenants = Vec::new();
        for number in 0..TENANTS {
            tenants.push(new_tenant(&bases[0], number, rng).await);
        }
        let expiring = &mut tenants[EXPIRING];
        expiring.past = make_past(&cluster, expiring.id, rng).await;
        let scene = Scene { bases, tenants: tenants.into() };
        Self { services, links, cluster, deployed, scene }
    }

    /// What `verify-index` needs to know, by ways that nobody strikes any more.
    pub(super) fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = self.deployed.of_service();
        env.push(("AUDIT_DATABASE_URL", self.cluster.url.clone()));
        env
    }
}

impl Links {
    async fn between(parts: &Parts, database_url: &str) -> Self {
        let mut database = Vec::new();
        for _ in 0..REPLICAS {
            database.push(Proxy::start(database_url).await);
        }
        Self {
            database,
            search: Proxy::before_service(&parts.opensearch.url).await,
            index: Proxy::before_service(&parts.opensearch.url).await,
            queue: Proxy::before_service(&parts.emulator.url).await,
        }
    }
}

/// Makes queue, function and mapping, or makes them anew after an emulator ended.
pub(super) async fn make_way(deployed: &Deployed) {
    deployed.make(IMPATIENT).await;
}

/// Replicas that look for losses all the time.
fn settings(deployed: &Deployed, links: &Links) -> Vec<(&'static str, String)> {
    let mut settings = deployed.of_service();
    settings.retain(|(name, _)| !matches!(*name, "AUDIT_SEARCH_URL" | "AWS_ENDPOINT_URL"));
    settings.extend([
        ("AUDIT_SEARCH_URL", links.search.url.clone()),
        ("AWS_ENDPOINT_URL", links.queue.url.clone()),
        ("AUDIT_REPAIR_PERIOD_S", "1".to_owned()),
        ("AUDIT_REPAIR_FULL_PERIOD_S", "5".to_owned()),
    ]);
    settings
}

pub(super) fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

async fn new_tenant(base: &str, number: usize, rng: &mut SmallRng) -> Tenant {
    let id = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
    let canary = format!("zq{number}{:08x}zq", rng.random::<u32>());
    let making = Client::new()
        .post(format!("{base}/api/v1/tenants"))
        .headers(identity(None, "operator"))
        .json(&json!({ "id": id, "name": format!("{canary} and sons") }));
    let made = send(making).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = tenant_id(id);
    let asking = Client::new()
        .get(format!("{base}/api/v1/logs?order=asc&limit=1"))
        .headers(identity(Some(id), "auditor"));
    let empty = send(asking).await;
    assert_eq!(empty.body["head_seq"], 0, "{empty:?}");
    let start = empty.body["live_cursor"].as_str().unwrap().to_owned();
    Tenant { id, canary, start, past: Vec::new() }
}

fn tenant_id(id: Uuid) -> TenantId {
    TenantId::parse(&id.to_string()).unwrap()
}

/// Gives a log a past, a part of which is due to expire; returns what it holds then.
async fn make_past(cluster: &Cluster, tenant_id: TenantId, rng: &mut SmallRng) -> Vec<Fact> {
    let mut admin = cluster.admin().await;
    history::make_room(&mut admin).await;
    let now = OffsetDateTime::now_utc();
    let entries = rng.random_range(PAST_LEN);
    history::spread(&mut admin, tenant_id, entries, now - PAST_FROM, now - PAST_TO).await;
    let facts = truth::facts(&mut admin, tenant_id).await;
    sqlx::query("update tenant set retention_days = $2 where id = $1")
        .bind(tenant_id.as_uuid())
        .bind(i32::try_from(RETENTION_DAYS).unwrap())
        .execute(&mut admin)
        .await
        .unwrap();
    facts
}

/// How long a client waits for an answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
