//! Walks over all pages give every entry once and in order, whatever goes on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::TenantId;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use time::macros::datetime;
use tokio::task::JoinSet;

use crate::support::app::TestApp;
use crate::support::history::{self, Past};
use crate::support::seeds::for_seeds;

/// Who insert while a walk is under way.
const WRITERS: usize = 32;

/// Walks all pages with changing limits, as long as what comes next has not expired; gives the
/// numbers and the head that was promised.
async fn walk(
    app: &TestApp,
    tenant_id: TenantId,
    order: &str,
    random: &mut StdRng,
    mut between: impl AsyncFnMut(usize),
) -> (Vec<i64>, i64) {
    let caller = app.caller(tenant_id, "auditor");
    let (mut seqs, mut cursor, mut head_seq) = (Vec::new(), String::new(), 0);
    for page in 0.. {
        let limit = random.random_range(1..200);
        let answer = caller.get(&format!("/logs?order={order}&limit={limit}{cursor}")).await;
        if answer.status == 410 {
            answer.assert_problem(410, "cursor_expired");
            break;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        let data = answer.body["data"].as_array().unwrap();
        seqs.extend(data.iter().map(|entry| entry["seq"].as_i64().unwrap()));
        head_seq = answer.body["head_seq"].as_i64().unwrap();
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        between(page).await;
    }
    (seqs, head_seq)
}

/// Fails unless these are all numbers of a range, once and in order.
#[track_caller]
fn assert_range(seqs: &[i64], from: i64, to: i64) {
    let wrong = seqs.iter().zip(from..).find(|(seq, expected)| *seq != expected);
    assert_eq!(wrong, None, "{} numbers", seqs.len());
    assert_eq!(seqs.last(), Some(&to), "{} numbers", seqs.len());
}

/// Keeps recording until it is told to stop.
fn keep_writing(app: &Arc<TestApp>, tenant_id: TenantId, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (app, stop) = (Arc::clone(app), Arc::clone(stop));
        writers.spawn(async move {
            let caller = app.caller(tenant_id, "user");
            while !stop.load(Ordering::Relaxed) {
                caller.record("WRITE").await;
            }
        });
    }
    writers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_while_32_writers_insert_gives_each_settled_entry_once_in_order() {
    for_seeds("walk under writers", 10, Duration::from_secs(8), async |seed| {
        let mut random = StdRng::seed_from_u64(seed);
        let app = Arc::new(TestApp::start().await);
        let tenant_id = app.tenant().await;
        let mut admin = app.db.admin().await;
        history::make_room(&mut admin).await;
        let (from, to) = (datetime!(2024-01-01 0:00 UTC), datetime!(2024-03-01 0:00 UTC));
        history::spread(&mut admin, tenant_id, 4_000, from, to).await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = keep_writing(&app, tenant_id, &stop);
        for order in ["asc", "desc"] {
            let (mut seqs, head_seq) =
                walk(&app, tenant_id, order, &mut random, async |_| {}).await;
            if order == "desc" {
                seqs.reverse();
            }
            assert!(head_seq >= 4_000);
            assert_range(&seqs, 1, head_seq);
        }
        stop.store(true, Ordering::Relaxed);
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_across_an_expiry_gives_what_is_left_or_says_what_is_gone() {
    for_seeds("walk across an expiry", 20, Duration::from_secs(8), async |seed| {
        let mut random = StdRng::seed_from_u64(seed);
        let app = TestApp::start().await;
        let tenant_id = app.tenant().await;
        let mut admin = app.db.admin().await;
        history::make_room(&mut admin).await;
        let begin = datetime!(2024-01-01 0:00 UTC);
        let past: Vec<Past> =
            (0..1_000).map(|n| Past::at(begin + Duration::from_secs(n * 3_600))).collect();
        history::write(&mut admin, tenant_id, &past).await;
        let (moved_after, erased) = (random.random_range(1..8), random.random_bool(0.5));
        let day = begin.date() + time::Duration::days(random.random_range(1..20));
        let (mut down, _) = walk(&app, tenant_id, "desc", &mut random, async |page| {
            if page == moved_after {
                let mut admin = app.db.admin().await;
                history::move_floor(&mut admin, tenant_id, day).await;
                if erased {
                    history::erase(&mut admin, tenant_id).await;
                }
            }
        })
        .await;
        let floor_seq = (day - begin.date()).whole_days() * 24 + 1;
        down.reverse();
        let from = down.first().copied().unwrap();
        assert!(from <= floor_seq, "nothing that is left is missing");
        assert_range(&down, from, 1_000);
        // Should the walk have had too few pages to see it.
        history::move_floor(&mut admin, tenant_id, day).await;
        let (up, _) = walk(&app, tenant_id, "asc", &mut random, async |_| {}).await;
        assert_range(&up, floor_seq, 1_000);
    })
    .await;
}

/// Rows vanish while pages are made of them, day after day.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_expiry_overtakes_is_whole() {
    const DAYS: i64 = 120;
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut admin = app.db.admin().await;
    history::make_room(&mut admin).await;
    let begin = datetime!(2024-01-01 0:00 UTC);
    let end = begin + time::Duration::days(DAYS);
    history::spread(&mut admin, tenant_id, DAYS * 200, begin, end).await;
    let expiring = async {
        for day in 1..DAYS {
            let day = begin.date() + time::Duration::days(day);
            history::move_floor(&mut admin, tenant_id, day).await;
            history::erase(&mut admin, tenant_id).await;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    let caller = app.caller(tenant_id, "auditor");
    let reading = async {
        let mut pages = 0;
        loop {
            // A filter that all pass takes another way through the log.
            let filter = if pages % 2 == 0 { "" } else { "&resource_type=invoice" };
            let answer = caller.get(&format!("/logs?order=asc&limit=1000{filter}")).await;
            if answer.status == 503 {
                // Three times in a row: that is said, too.
                answer.assert_problem(503, "log_busy");
                continue;
            }
            assert_eq!(answer.status, 200, "{answer:?}");
            let floor_seq = answer.body["floor_seq"].as_i64().unwrap();
            let data = answer.body["data"].as_array().unwrap();
            let seqs: Vec<i64> = data.iter().map(|entry| entry["seq"].as_i64().unwrap()).collect();
            let last = (floor_seq + 999).min(DAYS * 200);
            assert_range(&seqs, floor_seq, last);
            pages += 1;
            if floor_seq > (DAYS - 2) * 200 {
                return pages;
            }
        }
    };
    let ((), pages) = tokio::join!(expiring, reading);
    assert!(pages > 10, "{pages} pages are too few to be overtaken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_after_a_restart() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    for _ in 0..10 {
        caller.record("WRITE").await;
    }
    let first = app.caller(tenant_id, "auditor").get("/logs?order=asc&limit=4").await;
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let db = app.db.clone();
    app.stop().await.unwrap();
    let app = TestApp::start_with(db, &[]).await;
    let rest =
        app.caller(tenant_id, "auditor").get(&format!("/logs?order=asc&cursor={cursor}")).await;
    let seqs: Vec<_> =
        rest.body["data"].as_array().unwrap().iter().map(|e| e["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, [5, 6, 7, 8, 9, 10]);
    assert_eq!(rest.body["next_cursor"], serde_json::Value::Null, "traces of reading come after");
}
