//! Whether the index is the log, by four ways of looking.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::TenantId;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::process::Command;
use tokio::time::sleep;
use uuid::Uuid;

use super::scene::{Scene, Way};
use super::writers::Acknowledged;
use crate::support::command::{self, Ended};
use crate::support::{eventually, log, parts};

/// How long after the last fault they may differ; a machine that has other things to do takes its time.
const EQUAL_WITHIN: Duration = Duration::from_mins(3);

/// Entries of a page that a search is walked by.
const PAGE: usize = 1_000;

/// Pages of the longest walk.
const PAGES_MAX: usize = 100;

/// See the module. Nobody touches the queue from here on.
pub(super) async fn assert_index_is_log(scene: &Scene, acknowledged: &Acknowledged) {
    let (way, begun) = (scene.way(), Instant::now());
    let dead_letters = way.dead_letters().await;
    assert_verified(&way, begun).await;
    eprintln!(
        "  {} entries acknowledged, {} messages sent {} times, {dead_letters} dead letters; \
         the index was the log {:.1} s after the last fault",
        acknowledged.len(),
        way.shuffler.taken(),
        way.shuffler.sent(),
        begun.elapsed().as_secs_f32(),
    );
    assert_compared(&way).await;
    let mut admin = way.db.admin().await;
    let mut documents = 0;
    for tenant_id in way.tenants.iter().copied() {
        let entries = entries(&mut admin, tenant_id).await;
        let promised = acknowledged.iter().filter(|(_, owner)| **owner == tenant_id);
        let lost: Vec<_> = promised.filter(|(id, _)| !entries.contains(id)).collect();
        assert!(lost.is_empty(), "acknowledged, but not in the log: {lost:?}");
        assert_eq!(found(&way, tenant_id).await, entries, "a search shows another log");
        documents += entries.len() as u64;
    }
    let query = json!({ "match_all": {} });
    eventually("there is no document too many", EQUAL_WITHIN, async || {
        way.deployed.documents(&query).await == documents
    })
    .await;
    assert!(way.dead_letters().await >= dead_letters, "somebody took dead letters");
}

/// By the service's own command, as an operator or cron runs it.
async fn assert_verified(way: &Way, begun: Instant) {
    let ended = loop {
        let ended = verify_index(way).await;
        if ended.code == Some(0) || begun.elapsed() > EQUAL_WITHIN {
            break ended;
        }
        sleep(Duration::from_millis(200)).await;
    };
    let Ended { code, stdout, stderr } = ended;
    assert_eq!(code, Some(0), "the index is not the log: {stdout}\n{stderr}");
}

async fn verify_index(way: &Way) -> Ended {
    let (url, settings) = (way.db.url(), way.deployed.of_service());
    let mut env: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    env.push(("AUDIT_DATABASE_URL", &url));
    // Nothing that is not there yet is on its way: it counts as missing at once.
    command::run(&["verify-index", "--settling-s", "0"], &env).await
}

/// By a script that shares no code with the service.
async fn assert_compared(way: &Way) {
    let script = parts::root().join("dev/compare-index.py");
    let mut comparing = Command::new("python3");
    let url = way.db.url();
    // What comes behind it is for our driver alone.
    let (url, _) = url.split_once('?').unwrap_or((&url, ""));
    comparing.arg(script).args([url, &way.deployed.search_url, &way.deployed.name]);
    parts::run(&mut comparing).await;
}

/// The ids in a log that have not expired, read past the service; it must have no gap.
async fn entries(admin: &mut PgConnection, tenant_id: TenantId) -> BTreeSet<Uuid> {
    let (floor, head) = log::floor_and_head(admin, tenant_id).await;
    let mut rows = log::rows(admin, tenant_id).await;
    rows.retain(|row| row.seq >= floor);
    let seqs: Vec<_> = rows.iter().map(|row| row.seq).collect();
    assert_eq!(seqs, (floor..=head).collect::<Vec<_>>(), "the log of {tenant_id} has a gap");
    rows.iter().map(|row| row.id().as_uuid()).collect()
}

/// The ids that a search without words shows to the tenant, from the index, each once.
async fn found(way: &Way, tenant_id: TenantId) -> BTreeSet<Uuid> {
    let mut ids = BTreeSet::new();
    let mut path = format!("/logs/search?limit={PAGE}");
    for _ in 0..PAGES_MAX {
        let page = way.ask(reqwest::Method::GET, tenant_id, &path, "auditor").await;
        let (status, page) = page.expect("no search fails now");
        assert_eq!((status.as_u16(), &page["source"]), (200, &json!("opensearch")), "{page}");
        assert_eq!(page["index"]["complete"], json!(true), "{}", page["index"]);
        for entry in page["data"].as_array().unwrap() {
            assert_eq!(entry["tenant_id"], json!(tenant_id.to_string()));
            let id = entry["id"].as_str().unwrap().parse().unwrap();
            assert!(ids.insert(id), "{id} is shown twice");
        }
        let Value::String(cursor) = &page["next_cursor"] else { return ids };
        path = format!("/logs/search?limit={PAGE}&cursor={cursor}");
    }
    panic!("a search does not come to its end");
}
