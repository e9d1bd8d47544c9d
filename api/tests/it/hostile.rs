//! Somebody with an account of their own, and everything of another tenant's that could be stolen:
//! ids, cursors, filters, tokens. None of it shows or changes anything of that tenant.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::TenantId;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use reqwest::{Method, StatusCode};
use time::macros::datetime;
use tokio::task::JoinSet;

use crate::support::app::{TestApp, send};
use crate::support::history::{self, Past};
use crate::support::log::rows;
use crate::support::seeds::{seed, soak};

/// Requests in a soak.
const REQUESTS: usize = 10_000;

/// After so long no more are sent, outside of a soak.
const TIME: Duration = Duration::from_secs(20);

/// Requests at the same moment.
const CLIENTS: usize = 8;

/// Stands in every entry of the victim, and in nothing that is stolen.
const MARKER: &str = "only-the-victim-wrote-this";

/// What an attacker has got hold of.
struct Loot {
    ids: Vec<String>,
    cursors: Vec<String>,
    filters: Vec<String>,
    confirms: Vec<String>,
}

/// A victim with a past and some tenants' worth of traces.
async fn victim(app: &TestApp) -> (TenantId, Loot) {
    let tenant_id = app.tenant().await;
    let past: Vec<Past> = (0..60)
        .map(|n| Past {
            user_id: format!("victim-{}", n % 5),
            action: MARKER.to_owned(),
            request_id: Some(format!("request-{}", n / 3)),
            ..Past::at(datetime!(2024-03-01 0:00 UTC) + Duration::from_secs(n * 40_000))
        })
        .collect();
    history::write(&mut app.db.admin().await, tenant_id, &past).await;
    let caller = app.caller(tenant_id, "admin");
    let filters: Vec<String> =
        ["", "user_id=victim-1", "request_id=request-3&order=asc", "order=asc"]
            .map(str::to_owned)
            .into();
    let (mut ids, mut cursors) = (Vec::new(), Vec::new());
    for filter in &filters {
        let page = caller.get(&format!("/logs?limit=2&{filter}")).await;
        let data = page.body["data"].as_array().unwrap();
        ids.extend(data.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
        for name in ["next_cursor", "live_cursor"] {
            cursors.extend(page.body[name].as_str().map(str::to_owned));
        }
    }
    let dry = "/logs/cleanup?dry_run=true&older_than=2024-03-10T00:00:00Z";
    let dry = send(caller.request(Method::DELETE, dry)).await;
    let confirms = vec![dry.body["confirm"].as_str().unwrap().to_owned()];
    (tenant_id, Loot { ids, cursors, filters, confirms })
}

/// A request that might show something.
fn request(random: &mut StdRng, loot: &Loot, victim_id: TenantId) -> (Method, String) {
    let id = loot.ids.choose(random).unwrap();
    let filter = loot.filters.choose(random).unwrap();
    let cursor = match random.random_range(0..3) {
        0 => format!("&cursor={}", loot.cursors.choose(random).unwrap()),
        1 => format!("&cursor={id}"),
        _ => String::new(),
    };
    let more = ["", "&limit=1", "&severity_min=INFO", "&order=asc", "&from=2024-03-01T00:00:00Z"]
        .choose(random)
        .unwrap();
    let path = match random.random_range(0..10) {
        0 | 1 => format!("/logs?{filter}{cursor}{more}"),
        2 => format!("/logs/{id}"),
        3 => {
            let format = ["json", "ndjson", "csv"].choose(random).unwrap();
            format!("/logs/export?format={format}&max_entries=5&{filter}{cursor}")
        }
        4 => {
            let group = ["user_id", "action", "severity"].choose(random).unwrap();
            format!("/logs/stats?group_by={group}&{}", filter.replace("&order=asc", ""))
        }
        5 => format!("/logs/expiries?limit=5{cursor}"),
        6 => format!("/tenants/{victim_id}"),
        7 => format!("/tenants?cursor={}", loot.cursors.choose(random).unwrap()),
        8 => "/tenants/self".to_owned(),
        _ => {
            let confirm = loot.confirms.choose(random).unwrap();
            let day = random.random_range(1..12);
            let path =
                format!("/logs/cleanup?older_than=2024-03-{day:02}T00:00:00Z&confirm={confirm}");
            return (Method::DELETE, path);
        }
    };
    (Method::GET, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_with_stolen_things_show_nothing_of_the_victim() {
    let app = Arc::new(TestApp::start().await);
    history::make_room(&mut app.db.admin().await).await;
    let (victim_id, loot) = victim(&app).await;
    let attacker_id = app.tenant().await;
    let own: Vec<Past> = (0..30)
        .map(|n| Past::at(datetime!(2024-03-01 0:00 UTC) + Duration::from_secs(n * 90_000)))
        .collect();
    history::write(&mut app.db.admin().await, attacker_id, &own).await;
    let before = rows(&mut app.db.admin().await, victim_id).await;
    let loot = Arc::new(loot);
    let (sent, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let seed = seed("stolen things");
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS as u64 {
        let (app, loot, sent) = (Arc::clone(&app), Arc::clone(&loot), Arc::clone(&sent));
        clients.spawn(async move {
            let mut random = StdRng::seed_from_u64(seed.wrapping_add(n));
            while sent.fetch_add(1, Ordering::Relaxed) < REQUESTS
                && (soak() || begun.elapsed() < TIME)
            {
                let role = ["admin", "admin", "auditor", "user"].choose(&mut random).unwrap();
                let caller = app.caller(attacker_id, role);
                let (method, path) = request(&mut random, &loot, victim_id);
                let answer = send(caller.request(method.clone(), &path)).await;
                let what = format!("{role} {method} {path}: {answer:?}");
                assert!(answer.status < StatusCode::INTERNAL_SERVER_ERROR, "{what}");
                assert!(!answer.text.contains(MARKER), "{what}");
                assert!(!answer.text.contains(&victim_id.to_string()), "{what}");
                let confirmed = method == Method::DELETE && answer.status == StatusCode::OK;
                assert!(!confirmed, "{what}");
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    eprintln!("{} requests in {:?}", sent.load(Ordering::Relaxed), begun.elapsed());
    assert_eq!(
        rows(&mut app.db.admin().await, victim_id).await,
        before,
        "nothing was added either"
    );
}
