//! What an operator's Prometheus sees.

mod actions;
mod connections;
mod facts;
mod index;
mod monitoring;
mod promql;

use std::time::{Duration, Instant};

use domain::TenantId;
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use uuid::Uuid;

use crate::support::app::{identity, send};
use crate::support::exposition::Watched;
use crate::support::service::free_port;

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_for_it_nothing_tells_metrics() {
    let watched = Watched::start(&[]).await;
    // Not on the address that clients know, with or without a proof.
    for path in ["/metrics", "/api/v1/metrics"] {
        let url = format!("{}{path}", watched.app.base);
        let request = watched.app.client.get(&url).headers(identity(None, "operator"));
        assert_eq!(send(request).await.status, 404, "{path}");
    }
    // And nothing but metrics on the other one.
    for path in ["/api/v1/logs", "/", "/readyz"] {
        let answer = reqwest::get(format!("{}{path}", watched.admin)).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    let posted = watched.app.client.post(format!("{}/metrics", watched.admin)).send().await;
    assert_eq!(posted.unwrap().status(), 405);
}

/// Whoever sends many names, of tenants, routes, methods or codes, makes no series.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tenants_and_any_path_make_no_more_series() {
    let watched = Watched::start(&["--tenant-autocreate"]).await;
    let app = &watched.app;
    let requests = |n: u128| {
        let tenant_id = TenantId::new(Uuid::from_u128((0x7000 << 64) | (0x8 << 60) | n));
        let headers = identity(Some(tenant_id), "admin");
        let (method, path) = match n % 8 {
            0..5 => (Method::GET, format!("logs?user_id=user-{n}")),
            5 => (Method::GET, format!("nothing/here/{n}")),
            6 => (Method::PUT, format!("logs/{}", Uuid::new_v4())),
            _ => (Method::from_bytes(format!("BREW{n}").as_bytes()).unwrap(), "logs".to_owned()),
        };
        send(app.client.request(method, format!("{}/api/v1/{path}", app.base)).headers(headers))
    };
    stream::iter(0..200).map(requests).buffer_unordered(16).for_each(async |_| {}).await;
    facts::seen("all is told", &watched, |scrape| scrape.is("audit_database_up", 1.0)).await;
    let before = watched.scrape().await;
    stream::iter(200..1_800).map(requests).buffer_unordered(16).for_each(async |_| {}).await;
    let after = watched.scrape().await;
    let old: std::collections::BTreeSet<_> = before.names().collect();
    let new: Vec<_> = after.names().filter(|name| !old.contains(name)).collect();
    assert_eq!(new, [""; 0]);
    assert!(after.len() < 1_200, "{} series", after.len());
    let tenants: i64 = sqlx::query_scalar("select count(*) from tenant")
        .fetch_one(&mut app.db.admin().await)
        .await
        .unwrap();
    assert!(tenants > 1_000, "{tenants} tenants asked");
}

/// What a request adds, in the debug build of ours.
#[test]
fn counting_a_request_costs_next_to_nothing() {
    const TIMES: u32 = 100_000;
    let metrics = api::metrics::Metrics::default();
    let begun = Instant::now();
    for n in 0..TIMES {
        let took = Duration::from_micros(n.into());
        metrics.requests.answered("/api/v1/logs", &Method::POST, 201, took);
    }
    let each = begun.elapsed() / TIMES;
    eprintln!("counting a request costs {each:?}");
    assert!(each < Duration::from_micros(5), "{each:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named() {
    let port = free_port();
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let db = crate::support::database::TestDb::new().await;
    let (address, url) = (format!("127.0.0.1:{port}"), db.url());
    let env = [
        ("AUDIT_DATABASE_URL", url.as_str()),
        ("AUDIT_GATEWAY_SECRET", crate::support::app::SECRET),
        ("AUDIT_LISTEN", "127.0.0.1:0"),
        ("AUDIT_ADMIN_LISTEN", address.as_str()),
    ];
    let ended = crate::support::command::run(&["serve"], &env).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("AUDIT_ADMIN_LISTEN"), "{ended:?}");
    drop(taken);
}

/// How long something that a scrape asks the database may take to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
