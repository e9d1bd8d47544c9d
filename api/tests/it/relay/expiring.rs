//! The relay's cursors and the end of entries.

use std::time::Duration;

use super::{Running, cursor, record, store, until_all_sent};
use crate::support::app::{TestApp, entry};
use crate::support::database::run;
use crate::support::old_log;
use crate::support::queue::{FakeQueue, Plan, places};
use crate::support::{eventually, past};

const PATIENCE: Duration = Duration::from_secs(20);

async fn holding(app: &TestApp) -> Vec<bool> {
    sqlx::query_scalar("select holds_expiry from log_cursor where consumer = 'relay'")
        .fetch_all(&mut app.db.admin().await)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_hold_expiry_while_there_is_a_queue_and_not_without() {
    let app = TestApp::start().await;
    for _ in 0..3 {
        app.tenant().await;
    }
    let queue = FakeQueue::new(|_| Plan::Take);
    let relay = Running::start(&app.db, &queue);
    eventually("each log has a cursor", PATIENCE, async || holding(&app).await == [true; 3]).await;
    relay.stop().await;
    let db = app.db.clone();
    app.stop().await.unwrap();
    let app = TestApp::start_with(db, &[]).await;
    assert_eq!(holding(&app).await, [false; 3]);
    let relay = Running::start(&app.db, &queue);
    eventually("they hold again", PATIENCE, async || holding(&app).await == [true; 3]).await;
    relay.stop().await;
}

/// The rows stay until the queue has them, although their partition is due.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_not_dropped() {
    let app = TestApp::start().await;
    let mut admin = app.db.admin().await;
    let mut turns = app.db.admin().await;
    past::stop_upkeep(&mut turns).await;
    past::stop_expiry(&mut turns).await;
    let tenant_id = app.tenant().await;
    old_log::record(&mut admin, tenant_id, [130], 4).await;
    let queue = FakeQueue::new(|_| Plan::Fail);
    let relay = Running::start(&app.db, &queue);
    eventually("it is tried", PATIENCE, async || queue.sends() > 0).await;
    relay.stop().await;
    move_floor(&mut admin, tenant_id, 4).await;
    assert!(!erasable(&mut admin, tenant_id).await, "the cursor holds it");
    // What has expired is passed over, not sent: then nothing holds it any more.
    queue.change(|_| Plan::Take);
    let relay = Running::start(&app.db, &queue);
    until_all_sent(&app.db, &[tenant_id], PATIENCE).await;
    assert!(erasable(&mut admin, tenant_id).await);
    relay.stop().await;
    assert_eq!(queue.taken(), Vec::<String>::new());
}

/// The floor has passed the cursor: sending goes on at the floor.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_not_sent() {
    let app = TestApp::start().await;
    let mut admin = app.db.admin().await;
    let tenant_id = app.tenant().await;
    let late = app.tenant().await;
    old_log::record(&mut admin, tenant_id, [21], 50).await;
    let queue = FakeQueue::new(|_| Plan::Take);
    let relay = Running::start(&app.db, &queue);
    until_all_sent(&app.db, &[tenant_id], PATIENCE).await;
    relay.stop().await;
    // One log of which something was sent before, and one of which nothing was.
    old_log::record(&mut admin, tenant_id, [20, 19, 3], 50).await;
    old_log::record(&mut admin, late, [21, 20, 19, 3], 50).await;
    for tenant_id in [tenant_id, late] {
        move_floor(&mut admin, tenant_id, 150).await;
        record(&app, tenant_id, 5).await;
    }
    let relay = Running::start(&app.db, &queue);
    until_all_sent(&app.db, &[tenant_id, late], PATIENCE).await;
    relay.stop().await;
    let sent = places(&queue.taken());
    for (tenant_id, before) in [(tenant_id, 50), (late, 0)] {
        let mut seqs: Vec<i64> = sent
            .iter()
            .filter_map(|(_, id)| id.place_in(tenant_id).map(|place| place.seq.get()))
            .collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=before).chain(151..=205).collect::<Vec<_>>());
    }

    let sent = api::relay::resend(&store(&app.db), &queue, 240 << 10, tenant_id, (1, 160)).await;
    assert_eq!(sent.unwrap(), 10, "nor is it sent again");
}

/// A failover has undone the last entries, and their numbers went to others.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_every_entry_that_took_its_place_is_sent() {
    let app = TestApp::start().await;
    let mut admin = app.db.admin().await;
    let tenant_id = app.tenant().await;
    let user = app.caller(tenant_id, "user");
    for _ in 0..8 {
        user.post("/logs", &entry(serde_json::json!({}))).await.created();
    }
    let queue = FakeQueue::new(|_| Plan::Take);
    let relay = Running::start(&app.db, &queue);
    until_all_sent(&app.db, &[tenant_id], PATIENCE).await;
    relay.stop().await;
    let undo = format!(
        "delete from audit_log where tenant_id = '{tenant_id}' and seq > 5;
         update log_head h set seq = a.seq, recorded_at = a.recorded_at
         from audit_log a
         where a.tenant_id = h.tenant_id and a.seq = 5 and h.tenant_id = '{tenant_id}'"
    );
    run(&mut admin, undo).await;
    for others in [1, 6] {
        for _ in 0..others {
            user.post("/logs", &entry(serde_json::json!({}))).await.created();
        }
        let relay = Running::start(&app.db, &queue);
        until_all_sent(&app.db, &[tenant_id], PATIENCE).await;
        relay.stop().await;
    }
    let of_log = super::ids_of(&mut admin, tenant_id).await;
    assert_eq!(of_log.len(), 12);
    assert!(crate::support::queue::ids(&queue.taken()).is_superset(&of_log));
    assert_eq!(cursor(&mut admin, tenant_id).await, Some((12, true)));
}

/// Everything up to this number has expired.
async fn move_floor(admin: &mut sqlx::PgConnection, tenant_id: domain::TenantId, last_seq: i64) {
    let statement = format!(
        "update log_floor f
         set floor_seq = {last_seq} + 1,
            floor_at = (
                select (date_trunc('day', a.recorded_at at time zone 'utc') + interval '1 day')
                    at time zone 'utc'
                from audit_log a
                where a.tenant_id = f.tenant_id and a.seq = {last_seq}
            )
         where f.tenant_id = '{tenant_id}'"
    );
    run(admin, statement).await;
}

/// Whether the partition of a log's first entries may be dropped.
async fn erasable(admin: &mut sqlx::PgConnection, tenant_id: domain::TenantId) -> bool {
    sqlx::query_scalar(
        "select erasable(a.recorded_at, a.recorded_at + interval '1 day')
         from audit_log a where a.tenant_id = $1 and a.seq = 1",
    )
    .bind(tenant_id.as_uuid())
    .fetch_one(admin)
    .await
    .unwrap()
}
