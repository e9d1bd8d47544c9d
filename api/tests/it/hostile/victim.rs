//! Who is attacked, and what was stolen from them.

use std::time::Duration;

use domain::TenantId;
use reqwest::{Method, StatusCode};
use serde_json::json;
use time::macros::datetime;

use crate::support::app::{TestApp, send};
use crate::support::history::{self, Past};

/// Stands in every entry and name of the victim, and in nothing that is stolen.
pub(super) const MARKER: &str = "only-the-victim-wrote-this";

/// A key that the victim has used.
pub(super) const KEY: &str = "the-victims-key";

/// What an attacker has got hold of.
#[derive(Debug)]
pub(super) struct Loot {
    pub(super) victim_id: TenantId,
    pub(super) ids: Vec<String>,
    pub(super) cursors: Vec<String>,
    pub(super) filters: Vec<String>,
    pub(super) confirms: Vec<String>,
    /// Of a stream that the victim has opened: the victim's own would be as good as the victim.
    pub(super) ticket: String,
}

/// A victim with a past and some tenants' worth of traces.
pub(super) async fn victim(app: &TestApp) -> Loot {
    let body = json!({ "name": MARKER });
    let made = app.operator().post("/tenants", &body).await.created();
    let victim_id = TenantId::parse(made.body["id"].as_str().unwrap()).unwrap();
    let past: Vec<Past> = (0..60)
        .map(|n| Past {
            user_id: format!("victim-{}", n % 5),
            action: MARKER.to_owned(),
            request_id: Some(format!("request-{}", n / 3)),
            ..Past::at(datetime!(2024-03-01 0:00 UTC) + Duration::from_secs(n * 40_000))
        })
        .collect();
    history::write(&mut app.db.admin().await, victim_id, &past).await;
    steal(app, victim_id).await
}

async fn steal(app: &TestApp, victim_id: TenantId) -> Loot {
    let caller = app.caller(victim_id, "admin");
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
    let entry = json!({ "action": MARKER, "resource_type": "thing" });
    let keyed = caller.clone().with("idempotency-key", KEY);
    keyed.post("/logs", &entry).await.created();
    let ticket = spent_ticket(app, victim_id).await;
    Loot { victim_id, ids, cursors, filters, confirms, ticket }
}

async fn spent_ticket(app: &TestApp, victim_id: TenantId) -> String {
    let caller = app.caller(victim_id, "auditor");
    let issued = caller.post("/logs/stream/ticket", &json!({})).await.created();
    let ticket = issued.body["ticket"].as_str().unwrap().to_owned();
    let path = format!("/logs/stream?ticket={ticket}");
    let events = caller.request(Method::GET, &path).header("accept", "text/event-stream");
    let opened = events.send().await.unwrap();
    assert_eq!(opened.status(), StatusCode::OK, "the victim opens it first");
    ticket
}
