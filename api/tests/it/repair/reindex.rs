//! `audit-log reindex`: the index built anew while it is searched, whatever happens meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::stage::Stage;
use crate::support::command::{self, Ended};
use crate::support::eventually;
use crate::support::parts::OpenSearch;

async fn reindex(stage: &Stage, args: &[&str]) -> Ended {
    let env = stage.env();
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    command::run(&[&["reindex"], args].concat(), &env).await
}

#[track_caller]
fn assert_rebuilt(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// Searches until it is told to stop; fails as soon as one finds not exactly so much.
async fn search(stage: &Stage, documents: u64, stop: &AtomicBool) -> u32 {
    let path = format!("{}/_search?allow_partial_search_results=false", stage.prefix);
    let mut searches = 0;
    while !stop.load(Ordering::Relaxed) {
        let body = json!({ "size": 0, "track_total_hits": true });
        let found = stage.call(Method::POST, &path, body).await;
        assert_eq!(found["hits"]["total"]["value"], documents, "after {searches} searches");
        searches += 1;
    }
    searches
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_index_is_built_anew_a_search_finds_everything_once() {
    let stage = Stage::new().await;
    for entries in [3_000, 40, 7] {
        stage.tenant(entries).await;
    }
    assert_rebuilt(&reindex(&stage, &[]).await);
    assert_eq!(stage.found().await, stage.log().await);
    let before = stage.searched().await;
    assert_eq!(before.len(), 2, "{before:?}");

    let stop = AtomicBool::new(false);
    let rebuilding = async {
        let ended = reindex(&stage, &[]).await;
        stop.store(true, Ordering::Relaxed);
        ended
    };
    let (ended, searches) = tokio::join!(rebuilding, search(&stage, 3_047, &stop));
    assert_rebuilt(&ended);
    assert!(searches > 20, "{searches}");
    assert_eq!(stage.found().await, stage.log().await);
    let after = stage.searched().await;
    assert!(after.iter().all(|name| !before.contains(name)), "{before:?} {after:?}");
    assert_eq!(stage.indices().await, after, "old indices go");

    // What is recorded from now on goes into the new index.
    for month in ["2026.10", "2026.11"] {
        let path = format!("_alias/{}-{month}", stage.prefix);
        let written = stage.call(Method::GET, &path, Value::Null).await;
        let names: Vec<&String> = written.as_object().unwrap().keys().collect();
        assert!(names.len() == 1 && after.contains(names[0]), "{names:?}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_an_older_template_gives_way_to_one_of_this_programs() {
    let stage = Stage::new().await;
    stage.tenant(500).await;
    assert_rebuilt(&reindex(&stage, &[]).await);
    // As if the version before had built them, whose template had another number.
    for name in stage.searched().await {
        let old = name.replace("-v1-", "-v0-");
        let source = json!({ "source": { "index": name }, "dest": { "index": old } });
        let made = json!({ "mappings": { "properties": { "tenant_id": { "type": "keyword" } } } });
        stage.call(Method::PUT, &old, made).await;
        stage.call(Method::POST, "_reindex?refresh=true", source).await;
        stage.call(Method::DELETE, &name, Value::Null).await;
        let month = name.rsplit('-').next().unwrap();
        let write = format!("{}-{month}", stage.prefix);
        let actions = json!({ "actions": [
            { "add": { "index": old, "alias": stage.prefix } },
            { "add": { "index": old, "alias": write, "is_write_index": true } },
        ] });
        stage.call(Method::POST, "_aliases", actions).await;
    }
    assert_eq!(stage.found().await, stage.log().await);

    let stop = AtomicBool::new(false);
    let rebuilding = async {
        let ended = reindex(&stage, &["--keep-old"]).await;
        stop.store(true, Ordering::Relaxed);
        ended
    };
    let (ended, _) = tokio::join!(rebuilding, search(&stage, 500, &stop));
    assert_rebuilt(&ended);
    assert_eq!(stage.found().await, stage.log().await);
    let searched = stage.searched().await;
    assert!(searched.iter().all(|name| name.contains("-v1-")), "{searched:?}");
    assert_eq!(stage.indices().await.len(), 4, "old ones were to be kept");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilding_that_was_killed_goes_on_where_it_was() {
    let stage = Stage::new().await;
    stage.tenant(12_000).await;
    assert_rebuilt(&reindex(&stage, &[]).await);
    let env = stage.env();
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for (n, new) in ["v1-2026.10.2", "v1-2026.11.2"].iter().enumerate() {
        let mut child = command::spawn(&["reindex"], &env);
        let path = format!("{}-{new}/_count", stage.prefix);
        eventually("a new index is being filled", Duration::from_secs(30), async || {
            let found = stage.call(Method::GET, &path, Value::Null).await;
            found["count"].as_u64() > Some(0)
        })
        .await;
        child.kill().await.unwrap();
        assert_eq!(stage.found().await, stage.log().await, "killed {} times", n + 1);
    }
    let ended = reindex(&stage, &[]).await;
    assert_rebuilt(&ended);
    assert!(ended.stderr.contains("2026.10: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("was built before"), "{}", ended.stderr);
    assert_eq!(stage.found().await, stage.log().await);
    let mut indices = stage.indices().await;
    indices.sort();
    let expected = ["2026.10.2", "2026.11.2"].map(|month| format!("{}-v1-{month}", stage.prefix));
    assert_eq!(indices, expected, "nothing is begun twice, nothing left over");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_opensearch_is_killed_the_command_fails_and_goes_on_the_next_time() {
    let opensearch = OpenSearch::start().await;
    let stage = Stage::at(opensearch.url.clone()).await;
    stage.tenant(3_000).await;
    assert_rebuilt(&reindex(&stage, &[]).await);
    let new = format!("{}-v1-2026.10.2/_count", stage.prefix);
    let kill = async {
        eventually("a new index is being filled", Duration::from_secs(30), async || {
            stage.call(Method::GET, &new, Value::Null).await["count"].as_u64() > Some(0)
        })
        .await;
        let pid = opensearch.pid().await;
        pid.kill_if_there();
        eventually("OpenSearch is gone", Duration::from_secs(5), async || !pid.runs()).await;
    };
    let (ended, ()) = tokio::join!(reindex(&stage, &[]), kill);
    assert_eq!(ended.code, Some(1), "{ended:?}");

    opensearch.start_again().await;
    assert_eq!(stage.found().await, stage.log().await, "searched as if nothing had begun");
    assert_rebuilt(&reindex(&stage, &[]).await);
    assert_eq!(stage.found().await, stage.log().await);
    let mut indices = stage.indices().await;
    indices.sort();
    let expected = ["2026.10.2", "2026.11.2"].map(|month| format!("{}-v1-{month}", stage.prefix));
    assert_eq!(indices, expected, "nothing is begun twice, nothing left over");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_is_written_over_in_place_and_the_others_are_left_alone() {
    let stage = Stage::new().await;
    let [one, other] = [stage.tenant(120).await, stage.tenant(80).await];
    assert_rebuilt(&reindex(&stage, &[]).await);
    let before = stage.searched().await;
    let everything = json!({ "match_all": {} });
    assert_eq!(stage.change(everything, "ctx._source.action = 'FORGED'").await, 200);
    let ended = reindex(&stage, &["--tenant", &one.to_string(), "--from", "2026-10-01"]).await;
    assert_rebuilt(&ended);
    assert_eq!(stage.found().await, stage.log().await);
    let forged = json!({ "size": 0, "query": { "term": { "action": "FORGED" } },
        "aggs": { "tenants": { "terms": { "field": "tenant_id" } } } });
    let path = format!("{}/_search", stage.prefix);
    let forged = stage.call(Method::POST, &path, forged).await;
    let buckets = &forged["aggregations"]["tenants"]["buckets"];
    assert_eq!(buckets[0]["key"], other.to_string());
    assert_eq!((buckets[0]["doc_count"].as_u64(), buckets[1].is_null()), (Some(80), true));
    assert_eq!(stage.searched().await, before);

    // Some days of all.
    let ended = reindex(&stage, &["--from", "2026-11-02", "--to", "2026-11-04"]).await;
    assert_rebuilt(&ended);
    assert_eq!(stage.found().await, stage.log().await);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_rebuilt_is_said_with_its_exit_code() {
    let stage = Stage::new().await;
    let nobody = uuid::Uuid::now_v7().to_string();
    let ended = reindex(&stage, &["--tenant", &nobody]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("no such tenant"), "{ended:?}");
    let ended = reindex(&stage, &["--from", "2026-11-02", "--to", "2026-11-02"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let ended = reindex(&stage, &["--from", "yesterday"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let url = stage.db.url();
    let ended = command::run(&["reindex"], &[("AUDIT_DATABASE_URL", &url)]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("AUDIT_SEARCH_URL"), "{ended:?}");

    let mut session = stage.db.admin().await;
    assert!(api::store::indexing::take_reindex(&mut session).await.unwrap());
    let ended = reindex(&stage, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    stage.end().await;
}
