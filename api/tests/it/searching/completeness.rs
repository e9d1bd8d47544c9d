//! The index is used as far as it holds the log, which is counted, and no further.

use std::sync::Mutex;
use std::time::Duration;

use domain::TenantId;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::{Walked, fruit, record_all, seqs, walk, whole};
use crate::support::app::{Caller, TestApp};
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::index::{TestIndex, entries};
use crate::support::seeds::{for_seeds, soak};

/// Longer than any count is remembered.
const PATIENCE: Duration = Duration::from_secs(10);

/// A log, and as much of it in the index as nobody but the test changes.
struct Scene {
    index: TestIndex,
    app: TestApp,
    tenant_id: TenantId,
}

impl Scene {
    async fn set(entries: usize, indexed: i64) -> Self {
        let index = TestIndex::new().await;
        let app = TestApp::start_with(TestDb::unrepaired().await, &index.flags()).await;
        let tenant_id = app.tenant().await;
        record_all(&app, tenant_id, &(1..=entries).map(fruit).collect::<Vec<_>>()).await;
        index.fill(&app, tenant_id, 1, indexed).await;
        Self { index, app, tenant_id }
    }
}

/// As if all below had expired.
async fn move_floor(app: &TestApp, tenant_id: TenantId, seq: i64) {
    sqlx::query("update log_floor set floor_seq = $2 where tenant_id = $1")
        .bind(tenant_id.as_uuid())
        .bind(seq)
        .execute(&mut app.db.admin().await)
        .await
        .unwrap();
}

async fn until_complete(caller: &Caller<'_>, complete: bool) {
    eventually(&format!("complete is {complete}"), PATIENCE, || async {
        caller.get("/logs/search?limit=1").await.body["index"]["complete"] == complete
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_has_lost_is_found_in_the_log() {
    let Scene { index, app, tenant_id } = Scene::set(300, 300).await;
    let caller = app.caller(tenant_id, "auditor");
    until_complete(&caller, true).await;
    let ask = "/logs/search?q=pear&limit=1000&facets=action";
    let before = whole(&caller, ask, Some(300)).await;
    assert_eq!(before.body["source"], "opensearch");
    for seq in [150, 3, 300] {
        index.lose(json!({ "term": { "seq": seq } })).await;
        until_complete(&caller, false).await;
        let after = whole(&caller, ask, Some(299)).await;
        for part in ["data", "total", "facets"] {
            assert_eq!(after.body[part], before.body[part], "{seq} {part}");
        }
        let relevant = "/logs/search?q=pear&limit=1000&sort=relevance";
        let relevant = whole(&caller, relevant, Some(299)).await;
        assert_eq!(seqs(&relevant).len(), 100);
        index.fill(&app, tenant_id, seq, seq).await;
        until_complete(&caller, true).await;
    }
    assert_eq!(caller.get(ask).await.body["source"], "opensearch");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_the_log_does_not_have_are_seen_and_never_shown() {
    let Scene { index, app, tenant_id } = Scene::set(50, 0).await;
    let all = entries(&app, tenant_id).await;
    let caller = app.caller(tenant_id, "auditor");
    // As a failover leaves it: the number is used again, at another time.
    let mut foreign = all[29].clone();
    foreign["recorded_at"] = json!("2026-01-01T00:00:00.000Z");
    foreign["message"] = json!("pear from another history");
    let place = domain::Place {
        recorded_at: domain::Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
        seq: domain::Seq::new(30).unwrap(),
    };
    foreign["id"] = json!(domain::EntryId::of(place, tenant_id).to_string());
    index.bring(tenant_id, &all).await;
    index.bring(tenant_id, &[foreign.clone()]).await;
    until_complete(&caller, false).await;
    for sort in ["newest", "relevance"] {
        let ask = format!("/logs/search?q=pear&sort={sort}");
        let found = whole(&caller, &ask, Some(51)).await;
        assert_eq!(seqs(&found).len(), 16, "{found:?}");
        assert!(!found.text.contains("another history"));
        assert_eq!(found.body["total"]["value"], 16, "{found:?}");
        let counts = json!({ "expected": 50, "indexed": 51, "complete": false });
        assert_eq!(found.body["index"], counts);
    }
    // In place of the right one: the count is right, the entry is not there.
    index.lose(json!({ "ids": { "values": [all[29]["id"]] } })).await;
    until_complete(&caller, true).await;
    let found = whole(&caller, "/logs/search?q=pear", None).await;
    assert!(seqs(&found).contains(&30), "{found:?}");
    assert!(!found.text.contains("another history"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_not_found_even_while_the_index_has_it() {
    let Scene { index: _index, app, tenant_id } = Scene::set(60, 60).await;
    let caller = app.caller(tenant_id, "auditor");
    until_complete(&caller, true).await;
    let cursors = ["newest", "relevance"].map(async |sort| {
        let first = caller.get(&format!("/logs/search?q=pear&sort={sort}&limit=3")).await;
        first.body["next_cursor"].as_str().unwrap().to_owned()
    });
    let [newest, relevance] = cursors;
    let (newest, relevance) = (newest.await, relevance.await);
    move_floor(&app, tenant_id, 41).await;
    for sort in ["newest", "relevance"] {
        let ask = format!("/logs/search?q=pear&sort={sort}&facets=action");
        let found = whole(&caller, &ask, Some(20)).await;
        let mut left = seqs(&found);
        left.sort_unstable();
        assert_eq!(left, [42, 45, 48, 51, 54, 57, 60]);
        assert_eq!(found.body["total"], json!({ "value": 7, "exact": true }));
        let facet = json!([{ "value": "UPDATE", "count": 5 }, { "value": "VIEW", "count": 2 }]);
        assert_eq!(found.body["facets"]["action"], facet);
        let counts = json!({ "expected": 20, "indexed": 20, "complete": true });
        assert_eq!(found.body["index"], counts, "{found:?}");
    }
    for (sort, cursor) in [("newest", newest), ("relevance", relevance)] {
        let ask = format!("/logs/search?q=pear&sort={sort}&cursor={cursor}");
        let rest = seqs(&caller.get(&ask).await);
        assert!(rest.iter().all(|seq| *seq >= 41), "{sort}: {rest:?}");
    }
    // All of it.
    move_floor(&app, tenant_id, 61).await;
    let found = caller.get("/logs/search?q=pear").await;
    assert_eq!((seqs(&found).len(), &found.body["total"]["value"]), (0, &json!(0)));
}

/// Searches for so long that the log has been counted a few times: whoever rests is taken to rest on.
async fn rest(caller: &Caller<'_>) {
    for _ in 0..10 {
        caller.get("/logs/search?q=pear").await;
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_rested_shows_at_once_what_comes_and_what_goes() {
    let Scene { index, app, tenant_id } = Scene::set(60, 60).await;
    let caller = app.caller(tenant_id, "auditor");
    until_complete(&caller, true).await;
    for seq in 61..=63 {
        rest(&caller).await;
        record_all(&app, tenant_id, &[fruit(3)]).await;
        for sort in ["newest", "relevance"] {
            let ask = format!("/logs/search?q=pear&sort={sort}&limit=100&facets=action");
            let found = caller.get(&ask).await;
            assert!(seqs(&found).contains(&seq), "{sort}: {found:?}");
            assert_eq!(found.body["head_seq"], seq);
            assert_eq!(found.body["total"]["value"], seq - 40);
        }
        index.fill(&app, tenant_id, seq, seq).await;
        until_complete(&caller, true).await;
    }
    rest(&caller).await;
    move_floor(&app, tenant_id, 41).await;
    let found = caller.get("/logs/search?q=pear").await;
    assert!(seqs(&found).iter().all(|seq| *seq >= 41), "{found:?}");
    assert_eq!((&found.body["floor_seq"], &found.body["total"]["value"]), (&json!(41), &json!(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_starts_takes_up_the_mark_that_another_has_kept() {
    let Scene { index, app, tenant_id } = Scene::set(40, 30).await;
    let caller = app.caller(tenant_id, "auditor");
    let stored = async || -> Option<i64> {
        sqlx::query_scalar("select seq from index_mark where tenant_id = $1")
            .bind(tenant_id.as_uuid())
            .fetch_optional(&mut app.db.admin().await)
            .await
            .unwrap()
    };
    eventually("the mark is kept", PATIENCE * 2, || async {
        caller.get("/logs/search?q=pear").await;
        stored().await == Some(30)
    })
    .await;
    // A wrong one does no harm.
    sqlx::query("update index_mark set seq = 40 where tenant_id = $1")
        .bind(tenant_id.as_uuid())
        .execute(&mut app.db.admin().await)
        .await
        .unwrap();
    let another = TestApp::start_with(app.db.clone(), &index.flags()).await;
    let reader = another.caller(tenant_id, "auditor");
    let found = whole(&reader, "/logs/search?q=pear", Some(30)).await;
    assert_eq!(seqs(&found).len(), 13, "{found:?}");
}

/// Walks while entries come in and the index catches up, in leaps and not in order.
async fn walk_while_all_moves(sort: &str, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let first = random.random_range(50..400);
    let mut indexed = random.random_range(0..=first) as i64;
    let Scene { index, app, tenant_id } = Scene::set(first, indexed).await;
    let caller = app.caller(tenant_id, "auditor");
    let question = format!("q=pear+OR+apple&sort={sort}");
    let limits = Mutex::new(StdRng::seed_from_u64(seed ^ 1));
    let limit = || limits.lock().unwrap().random_range(1..60);
    let (mut head, mut pages) = (first, 0);
    let between = async || {
        pages += 1;
        if pages % 3 == 1 {
            let more: Vec<Value> =
                (1..=random.random_range(1..30)).map(|n| fruit(head + n)).collect();
            record_all(&app, tenant_id, &more).await;
            head += more.len();
        }
        if random.random_bool(0.5) {
            let to = random.random_range(indexed..=head as i64);
            index.fill(&app, tenant_id, indexed + 1, to).await;
            indexed = to;
        }
    };
    let Walked { seqs: found, sources, .. } = walk(&caller, &question, limit, between).await;
    let mut sorted = found.clone();
    sorted.sort_unstable();
    let expected: Vec<i64> = (1..=first as i64).filter(|n| n % 3 == 0 || n % 2 == 0).collect();
    assert_eq!(sorted, expected, "{sort}: {found:?} by {sources:?}");
    if sort == "newest" {
        assert!(found.is_sorted_by(|one, other| one > other));
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_neither_repeat_nor_skip_while_entries_come_and_the_index_catches_up() {
    let (seeds, time) = (if soak() { 100 } else { 8 }, Duration::from_secs(25));
    for_seeds("a search while all moves", seeds, time, async |seed| {
        for sort in ["newest", "relevance"] {
            walk_while_all_moves(sort, seed).await;
        }
    })
    .await;
}
