//! What a seed hunts in: logs with a backlog on both sides of a month's end, two replicas, and the
//! way from there to the index.

use std::sync::Arc;
use std::time::Duration;

use domain::TenantId;
use rand::Rng as _;
use rand::rngs::SmallRng;
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::sleep;

use super::shuffler::Shuffler;
use super::writers::Writers;
use crate::support::app::identity;
use crate::support::database::TestDb;
use crate::support::deployed::{Deployed, Settings};
use crate::support::parts::Parts;
use crate::support::service::{Service, migrate_with};
use crate::support::{eventually, history};

const REPLICAS: usize = 2;

/// Entries that each log begins with, at least and at most.
const BACKLOGS: [(i64, i64); 4] = [(0, 1), (2, 200), (200, 1_000), (1_000, 3_000)];

/// How far on each side of the month's end.
const BACKLOG_REACH: time::Duration = time::Duration::hours(2);

/// Further back than any log may be cleaned up to.
const MONTH_END_AGE: time::Duration = time::Duration::days(10);

/// How long a log's expiry may take while replicas are killed.
const EXPIRED_WITHIN: Duration = Duration::from_secs(30);

/// A queue that gives up on a message within seconds.
const IMPATIENT: Settings<'static> = &[
    ("AUDIT_FANOUT_TIMEOUT_S", "2"),
    ("AUDIT_FANOUT_VISIBILITY_S", "2"),
    ("AUDIT_FANOUT_RECEIVES_MAX", "5"),
    ("AUDIT_FANOUT_CALLS_MAX", "16"),
];

/// One that never does: what comes from it again is delivered again.
const PATIENT: Settings<'static> =
    &[("AUDIT_FANOUT_VISIBILITY_S", "30"), ("AUDIT_FANOUT_RECEIVES_MAX", "1000")];

/// See the module.
pub(super) struct Scene {
    pub(super) services: Vec<Service>,
    way: Arc<Way>,
}

/// All of it but the processes.
pub(super) struct Way {
    pub(super) db: TestDb,
    pub(super) deployed: Deployed,
    pub(super) shuffler: Shuffler,
    pub(super) tenants: Vec<TenantId>,
    pub(super) bases: Vec<String>,
    month_end: OffsetDateTime,
}

impl Scene {
    pub(super) async fn set(parts: &Parts, rng: &mut SmallRng) -> Self {
        let deployed = Deployed::on(&parts.emulator.url, &parts.opensearch.url);
        make_queues(&deployed).await;
        let db = TestDb::new().await;
        history::make_room(&mut db.admin().await).await;
        let services = start_services(&deployed, db.url()).await;
        let bases: Vec<_> = services.iter().map(|service| service.base.clone()).collect();
        let month_end = month_end();
        let tenants = make_logs(&db, &bases[0], month_end, rng).await;
        let (from, to) = (first_queue(&deployed), &deployed.name);
        let (from, to) = (deployed.queue_url(&from), deployed.queue_url(to));
        let shuffler = Shuffler::start(deployed.sqs(), from, to, rng);
        let way = Way { db, deployed, shuffler, tenants, bases, month_end };
        Self { services, way: Arc::new(way) }
    }

    pub(super) fn way(&self) -> Arc<Way> {
        Arc::clone(&self.way)
    }

    /// Begins to record entries.
    pub(super) fn write(&self, rng: &mut SmallRng) -> Writers {
        Writers::start(&self.way.bases, &self.way.tenants, rng)
    }

    /// Leaves to the next seed what it needs.
    pub(super) async fn end(self) {
        let Self { services, way } = self;
        drop(services);
        way.deployed.delete_indices().await;
    }
}

impl Way {
    /// The log of which a part expires meanwhile: the one with the most to lose.
    pub(super) fn expiring(&self) -> TenantId {
        *self.tenants.last().unwrap()
    }

    /// Makes anew what went with an emulator.
    pub(super) async fn make_queues(&self) {
        make_queues(&self.deployed).await;
    }

    /// Messages that the Lambda could not do anything with.
    pub(super) async fn dead_letters(&self) -> u64 {
        self.deployed.sqs().len(&self.deployed.dead_letters()).await.unwrap_or_default()
    }

    /// Messages that the Lambda has not done yet.
    pub(super) async fn waiting(&self) -> u64 {
        let queue = self.deployed.queue_url(&self.deployed.name);
        self.deployed.sqs().len(&queue).await.unwrap_or_default()
    }

    /// Asks a replica, if it answers.
    pub(super) async fn ask(
        &self,
        method: reqwest::Method,
        tenant_id: TenantId,
        path: &str,
        role: &str,
    ) -> Option<(StatusCode, Value)> {
        let base = &self.bases[rand::random_range(0..self.bases.len())];
        let asking = reqwest::Client::new()
            .request(method, format!("{base}/api/v1{path}"))
            .headers(identity(Some(tenant_id), role))
            .timeout(Duration::from_secs(5));
        let answer = asking.send().await.ok()?;
        Some((answer.status(), answer.json().await.ok()?))
    }
}

/// Expires the part of a log before the month's end, in mid-fault, as its admin would.
pub(super) async fn expire(way: &Way) {
    sleep(Duration::from_millis(rand::random_range(500..4_000))).await;
    let day = way.month_end.date();
    let path = format!("/logs/cleanup?older_than={day}T00:00:00Z");
    let dry_run = format!("{path}&dry_run=true");
    eventually("a part of a log expires", EXPIRED_WITHIN, async || {
        let asked = way.ask(reqwest::Method::DELETE, way.expiring(), &dry_run, "admin").await;
        let Some((StatusCode::OK, announced)) = asked else { return is_expired(way).await };
        let token = announced["confirm"].as_str().unwrap_or_default();
        let confirmed = format!("{path}&confirm={token}");
        way.ask(reqwest::Method::DELETE, way.expiring(), &confirmed, "admin").await;
        is_expired(way).await
    })
    .await;
}

async fn is_expired(way: &Way) -> bool {
    let mut admin = way.db.admin().await;
    let floor: i64 = sqlx::query_scalar("select floor_seq from log_floor where tenant_id = $1")
        .bind(way.expiring().as_uuid())
        .fetch_one(&mut admin)
        .await
        .unwrap();
    floor > 1
}

/// Replicas that look for losses all the time.
async fn start_services(deployed: &Deployed, url: String) -> Vec<Service> {
    let mut settings = deployed.of_service();
    let (of_migrate, database) = (settings.clone(), url.clone());
    let migrating = move || migrate_with(&database, &borrowed(&of_migrate));
    tokio::task::spawn_blocking(migrating).await.unwrap();
    settings.extend([
        ("AUDIT_QUEUE_URL", deployed.queue_url(&first_queue(deployed))),
        // A machine that is busy with faults is not to make searches look like lost entries.
        ("AUDIT_SEARCH_TIMEOUT_MS", "10000".to_owned()),
        ("AUDIT_REPAIR_PERIOD_S", "1".to_owned()),
        ("AUDIT_REPAIR_FULL_PERIOD_S", "5".to_owned()),
    ]);
    let mut services = Vec::new();
    for _ in 0..REPLICAS {
        services.push(Service::start(&url, &borrowed(&settings)).await);
    }
    services
}

/// Logs with their backlogs.
async fn make_logs(
    db: &TestDb,
    base: &str,
    month_end: OffsetDateTime,
    rng: &mut SmallRng,
) -> Vec<TenantId> {
    let mut admin = db.admin().await;
    let (from, to) = (month_end - BACKLOG_REACH, month_end + BACKLOG_REACH);
    let mut tenants = Vec::new();
    for (least, most) in BACKLOGS {
        let tenant_id = new_tenant(base).await;
        let entries = rng.random_range(least..=most);
        if entries > 0 {
            history::spread(&mut admin, tenant_id, entries, from, to).await;
        }
        tenants.push(tenant_id);
    }
    tenants
}

/// The queue that the service sends to; from there the shuffler takes.
fn first_queue(deployed: &Deployed) -> String {
    format!("{}-first", deployed.name)
}

async fn make_queues(deployed: &Deployed) {
    deployed.make_queue(&first_queue(deployed), PATIENT).await;
    deployed.make(IMPATIENT).await;
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// The first moment of a month that is not too young.
fn month_end() -> OffsetDateTime {
    let day = (OffsetDateTime::now_utc() - MONTH_END_AGE).date();
    day.replace_day(1).unwrap().midnight().assume_utc()
}

async fn new_tenant(base: &str) -> TenantId {
    let making = reqwest::Client::new()
        .post(format!("{base}/api/v1/tenants"))
        .headers(identity(None, "operator"))
        .json(&json!({ "name": "hunted" }));
    let answer = making.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let made: Value = answer.json().await.unwrap();
    TenantId::parse(made["id"].as_str().unwrap()).unwrap()
}
