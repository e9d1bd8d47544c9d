//! Logs take turns.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Running, record, until_all_sent};
use crate::support::app::TestApp;
use crate::support::old_log;
use crate::support::queue::{FakeQueue, Plan, ids, places};
use crate::support::{eventually, seeds};

/// Entries of each log that is far behind: more than can be sent while the test looks.
const BACKLOG: i64 = 150_000;

/// How soon a fresh entry of another log is sent: a pass, and a half for luck.
const FRESH_WITHIN: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_does_not_hold_up_another_logs_fresh_entry() {
    let app = TestApp::start().await;
    let backlog = if seeds::soak() { 2_000_000 } else { BACKLOG };
    let mut admin = app.db.admin().await;
    let mut behind = Vec::new();
    for _ in 0..2 {
        let tenant_id = app.tenant().await;
        old_log::record(&mut admin, tenant_id, [2], backlog).await;
        behind.push(tenant_id);
    }
    let fresh = app.tenant().await;
    let queue = FakeQueue::new(|_| Plan::Take);
    let relay = Running::start(&app.db, &queue);
    eventually("the backlog is worked on", Duration::from_secs(20), async || queue.sends() > 10)
        .await;
    for _ in 0..3 {
        let recorded = record(&app, fresh, 1).await;
        let begun = Instant::now();
        relay.bell.ring(std::iter::once(fresh));
        eventually("the fresh entry is sent", FRESH_WITHIN, async || {
            let taken = queue.taken();
            ids(&taken[taken.len().saturating_sub(200)..]).is_superset(&recorded)
        })
        .await;
        eprintln!("a fresh entry was sent after {:?}", begun.elapsed());
    }
    let sent: i64 = sqlx::query_scalar(
        "select sum(seq)::bigint from log_cursor where consumer = 'relay' and seq > 10",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert!(sent < backlog * 2, "the backlog is still there: {sent}");
    relay.stop().await;
}

/// Those that are served last in a first round come first in the next.
#[tokio::test(flavor = "multi_thread")]
async fn more_logs_than_a_replica_takes_at_a_time_all_get_their_turn() {
    let app = TestApp::start().await;
    let mut admin = app.db.admin().await;
    let (mut tenants, mut fresh) = (Vec::new(), HashSet::new());
    for n in 0..130 {
        let tenant_id = app.tenant().await;
        if n < 120 {
            old_log::record(&mut admin, tenant_id, [2], 1_000).await;
        } else {
            fresh.extend(record(&app, tenant_id, 1).await);
        }
        tenants.push(tenant_id);
    }
    let queue = FakeQueue::new(|_| Plan::Take);
    let relay = Running::start(&app.db, &queue);
    until_all_sent(&app.db, &tenants, Duration::from_mins(1)).await;
    relay.stop().await;
    let sent: Vec<Uuid> = places(&queue.taken()).into_iter().map(|(_, id)| id.as_uuid()).collect();
    assert_eq!(sent.len(), 120_010);
    let last_fresh = sent.iter().rposition(|id| fresh.contains(id)).unwrap();
    assert!(last_fresh < 60_000, "{last_fresh} entries were sent before the last fresh one");
}
