//! Clients that write without a pause, retry as told, and note down every answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use domain::TenantId;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::CLIENTS;
use super::ledger::{Acknowledged, Ledger, Told};
use crate::support::app::identity;

/// A client gives up on an answer after this; longer than the service takes for any.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Requests with a key that a client keeps for later while their log cannot be written.
const UNANSWERED_MAX: usize = 8;

/// How long the last of them may take once the load has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Load {
    ledger: Arc<Mutex<Ledger>>,
    stop: CancellationToken,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(seed: u64, bases: Vec<String>, tenants: &[TenantId]) -> Self {
        let bases: Arc<[String]> = bases.into();
        let ledger = Ledger { seed, tenants: tenants.to_vec(), ..Ledger::default() };
        let ledger = Arc::new(Mutex::new(ledger));
        let stop = CancellationToken::new();
        let client = |number: usize| Client {
            number,
            rng: SmallRng::seed_from_u64(seed.wrapping_add(number as u64)),
            http: reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().unwrap(),
            bases: Arc::clone(&bases),
            tenants: tenants.to_vec(),
            ledger: Arc::clone(&ledger),
            requests: 0,
            unanswered: VecDeque::new(),
        };
        let clients = (0..CLIENTS).map(|n| tokio::spawn(client(n).run(stop.clone()))).collect();
        Self { ledger, stop, clients }
    }

    /// How many answers came until now.
    pub(super) fn answers(&self) -> usize {
        self.ledger().told.len()
    }

    /// How often this was answered to these tenants since then.
    pub(super) fn count(&self, what: &str, of: impl Fn(TenantId) -> bool, since: Instant) -> usize {
        self.ledger().count(what, of, since)
    }

    /// Stops asking, waits for what is still to be answered, and gives the book.
    pub(super) async fn finish(mut self) -> Ledger {
        self.stop.cancel();
        for client in self.clients.drain(..) {
            client.await.unwrap();
        }
        std::mem::take(&mut *self.ledger())
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
    }
}

/// What a client wants written.
#[derive(Debug)]
struct Wish {
    tenant_id: TenantId,
    path: &'static str,
    body: String,
    markers: Vec<String>,
    key: Option<String>,
}

/// What came of an attempt.
enum Came {
    /// `201` with these ids.
    Created(Vec<Uuid>),
    /// Nothing was written, says the answer, or it was never sent.
    Denied(String),
    Unknown(String),
    Surprise(String),
}

struct Client {
    number: usize,
    rng: SmallRng,
    http: reqwest::Client,
    bases: Arc<[String]>,
    tenants: Vec<TenantId>,
    ledger: Arc<Mutex<Ledger>>,
    requests: usize,
    unanswered: VecDeque<Wish>,
}

impl Client {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let retry = !self.unanswered.is_empty() && self.rng.random_bool(0.3);
            let wish = retry.then(|| self.unanswered.pop_front()).flatten();
            let wish = wish.unwrap_or_else(|| self.wish());
            self.attempt(wish).await;
        }
        let deadline = Instant::now() + LAST_ANSWERS;
        while let Some(wish) = self.unanswered.pop_front() {
            if Instant::now() > deadline {
                let surprise = format!("never answered: {wish:?}");
                self.ledger.lock().unwrap().surprises.push(surprise);
                return;
            }
            self.attempt(wish).await;
        }
    }

    fn wish(&mut self) -> Wish {
        self.requests += 1;
        let tenant_id = *self.tenants.choose(&mut self.rng).unwrap();
        let bulk = self.rng.random_bool(0.3);
        let entries = if bulk { self.rng.random_range(1..=12) } else { 1 };
        let markers: Vec<_> =
            (0..entries).map(|n| format!("{}-{}-{n}", self.number, self.requests)).collect();
        let drafts: Vec<_> = markers.iter().map(|marker| draft(marker)).collect();
        let body = if bulk { Value::Array(drafts) } else { drafts[0].clone() };
        let keyed = self.unanswered.len() < UNANSWERED_MAX && self.rng.random_bool(0.5);
        let key = keyed.then(|| format!("key-{}-{}", self.number, self.requests));
        let path = if bulk { "/logs/bulk" } else { "/logs" };
        Wish { tenant_id, path, body: body.to_string(), markers, key }
    }

    async fn attempt(&mut self, wish: Wish) {
        let base = self.bases.choose(&mut self.rng).unwrap();
        let came = send(&self.http, base, &wish).await;
        let denied = matches!(came, Came::Denied(_) | Came::Unknown(_));
        if let Some(wish) = self.note(wish, came) {
            self.unanswered.push_back(wish);
        }
        if denied {
            // As a client that was told to try again later.
            let pause = self.rng.random_range(5..50);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Writes down what came; gives back a wish that is to be tried again.
    fn note(&self, wish: Wish, came: Came) -> Option<Wish> {
        let mut ledger = self.ledger.lock().unwrap();
        let what = match &came {
            Came::Created(_) => Told::CREATED,
            Came::Denied(what) | Came::Unknown(what) | Came::Surprise(what) => what,
        };
        let told = Told { at: Instant::now(), tenant_id: wish.tenant_id, what: what.to_owned() };
        ledger.told.push(told);
        match came {
            Came::Created(ids) if ids.len() == wish.markers.len() => {
                for (id, marker) in ids.into_iter().zip(wish.markers) {
                    let entry = Acknowledged { tenant_id: wish.tenant_id, marker };
                    if let Some(other) = ledger.acknowledged.insert(id, entry) {
                        ledger.surprises.push(format!("{id} was given twice: {other:?}"));
                    }
                }
            }
            Came::Created(ids) => {
                ledger.surprises.push(format!("{} ids for {wish:?}", ids.len()));
            }
            Came::Surprise(what) => ledger.surprises.push(format!("{what} for {wish:?}")),
            Came::Denied(_) | Came::Unknown(_) if wish.key.is_some() => return Some(wish),
            Came::Denied(_) => ledger.denied.extend(wish.markers),
            Came::Unknown(_) => ledger.unknown.extend(wish.markers),
        }
        None
    }
}

fn draft(marker: &str) -> Value {
    json!({
        "action": "UPDATE",
        "resource_type": "thing",
        "resource_id": marker,
        "message": format!("about {marker}"),
    })
}

async fn send(http: &reqwest::Client, base: &str, wish: &Wish) -> Came {
    let mut request = http
        .post(format!("{base}/api/v1{}", wish.path))
        .headers(identity(Some(wish.tenant_id), "user"))
        .header("content-type", "application/json")
        .body(wish.body.clone());
    if let Some(key) = &wish.key {
        request = request.header("idempotency-key", key);
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return Came::Denied("not connected".to_owned()),
        Err(_) => return Came::Unknown("no answer".to_owned()),
    };
    let status = answer.status();
    let Ok(text) = answer.text().await else {
        return Came::Unknown("half an answer".to_owned());
    };
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    match (status, body["code"].as_str().unwrap_or_default()) {
        (StatusCode::CREATED, _) => Came::Created(ids(&body)),
        (StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown") => {
            Came::Unknown("outcome_unknown".to_owned())
        }
        (StatusCode::SERVICE_UNAVAILABLE, code) => Came::Denied(code.to_owned()),
        _ => Came::Surprise(format!("{status} {text}")),
    }
}

fn ids(body: &Value) -> Vec<Uuid> {
    let many = body["ids"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ids = many.iter().chain(body.get("id"));
    ids.map(|id| id.as_str().unwrap().parse().unwrap()).collect()
}
