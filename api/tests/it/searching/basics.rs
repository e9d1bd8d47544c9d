//! What a search asks and answers, from the log and from the index alike.

use std::time::Duration;

use futures_util::future::join_all;
use search::Shape;
use serde_json::json;

use super::{fruit, record_all, seqs, walk, whole};
use crate::support::app::{Caller, TestApp};
use crate::support::database::TestDb;
use crate::support::index::{TestIndex, entries};

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_found_right_after_its_201() {
    let index = TestIndex::new().await;
    for app in [
        TestApp::start().await,
        TestApp::start_with(TestDb::unrepaired().await, &index.flags()).await,
    ] {
        let tenant_id = app.tenant().await;
        let caller = app.caller(tenant_id, "user");
        for n in 0..20 {
            let answer = caller.post_entry(json!({ "message": format!("needle{n} here") })).await;
            let id = answer.created().body["id"].clone();
            let found = caller.get(&format!("/logs/search?q=needle{n}&highlight=true")).await;
            assert_eq!(found.status, 200, "{found:?}");
            assert_eq!(found.body["data"][0]["id"], id, "{found:?}");
            assert_eq!(found.body["total"], json!({ "value": 1, "exact": true }));
            assert_eq!(found.body["source"], "log");
            let highlight = &found.body["highlights"][id.as_str().unwrap()][0];
            assert_eq!(highlight["field"], "message");
            assert_eq!(highlight["ranges"], json!([[0, format!("needle{n}").len()]]));
        }
        app.stop().await.unwrap();
    }
}

/// Where the log answers alone, and more than the newest entries are to be looked at for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_total_is_exact_however_short_the_page() {
    let index = TestIndex::new().await;
    let plain = TestApp::start().await;
    let empty = TestApp::start_with(TestDb::unrepaired().await, &index.flags()).await;
    for (app, entries) in [(&plain, 3_000), (&empty, 300)] {
        let tenant_id = app.tenant().await;
        let fruits: Vec<_> = (1..=entries).map(fruit).collect();
        record_all(app, tenant_id, &fruits).await;
        let caller = app.caller(tenant_id, "user");
        for question in ["q=number", "q=number&facets=action", "sort=relevance"] {
            let found = caller.get(&format!("/logs/search?{question}&limit=5")).await;
            let total = json!({ "value": entries, "exact": true });
            assert_eq!(found.body["total"], total, "{question}");
            assert_eq!(found.body["source"], "log");
        }
        // Several at a time, too: they wait for each other.
        let asking = (0..3).map(|_| caller.get("/logs/search?q=number&facets=action&limit=5"));
        for found in join_all(asking).await {
            let counts = found.body["facets"]["action"].as_array().unwrap().iter();
            let counted: u64 = counts.map(|value| value["count"].as_u64().unwrap()).sum();
            assert_eq!(counted, entries as u64, "{found:?}");
        }
    }
}

/// A tenant lies on two of them.
const SEVERAL_SHARDS: Shape = Shape { shards: 5, replicas: None, refresh: Duration::from_secs(1) };

#[tokio::test(flavor = "multi_thread")]
async fn log_index_and_both_together_answer_alike() {
    assert_alike(TestIndex::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_and_an_index_of_several_shards_answer_alike() {
    assert_alike(TestIndex::of_shape(SEVERAL_SHARDS).await).await;
}

/// Flags for a service that waits for an index on a busy machine: the log is not to answer for it.
fn patient(index: &TestIndex) -> Vec<&str> {
    [&index.flags()[..], &["--search-timeout-ms", "10000"]].concat()
}

async fn assert_alike(index: TestIndex) {
    let indexed = TestApp::start_with(TestDb::unrepaired().await, &patient(&index)).await;
    let plain = TestApp::start_with(indexed.db.clone(), &[]).await;
    let tenant_id = indexed.tenant().await;
    let fruits: Vec<_> = (1..=300).map(fruit).collect();
    record_all(&indexed, tenant_id, &fruits).await;
    let all = entries(&indexed, tenant_id).await;
    let questions = [
        "q=pear",
        "q=pear+-apple",
        "q=%22apple+apple%22&severity=ERROR",
        "q=metadata.basket.kind:pear&action=VIEW",
        "severity_min=WARNING",
        "q=resource_id:plum-100",
        "q=nothing",
    ];
    for upto in [0, 1, 150, 299, 300] {
        index.bring(tenant_id, &all[..upto]).await;
        for question in questions {
            let by_index = indexed.caller(tenant_id, "auditor");
            let by_log = plain.caller(tenant_id, "auditor");
            let facets = "&facets=action,severity,resource_type,user_id";
            let ask = format!("/logs/search?{question}{facets}&limit=1000");
            let one = whole(&by_index, &ask, Some(upto)).await;
            let other = whole(&by_log, &ask, None).await;
            assert_eq!(one.body["data"], other.body["data"], "{question} {upto}");
            assert_eq!(one.body["total"], other.body["total"], "{question} {upto}");
            assert_eq!(one.body["facets"], other.body["facets"], "{question} {upto}");
            assert_eq!(other.body["source"], "log");
            let source = if upto == 0 { "log" } else { "opensearch" };
            assert_eq!(one.body["source"], source, "{upto}: {one:?}");
            let complete = json!({ "expected": 300, "indexed": upto, "complete": upto == 300 });
            assert_eq!(one.body["index"], complete, "{question}");
            let nulls = json!({ "expected": null, "indexed": null, "complete": null });
            assert_eq!(other.body["index"], nulls);
            let walked = walk(&by_index, question, || 7, async || {}).await.seqs;
            assert_eq!(walked, seqs(&one), "{question} {upto}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_matches_come_first_and_pages_agree_with_one_long_page() {
    for shape in [Shape::default(), SEVERAL_SHARDS] {
        assert_best_first(TestIndex::of_shape(shape).await).await;
    }
}

/// Goes through all pages of a ranking whose first look at the log was not cut short: what it had
/// not come to would be ranked by itself.
async fn walk_one_window(caller: &Caller<'_>, question: &str, limit: usize) -> Vec<i64> {
    for _ in 0..20 {
        let walked = walk(caller, question, || limit, async || {}).await;
        if walked.is_exact[0] {
            return walked.seqs;
        }
    }
    panic!("each first page of {question} was cut short");
}

async fn assert_best_first(index: TestIndex) {
    let app = TestApp::start_with(TestDb::unrepaired().await, &patient(&index)).await;
    let tenant_id = app.tenant().await;
    let fruits: Vec<_> = (1..=200).map(fruit).collect();
    record_all(&app, tenant_id, &fruits).await;
    let caller = app.caller(tenant_id, "user");
    let question = "q=pear+OR+resource_id:plum-100+OR+apple&sort=relevance";
    for upto in [0, 120, 200] {
        index.fill(&app, tenant_id, 1, i64::try_from(upto).unwrap()).await;
        let ask = format!("/logs/search?{question}&limit=1000");
        // What the first has counted, the next one goes by.
        whole(&caller, &ask, Some(upto)).await;
        let long = seqs(&whole(&caller, &ask, Some(upto)).await);
        let mut sorted = long.clone();
        sorted.sort_unstable();
        let expected: Vec<i64> = (1..=200).filter(|n| n % 3 == 0 || n % 2 == 0).collect();
        assert_eq!(sorted, expected, "{upto}");
        for limit in [1, 7, 64] {
            let walked = walk_one_window(&caller, question, limit).await;
            assert_eq!(walked, long, "{upto} {limit}");
        }
        if upto != 120 {
            let (both, one) = long.split_at(200 / 6);
            assert!(both.iter().all(|n| n % 6 == 0), "what has both words: {long:?}");
            assert!(one.contains(&100) && one.iter().all(|n| n % 6 != 0), "{long:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_search_is_said_by_name() {
    let app = TestApp::shared().await;
    let caller = app.caller(app.tenant().await, "user");
    let answer = caller.get("/logs/search?q=%22open").await;
    answer.assert_problem(400, "invalid_query");
    assert!(answer.body["detail"].as_str().unwrap().starts_with("column 1: "), "{answer:?}");
    for (query, code) in [
        ("q=", "invalid_parameter"),
        ("q=a&q=b", "invalid_parameter"),
        ("sort=oldest", "invalid_parameter"),
        ("facets=message", "invalid_parameter"),
        ("facets=action,action", "invalid_parameter"),
        ("highlight=yes", "invalid_parameter"),
        ("limit=1001", "invalid_parameter"),
        ("order=asc", "unknown_parameter"),
        ("routing=a", "unknown_parameter"),
        ("cursor=AAAA", "invalid_cursor"),
    ] {
        let answer = caller.get(&format!("/logs/search?{query}")).await;
        answer.assert_problem(400, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_goes_with_its_tenant_and_its_words_alone() {
    let app = TestApp::shared().await;
    let (tenant_id, other) = (app.tenant().await, app.tenant().await);
    for tenant_id in [tenant_id, other] {
        record_all(app, tenant_id, &(1..=10).map(fruit).collect::<Vec<_>>()).await;
    }
    let caller = app.caller(tenant_id, "user");
    for sort in ["newest", "relevance"] {
        let first = caller.get(&format!("/logs/search?q=apple&sort={sort}&limit=2")).await;
        let cursor = first.body["next_cursor"].as_str().unwrap().to_owned();
        let link = first.headers["link"].to_str().unwrap();
        assert!(link.contains("/api/v1/logs/search?q=apple") && link.contains(&cursor), "{link}");
        let same =
            format!("/logs/search?q=apple&sort={sort}&limit=9&highlight=true&cursor={cursor}");
        assert_eq!(seqs(&caller.get(&same).await).len(), 3);
        app.caller(other, "user").get(&same).await.assert_problem(400, "invalid_cursor");
        let another = if sort == "newest" { "relevance" } else { "newest" };
        for query in [
            format!("/logs/search?q=apples&sort={sort}&cursor={cursor}"),
            format!("/logs/search?q=apple&sort={another}&cursor={cursor}"),
            format!("/logs/search?q=apple&sort={sort}&action=VIEW&cursor={cursor}"),
            format!("/logs?cursor={cursor}"),
            format!(
                "/logs/search?q=apple&sort={sort}&cursor={}",
                first.body["live_cursor"].as_str().unwrap()
            ),
        ] {
            caller.get(&query).await.assert_problem(400, "invalid_cursor");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_has_an_empty_page() {
    let index = TestIndex::new().await;
    let app = TestApp::start_with(TestDb::unrepaired().await, &index.flags()).await;
    let caller = app.caller(app.tenant().await, "user");
    for sort in ["newest", "relevance"] {
        let answer = caller.get(&format!("/logs/search?q=a&sort={sort}&facets=action")).await;
        assert_eq!(seqs(&answer), [] as [i64; 0]);
        assert_eq!(answer.body["next_cursor"], json!(null));
        assert_eq!(answer.body["total"], json!({ "value": 0, "exact": true }));
        assert_eq!(answer.body["facets"], json!({ "action": [] }));
        assert_eq!(answer.body["head_seq"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_leaves_a_trace_with_its_words_and_its_filter() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    record_all(&app, tenant_id, &(1..=30).map(fruit).collect::<Vec<_>>()).await;
    let caller = app.caller(tenant_id, "user");
    for limit in [1, 2] {
        caller.get(&format!("/logs/search?q=pear+-cherry&action=VIEW&limit={limit}")).await;
    }
    let db = app.db.clone();
    app.stop().await.unwrap();
    let told: Vec<String> = sqlx::query_scalar(
        "select metadata::text from audit_log where tenant_id = $1 and action = 'log.read'",
    )
    .bind(tenant_id.as_uuid())
    .fetch_all(&mut db.admin().await)
    .await
    .unwrap();
    let [told] = &told[..] else { panic!("one trace: {told:?}") };
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    assert_eq!(told["route"], "GET /logs/search");
    assert_eq!(told["filter"], json!({ "q": "pear -cherry", "action": ["VIEW"] }));
    assert_eq!((&told["requests"], &told["entries"]), (&json!(2), &json!(2)), "one matches");
}

/// Each would look at all of the log; only some may at a time.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_searches_a_long_log_is_answered_in_short_pages_and_misses_nothing() {
    const ENTRIES: usize = 8_000;
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    record_all(app, tenant_id, &(1..=ENTRIES).map(fruit).collect::<Vec<_>>()).await;
    let crowd = 8 + 2 * std::thread::available_parallelism().unwrap().get();
    let walks = join_all((1..=crowd).map(|n| async move {
        let caller = app.caller(tenant_id, "user");
        let walked = walk(&caller, &format!("q=%22number%20{n}%22"), || 5, async || {}).await;
        assert_eq!(walked.seqs, [i64::try_from(n).unwrap()]);
        walked.sources.len()
    }));
    let pages = walks.await;
    assert!(pages.iter().any(|pages| *pages > 1), "nobody had to make do with less");
    assert!(pages.iter().all(|pages| *pages <= ENTRIES / 2_000 + 1), "{pages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_takes_the_words_of_a_search() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    record_all(&app, tenant_id, &(1..=5_000).map(fruit).collect::<Vec<_>>()).await;
    let caller = app.caller(tenant_id, "admin");
    for filter in ["q=pear+-apple", "q=pear+-apple&action=VIEW"] {
        let mut found = walk(&caller, filter, || 1_000, async || {}).await.seqs;
        found.retain(|seq| *seq <= 5_000);
        found.reverse();
        assert!(found.len() > 100);
        let whole = caller.get(&format!("/logs/export?{filter}")).await;
        let exported: Vec<i64> = numbers(&whole.body);
        assert_eq!(exported, found, "{filter}");
        let part = caller.get(&format!("/logs/export?{filter}&max_entries=7")).await;
        assert_eq!(numbers(&part.body), found[..7]);
        let last = part.body[6]["id"].as_str().unwrap();
        let rest = caller.get(&format!("/logs/export?{filter}&cursor={last}")).await;
        assert_eq!(numbers(&rest.body), found[7..]);
    }
    let begun = caller.get("/logs?action=export.begun&order=asc&limit=1").await;
    let filter = &begun.body["data"][0]["metadata"]["filter"];
    assert_eq!(*filter, json!({ "q": "pear -apple" }));
    // A cursor of the same filter without the words is another one's.
    let list = caller.get("/logs?action=VIEW&order=asc&limit=1").await;
    let cursor = list.body["next_cursor"].as_str().unwrap();
    let same = format!("/logs/export?action=VIEW&cursor={cursor}");
    assert_eq!(caller.get(&same).await.status, 200);
    let other = caller.get(&format!("{same}&q=pear")).await;
    other.assert_problem(400, "invalid_cursor");
    caller.get("/logs/export?q=(").await.assert_problem(400, "invalid_query");
}

/// The entries' numbers, without those that tell of the export itself.
fn numbers(exported: &serde_json::Value) -> Vec<i64> {
    let seqs = exported.as_array().unwrap().iter().map(|entry| entry["seq"].as_i64().unwrap());
    seqs.filter(|seq| *seq <= 5_000).collect()
}
