//! The marks of the index follow what the repair counts, though nobody searches.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::config::RepairArgs;
use api::relay::{Bell, Relay};
use api::repair::Repair;
use api::repair::mender::Mender;
use api::repair::queued::Queued;
use domain::TenantId;
use tokio_util::sync::CancellationToken;

use super::stage::Stage;
use super::worker::{SEND_BYTES_MAX, index_message, numbers, store};
use crate::support::eventually;
use crate::support::queue::{TestQueue, aws_url};

/// How long until the repair has seen what became of an index.
const SEEN_WITHIN: Duration = Duration::from_secs(30);

async fn mark(stage: &Stage, tenant_id: TenantId) -> Option<i64> {
    sqlx::query_scalar("select seq from index_mark where tenant_id = $1")
        .bind(tenant_id.as_uuid())
        .fetch_optional(&mut stage.db.admin().await)
        .await
        .unwrap()
}

async fn until_marked(stage: &Stage, marks: &[(TenantId, RangeInclusive<i64>)], what: &str) {
    eventually(what, SEEN_WITHIN, async || {
        for (tenant_id, seqs) in marks {
            if !mark(stage, *tenant_id).await.is_some_and(|seq| seqs.contains(&seq)) {
                return false;
            }
        }
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_goes_down_to_what_was_lost_and_up_again_without_a_search() {
    let stage = Stage::new().await;
    let (one, other) = (stage.tenant(3_000).await, stage.tenant(40).await);
    let queue = TestQueue::new().await;
    let sender = queue.sender(&aws_url()).await;
    let (store, index, stop) = (store(&stage), stage.index(), CancellationToken::new());
    let relay = Relay::new(store.clone(), Arc::clone(&sender), SEND_BYTES_MAX, Bell::default());
    let relay = tokio::spawn(relay.run(stop.clone()));
    let way = Queued { store: store.clone(), queue: sender, send_bytes_max: SEND_BYTES_MAX };
    let times = RepairArgs { repair_period_s: 1, repair_full_period_s: 1 };
    let repair = Repair::new(Mender { store, index: index.clone(), way }, times);
    let repair = tokio::spawn(repair.run(stop.clone()));

    let is_lost = AtomicBool::new(false);
    let indexing = async {
        loop {
            for message in queue.take().await {
                if !is_lost.load(Ordering::Relaxed) {
                    index_message(&index, &message).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let looking = async {
        until_marked(
            &stage,
            &[(one, 3_000..=3_000), (other, 40..=40)],
            "what was counted is marked",
        )
        .await;
        is_lost.store(true, Ordering::Relaxed);
        assert_eq!(stage.delete(numbers(one, 2_211, 2_213)).await, 3);
        assert_eq!(stage.delete(numbers(other, 1, 1)).await, 1);
        until_marked(&stage, &[(one, 1..=2_210), (other, 0..=0)], "marks are below what was lost")
            .await;
        is_lost.store(false, Ordering::Relaxed);
        until_marked(
            &stage,
            &[(one, 3_000..=3_000), (other, 40..=40)],
            "what was mended is marked",
        )
        .await;
    };
    tokio::select! {
        () = indexing => {}
        () = looking => {}
    }
    stop.cancel();
    let _ = tokio::join!(relay, repair);
    stage.end().await;
}
