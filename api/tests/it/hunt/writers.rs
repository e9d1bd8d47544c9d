//! Clients that record entries all the while, one by one, in bulk, and again with the same key
//! until they are answered; and what was acknowledged to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::TenantId;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::app::identity;

/// How many there are, and how long one rests between two requests, in milliseconds.
const CLIENTS: u64 = 3;
const REST_MS: std::ops::Range<u64> = 100..400;

/// Entries of one request.
const BULK_LEN_MAX: usize = 20;

/// A client gives up on an answer after this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a client that repeats a request goes on at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(20);

/// Each entry that was acknowledged, and whose it is.
pub(super) type Acknowledged = HashMap<Uuid, TenantId>;

/// See the module.
pub(super) struct Writers {
    acknowledged: Arc<Mutex<Acknowledged>>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

impl Writers {
    pub(super) fn start(bases: &[String], tenants: &[TenantId], rng: &mut SmallRng) -> Self {
        let acknowledged = Arc::default();
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let client = Client {
                number,
                rng: SmallRng::from_rng(rng),
                http: reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().unwrap(),
                bases: bases.to_vec(),
                tenants: tenants.to_vec(),
                acknowledged: Arc::clone(&acknowledged),
                requests: 0,
            };
            clients.spawn(client.run(stop.clone()));
        }
        Self { acknowledged, stop, clients }
    }

    /// Lets them end what they are at.
    pub(super) async fn finish(mut self) -> Acknowledged {
        self.stop.cancel();
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.acknowledged.lock().unwrap())
    }
}

/// What a client wants recorded.
struct Wish {
    tenant_id: TenantId,
    path: &'static str,
    body: Value,
    key: Option<String>,
}

struct Client {
    number: u64,
    rng: SmallRng,
    http: reqwest::Client,
    bases: Vec<String>,
    tenants: Vec<TenantId>,
    acknowledged: Arc<Mutex<Acknowledged>>,
    requests: usize,
}

impl Client {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wish = self.wish();
            let mut answered = self.attempt(&wish).await;
            // The key makes it safe to ask again until there is an answer.
            let mut deadline = None;
            while !answered && wish.key.is_some() {
                sleep(Duration::from_millis(self.rng.random_range(10..200))).await;
                answered = self.attempt(&wish).await;
                if stop.is_cancelled() {
                    let deadline = *deadline.get_or_insert(Instant::now() + LAST_ANSWERS);
                    assert!(Instant::now() < deadline, "a request with a key is never answered");
                }
            }
            sleep(Duration::from_millis(self.rng.random_range(REST_MS))).await;
        }
    }

    fn wish(&mut self) -> Wish {
        self.requests += 1;
        let request = format!("{}-{}", self.number, self.requests);
        let is_bulk = self.rng.random_bool(0.4);
        let entries = if is_bulk { self.rng.random_range(1..=BULK_LEN_MAX) } else { 1 };
        let mut drafts: Vec<_> =
            (0..entries).map(|n| draft(&format!("{request}-{n}"), &mut self.rng)).collect();
        Wish {
            tenant_id: *self.tenants.choose(&mut self.rng).unwrap(),
            path: if is_bulk { "/logs/bulk" } else { "/logs" },
            body: if is_bulk { Value::Array(drafts) } else { drafts.remove(0) },
            key: self.rng.random_bool(0.5).then(|| format!("key-{request}")),
        }
    }

    /// Whether it was acknowledged, which is noted.
    async fn attempt(&mut self, wish: &Wish) -> bool {
        let base = self.bases.choose(&mut self.rng).unwrap();
        let mut request = self
            .http
            .post(format!("{base}/api/v1{}", wish.path))
            .headers(identity(Some(wish.tenant_id), "user"))
            .json(&wish.body);
        if let Some(key) = &wish.key {
            request = request.header("idempotency-key", key);
        }
        let Ok(answer) = request.send().await else { return false };
        let status = answer.status();
        let Ok(body) = answer.json::<Value>().await else { return false };
        match status {
            StatusCode::CREATED => self.note(wish, &body),
            StatusCode::SERVICE_UNAVAILABLE => return false,
            _ => panic!("no fault explains this: {status} {body}"),
        }
        true
    }

    fn note(&self, wish: &Wish, body: &Value) {
        let many = body["ids"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut acknowledged = self.acknowledged.lock().unwrap();
        for id in many.iter().chain(body.get("id")) {
            let id = id.as_str().unwrap().parse().unwrap();
            let other = acknowledged.insert(id, wish.tenant_id);
            assert!(other.is_none(), "{id} was given twice");
        }
    }
}

/// An entry that is easily told from all others, with JSON of some kind.
fn draft(marker: &str, rng: &mut SmallRng) -> Value {
    let after = match rng.random_range(0..5) {
        0 => Value::Null,
        1 => json!({ "amount": 12.50, "lines": [{ "sku": "A-1" }, { "sku": marker }] }),
        2 => json!(["\u{fffe}", "東京", { "": [] }, -0.0, 1e300]),
        3 => json!("x".repeat(rng.random_range(0..4_000))),
        _ => json!({ "a.b": { "c": [[[true]]] }, "名前": "山田", "mail": "jo@example.com" }),
    };
    json!({
        "action": (["CREATE", "UPDATE", "DELETE", "VIEW"]).choose(rng),
        "resource_type": "thing",
        "resource_id": marker,
        "message": format!("about {marker}"),
        "after": after,
    })
}
