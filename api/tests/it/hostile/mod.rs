//! Somebody with an account of their own, and everything of another tenant's that could be stolen:
//! ids, cursors, filters, tokens. None of it shows or changes anything of that tenant, and no
//! answer tells whether a thing of that tenant is there.

mod attempts;
mod telling;
mod victim;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::TenantId;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use time::macros::datetime;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::attempts::{Attacker, Attempt};
use self::victim::{Loot, MARKER, victim};
use crate::support::app::TestApp;
use crate::support::history::{self, Past};
use crate::support::log::rows;
use crate::support::seeds::{seed, soak};

/// Requests in a soak.
const REQUESTS: usize = 100_000;

/// After so long no more are sent, outside of a soak.
const TIME: Duration = Duration::from_secs(20);

/// Requests at the same moment.
const CLIENTS: usize = 8;

/// How long one looks at a stream.
const STREAM_LOOK: Duration = Duration::from_millis(30);

/// Between two entries of the victim.
const VICTIM_PAUSE: Duration = Duration::from_millis(20);

/// A service with a victim and an attacker, who have both recorded something.
async fn stage(app: &TestApp) -> (Loot, TenantId) {
    history::make_room(&mut app.db.admin().await).await;
    let loot = victim(app).await;
    let attacker_id = app.tenant().await;
    let own: Vec<Past> = (0..30)
        .map(|n| Past::at(datetime!(2024-03-01 0:00 UTC) + Duration::from_secs(n * 90_000)))
        .collect();
    history::write(&mut app.db.admin().await, attacker_id, &own).await;
    (loot, attacker_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_stolen_things_and_forged_headers_show_nothing_of_the_victim() {
    let app = Arc::new(TestApp::start().await);
    let (loot, attacker_id) = stage(&app).await;
    let before = rows(&mut app.db.admin().await, loot.victim_id).await;
    let loot = Arc::new(loot);
    let (sent, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let seed = seed("stolen things");
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS as u64 {
        let (app, loot, sent) = (Arc::clone(&app), Arc::clone(&loot), Arc::clone(&sent));
        clients.spawn(async move {
            let random = StdRng::seed_from_u64(seed.wrapping_add(n));
            let mut attacker = Attacker { random, tenant_id: attacker_id, loot: &loot };
            let client = Client::builder().no_gzip().build().unwrap();
            while sent.fetch_add(1, Ordering::Relaxed) < REQUESTS
                && (soak() || begun.elapsed() < TIME)
            {
                try_it(&client, &app.base, attacker.attempt(), loot.victim_id).await;
            }
        });
    }
    let mut recorded = 0;
    let caller = app.caller(loot.victim_id, "user");
    while !clients.is_empty() {
        while let Some(ended) = clients.try_join_next() {
            ended.unwrap();
        }
        caller.post("/logs", &json!({ "action": MARKER, "resource_type": "live" })).await.created();
        recorded += 1;
        sleep(VICTIM_PAUSE).await;
    }
    eprintln!("{} requests in {:?}", sent.load(Ordering::Relaxed), begun.elapsed());
    let after = rows(&mut app.db.admin().await, loot.victim_id).await;
    assert_eq!(after[..before.len()], before, "nothing was changed");
    assert_eq!(after.len(), before.len() + recorded, "nothing was added by others");
}

async fn try_it(client: &Client, base: &str, attempt: Attempt, victim_id: TenantId) {
    let url = format!("{base}{}", attempt.path);
    let request = client.request(attempt.method.clone(), url).headers(attempt.headers.clone());
    let request = match &attempt.body {
        Some(body) => request.json(body),
        None => request,
    };
    let mut answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let is_stream = attempt.path.contains("/stream") && status == StatusCode::OK;
    let mut bytes = Vec::new();
    let reading = async {
        while let Some(chunk) = answer.chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
    };
    if is_stream {
        let _ = timeout(STREAM_LOOK, reading).await;
    } else {
        reading.await;
    }
    let text = String::from_utf8_lossy(&bytes);
    let what = format!("{attempt:?}: {status} {headers:?} {text}");
    let sent_back =
        status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key("retry-after");
    assert!(status < StatusCode::INTERNAL_SERVER_ERROR || sent_back, "{what}");
    assert!(!text.contains(MARKER), "{what}");
    assert!(!text.contains(&victim_id.to_string()), "{what}");
    let is_open = ["/docs", "/redoc", "/openapi.json", "/board/x/"];
    let is_open = is_open.iter().any(|part| attempt.path.contains(part));
    assert!(!attempt.is_forged || is_open || status.is_client_error() || sent_back, "{what}");
    let erased = attempt.method == Method::DELETE && status == StatusCode::OK;
    assert!(!erased, "{what}");
}
