//! The hunt for entries that a stream loses, repeats or turns round: many clients that leave and come
//! back, read slowly, pause and filter, while entries arrive and two replicas are killed, stopped,
//! frozen and started again. In the end each client has what its filter lets pass of the log, once
//! and in order.
//!
//! It knows the service as any client does. A seed decides who does what and when. `make test` hunts
//! with one seed and fewer clients, `AUDIT_TEST_SOAK=1` with 200 clients, 2,000 entries a second and
//! more seeds; `AUDIT_TEST_SEED` repeats one.

mod faults;
mod verdict;
mod watchers;
mod writers;

use std::sync::Arc;
use std::time::Duration;

use domain::TenantId;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::verdict::Truth;
use self::watchers::{Manner, Seen, Watcher};
use self::writers::Writers;
use crate::support::app::identity;
use crate::support::database::TestDb;
use crate::support::seeds;
use crate::support::service::Service;
use crate::support::wishes::WISHES;

const REPLICAS: usize = 2;
const TENANTS: usize = 4;

/// Seeds in a soak.
const SEEDS: usize = 10;

/// After so long no further seed is begun, outside of a soak.
const TIME_FOR_SEEDS: Duration = Duration::from_secs(5);

/// Every so many clients one reads events instead of a WebSocket.
const EVENTS_EVERY: usize = 6;

/// How much of everything there is.
struct Size {
    clients: usize,
    entries_a_second: usize,
    lasts: Duration,
}

impl Size {
    fn of_this_run() -> Self {
        if seeds::soak() {
            return Self { clients: 200, entries_a_second: 2_000, lasts: Duration::from_mins(1) };
        }
        Self { clients: 48, entries_a_second: 400, lasts: Duration::from_secs(15) }
    }
}

/// What a seed hunts in.
struct Scene {
    _db: TestDb,
    services: Vec<Service>,
    bases: Arc<[String]>,
    tenants: Vec<TenantId>,
    /// A cursor at the beginning of each log.
    starts: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_has_what_its_filter_lets_pass_once_and_in_order_whatever_is_killed() {
    let size = Size::of_this_run();
    seeds::for_seeds("stream hunt", SEEDS, TIME_FOR_SEEDS, async |seed| {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut scene = Scene::set().await;
        let truth = Truth::default();
        let mut watching = scene.watch(&size, &truth, &mut rng);
        let writers = Writers::start(&scene.bases, &scene.tenants, &size, &mut rng);
        let struck = faults::strike(&mut scene.services, size.lasts, &mut rng).await;
        let written = writers.finish().await;
        truth.tell(&scene.bases[0], &scene.tenants).await;
        let mut seen = Seen::default();
        while let Some(client) = watching.join_next().await {
            seen.add(&client.unwrap());
        }
        eprintln!("  {written} entries; struck: {struck}; {seen}");
        assert!(seen.entries > 0 && seen.connections > size.clients, "nothing was hunted");
    })
    .await;
}

impl Scene {
    async fn set() -> Self {
        let db = TestDb::new().await;
        let url = db.url();
        let mut services = Vec::new();
        for _ in 0..REPLICAS {
            services.push(Service::start(&url, &[]).await);
        }
        let bases: Arc<[String]> = services.iter().map(|service| service.base.clone()).collect();
        let (mut tenants, mut starts) = (Vec::new(), Vec::new());
        for _ in 0..TENANTS {
            let tenant_id = make_tenant(&bases[0]).await;
            starts.push(verdict::page(&bases[0], tenant_id, None, 1).await.live_cursor);
            tenants.push(tenant_id);
        }
        Self { _db: db, services, bases, tenants, starts }
    }

    /// Lets all clients begin, each when it likes.
    fn watch(&self, size: &Size, truth: &Truth, rng: &mut SmallRng) -> JoinSet<Seen> {
        let mut watching = JoinSet::new();
        for number in 0..size.clients {
            let tenant = rng.random_range(0..TENANTS);
            let watcher = Watcher {
                number,
                bases: Arc::clone(&self.bases),
                tenant_id: self.tenants[tenant],
                // Each wish is somebody's.
                wish: number % WISHES.len(),
                manner: Manner::any(rng),
                events: number % EVENTS_EVERY == 0,
                start: rng.random_bool(0.5).then(|| self.starts[tenant].clone()),
                truth: truth.clone(),
                rng: SmallRng::from_rng(rng),
            };
            watching.spawn(watcher.watch(size.lasts));
        }
        watching
    }
}

async fn make_tenant(base: &str) -> TenantId {
    let making = reqwest::Client::new()
        .post(format!("{base}/api/v1/tenants"))
        .headers(identity(None, "operator"))
        .json(&json!({ "name": "hunt" }));
    let made = making.send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: Value = made.json().await.unwrap();
    TenantId::parse(made["id"].as_str().unwrap()).unwrap()
}
