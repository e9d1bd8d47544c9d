//! Whether an answer, or the time it takes, tells if a thing of another tenant is there.

use std::time::{Duration, Instant};

use domain::{EntryId, Place, Seq, TenantId, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage;
use super::victim::{KEY, Loot};
use crate::support::app::{TestApp, identity};
use crate::support::seeds::{seed, soak};

/// Questions of a pair, each of them so often.
const ROUNDS: u32 = 500;
const SOAK_ROUNDS: u32 = 5_000;

/// Of all rounds of a pair, in how many one of the two may be the slower one: six standard
/// deviations of a fair coin at [`ROUNDS`].
const SHARE_OFF: f64 = 0.134;

/// A question about what is there, and the same about what is not.
struct Pair {
    what: &'static str,
    method: Method,
    /// The path with `{}` for the thing asked for, and these two.
    path: &'static str,
    things: [String; 2],
    /// The body, with the thing as `id`.
    body: Option<fn(&str) -> Value>,
}

/// What of an answer may tell something.
#[derive(Debug, PartialEq)]
struct Told {
    status: u16,
    text: String,
    headers: Vec<(String, String)>,
}

fn pairs(loot: &Loot) -> Vec<Pair> {
    let there = loot.victim_id.to_string();
    let get = |what, path, there: &str, absent: String| Pair {
        what,
        method: Method::GET,
        path,
        things: [there.to_owned(), absent],
        body: None,
    };
    let nobody = TenantId::new(Uuid::from_u128(7));
    let place = |seq| Place {
        recorded_at: Timestamp::from_millis(1_709_251_200_000),
        seq: Seq::new(seq).unwrap(),
    };
    let never = EntryId::of(place(9_999), loot.victim_id).to_string();
    let nobodys = EntryId::of(place(1), nobody).to_string();
    // Well-formed, of a length that exists, of nobody.
    let ticket = "A".repeat(loot.ticket.len());
    let cleanup = "/logs/cleanup?older_than=2024-03-10T00:00:00Z&confirm={}";
    let absent = || Uuid::new_v4().to_string();
    vec![
        get("an entry", "/logs/{}", &loot.ids[0], never.clone()),
        get("an entry of no tenant", "/logs/{}", &loot.ids[0], nobodys),
        get("a page", "/logs?cursor={}", &loot.ids[0], never.clone()),
        get("an export", "/logs/export?format=json&cursor={}", &loot.ids[0], never),
        get("a ticket", "/logs/stream?ticket={}", &loot.ticket, ticket),
        get("a tenant", "/tenants/{}", &there, absent()),
        Pair {
            method: Method::PATCH,
            body: Some(|_| json!({ "name": "x" })),
            ..get("a tenant's settings", "/tenants/{}", &there, absent())
        },
        Pair {
            method: Method::POST,
            body: Some(|id| json!({ "id": id, "name": "x" })),
            ..get("a tenant's id", "/tenants", &there, absent())
        },
        Pair {
            method: Method::DELETE,
            ..get("a confirmation", cleanup, &loot.confirms[0], absent())
        },
    ]
}

impl Pair {
    async fn ask(&self, client: &Client, app: &TestApp, headers: &HeaderMap, n: usize) -> Told {
        let thing = &self.things[n];
        let url = format!("{}/api/v1{}", app.base, self.path.replace("{}", thing));
        let mut request = client.request(self.method.clone(), url).headers(headers.clone());
        if let Some(body) = self.body {
            request = request.json(&body(thing));
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let mut headers: Vec<_> = answer
            .headers()
            .iter()
            .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.sort();
        let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let text = answer.text().await.unwrap();
        let text = text.replace(&request_id, "R").replace(thing, "T");
        Told { status, text, headers }
    }

    async fn took(
        &self,
        client: &Client,
        app: &TestApp,
        headers: &HeaderMap,
        n: usize,
    ) -> Duration {
        let begun = Instant::now();
        self.ask(client, app, headers, n).await;
        begun.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_what_is_not_have_the_same_answer() {
    let app = TestApp::start().await;
    let (loot, attacker_id) = stage(&app).await;
    let client = Client::builder().no_gzip().build().unwrap();
    for pair in pairs(&loot) {
        for role in ["admin", "auditor", "user"] {
            let headers = identity(Some(attacker_id), role);
            let there = pair.ask(&client, &app, &headers, 0).await;
            let absent = pair.ask(&client, &app, &headers, 1).await;
            assert_eq!(there, absent, "{role}, {}", pair.what);
            assert!(there.status >= 400, "{role}, {}: {there:?}", pair.what);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_tenant_has_used_is_a_new_one() {
    let app = TestApp::start().await;
    let (_, attacker_id) = stage(&app).await;
    let caller = app.caller(attacker_id, "admin").with("idempotency-key", KEY);
    let written = caller.post_entry(json!({})).await.created();
    assert!(!written.headers.contains_key("idempotency-replayed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_what_is_not_take_the_same_time() {
    let app = TestApp::start().await;
    let (loot, attacker_id) = stage(&app).await;
    let client = Client::builder().no_gzip().build().unwrap();
    let headers = identity(Some(attacker_id), "admin");
    let mut random = StdRng::seed_from_u64(seed("the same time"));
    let rounds = if soak() { SOAK_ROUNDS } else { ROUNDS };
    for pair in pairs(&loot) {
        let mut there_was_slower = 0_u32;
        for _ in 0..rounds {
            let first = random.random_range(0..2);
            let one = pair.took(&client, &app, &headers, first).await;
            let other = pair.took(&client, &app, &headers, 1 - first).await;
            let [there, absent] = if first == 0 { [one, other] } else { [other, one] };
            there_was_slower += u32::from(there > absent);
        }
        let share = f64::from(there_was_slower) / f64::from(rounds);
        eprintln!("{}: what is there took longer in {:.1} % of {rounds}", pair.what, 100.0 * share);
        assert!((share - 0.5).abs() < SHARE_OFF, "{}: {share}", pair.what);
    }
}
