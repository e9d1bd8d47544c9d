//! Sends that fail: as a whole, for some messages, for good, without an answer.

use std::time::Duration;

use domain::TenantId;
use serde_json::json;

use super::{Running, assert_whole, cursor, record, record_with, until_all_sent};
use crate::support::app::TestApp;
use crate::support::eventually;
use crate::support::queue::{FakeQueue, Plan, ids};

const PATIENCE: Duration = Duration::from_secs(30);

async fn logs(app: &TestApp, entries: &[usize]) -> Vec<TenantId> {
    let mut tenants = Vec::new();
    for entries in entries {
        let tenant_id = app.tenant().await;
        record(app, tenant_id, *entries).await;
        tenants.push(tenant_id);
    }
    tenants
}

/// Of five sends one fails as a whole, two in part, and one is taken while the answer says that it is
/// not; which ones is left to chance, or a log could always meet the same.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_skipped_when_sends_fail_in_every_way() {
    let app = TestApp::start().await;
    let tenants = logs(&app, &[3_000, 1, 900, 40]).await;
    let some = tenants[2].to_string();
    let queue = FakeQueue::new(move |_| match rand::random_range(0..5) {
        0 => Plan::Take,
        1 => Plan::Fail,
        2 => Plan::Lie,
        _ => Plan::Refuse { text: some.clone(), for_good: false },
    });
    let relay = Running::start(&app.db, &queue);
    until_all_sent(&app.db, &tenants, PATIENCE).await;
    relay.stop().await;
    assert_whole(&app.db, &tenants, &queue.taken()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_never_stands_on_what_was_not_sent() {
    let app = TestApp::start().await;
    let tenants = logs(&app, &[2_000, 500]).await;
    // Of the first log, every message from some entry on is refused.
    let mut admin = app.db.admin().await;
    let marked = record_with(&app, tenants[0], 1, &json!({ "message": "planted" })).await;
    record(&app, tenants[0], 1_500).await;
    let queue = FakeQueue::new(|_| Plan::Refuse { text: "planted".to_owned(), for_good: false });
    let relay = Running::start(&app.db, &queue);
    until_all_sent(&app.db, &tenants[1..], PATIENCE).await;
    eventually("it was tried twice", PATIENCE, async || queue.sends() > 8).await;
    let (seq, _) = cursor(&mut admin, tenants[0]).await.unwrap();
    assert!((1..=2_000).contains(&seq), "{seq}");
    assert!(ids(&queue.taken()).is_disjoint(&marked));
    queue.change(|_| Plan::Take);
    until_all_sent(&app.db, &tenants, PATIENCE).await;
    relay.stop().await;
    assert_whole(&app.db, &tenants, &queue.taken()).await;
}

/// A message that can never be sent is a defect of ours; it must not take other logs along.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_the_queue_never_takes_holds_up_its_own_log_alone() {
    let app = TestApp::start().await;
    let tenants = logs(&app, &[5, 5, 5, 5, 5, 5]).await;
    record_with(&app, tenants[3], 1, &json!({ "message": "planted" })).await;
    record(&app, tenants[3], 5).await;
    let queue = FakeQueue::new(|_| Plan::Refuse { text: "planted".to_owned(), for_good: true });
    let relay = Running::start(&app.db, &queue);
    let others: Vec<TenantId> =
        tenants.iter().copied().filter(|tenant_id| *tenant_id != tenants[3]).collect();
    until_all_sent(&app.db, &others, PATIENCE).await;
    let mut admin = app.db.admin().await;
    eventually("its own log goes up to it", PATIENCE, async || {
        let mut admin = app.db.admin().await;
        cursor(&mut admin, tenants[3]).await == Some((5, true))
    })
    .await;
    // Also those that come later.
    record(&app, others[0], 3).await;
    relay.bell.ring(others[..1].iter().copied());
    until_all_sent(&app.db, &others, PATIENCE).await;
    assert_eq!(cursor(&mut admin, tenants[3]).await, Some((5, true)));
    relay.stop().await;
}

/// As throttling, or a queue that is gone: nothing is taken, then all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_takes_nothing_for_a_while_gets_everything_afterwards() {
    let app = TestApp::start().await;
    let tenants = logs(&app, &[1_200, 30]).await;
    let queue = FakeQueue::new(|_| Plan::Fail);
    let relay = Running::start(&app.db, &queue);
    eventually("it is tried", PATIENCE, async || queue.sends() >= 3).await;
    let before = queue.sends();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tries = queue.sends() - before;
    assert!((1..80).contains(&tries), "{tries} sends in two seconds to a queue that is away");
    assert_eq!(queue.taken(), Vec::<String>::new());
    queue.change(|_| Plan::Take);
    until_all_sent(&app.db, &tenants, PATIENCE).await;
    relay.stop().await;
    assert_whole(&app.db, &tenants, &queue.taken()).await;
}

/// The queue never answers, the replica is killed: another one takes over when the lease is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ran_out_is_taken_over() {
    let app = TestApp::start().await;
    let tenants = logs(&app, &[300, 2]).await;
    let hanging = FakeQueue::new(|_| Plan::Hang);
    let first = Running::start(&app.db, &hanging);
    eventually("it sends", PATIENCE, async || hanging.sends() > 0).await;
    first.kill().await;

    let queue = FakeQueue::new(|_| Plan::Take);
    let second = Running::start(&app.db, &queue);
    let begun = std::time::Instant::now();
    until_all_sent(&app.db, &tenants, PATIENCE).await;
    assert!(
        begun.elapsed() > Duration::from_secs(5),
        "the lease was heeded: {:?}",
        begun.elapsed()
    );
    second.stop().await;
    assert_whole(&app.db, &tenants, &queue.taken()).await;
}

/// Who lost the lease meanwhile moves nothing back, and gives away nothing of somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_somebody_else_has_moved_stays() {
    let app = TestApp::start().await;
    let tenants = logs(&app, &[10]).await;
    let mut admin = app.db.admin().await;
    let slow = FakeQueue::new(|_| Plan::Dawdle);
    let relay = Running::start(&app.db, &slow);
    eventually("it sends", PATIENCE, async || slow.sends() > 0).await;
    // Meanwhile another replica has taken over, sent all of it and five more.
    record(&app, tenants[0], 5).await;
    let taken_over = sqlx::query(
        "update log_cursor c
         set leased_by = gen_random_uuid(),
            leased_until = clock_timestamp() + interval '1 hour',
            seq = h.seq,
            recorded_at = h.recorded_at
         from log_head h
         where h.tenant_id = c.tenant_id and c.consumer = 'relay'",
    );
    taken_over.execute(&mut admin).await.unwrap();
    eventually("what it sent has arrived", PATIENCE, async || !slow.taken().is_empty()).await;
    relay.stop().await;
    assert_eq!(ids(&slow.taken()).len(), 10);
    assert_eq!(cursor(&mut admin, tenants[0]).await, Some((15, true)));
    let leased: i64 = sqlx::query_scalar("select count(leased_by) from log_cursor")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(leased, 1, "the other replica still has it");
}
