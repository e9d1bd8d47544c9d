//! Two replicas and one repair: what is missing is sent once, whichever of them is killed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use domain::{TenantId, read_message};
use search::Index;

use super::stage::Stage;
use super::worker::{index_message, numbers};
use crate::support::eventually;
use crate::support::queue::{self, TestQueue, aws_url};
use crate::support::service::Service;

/// How long until what was lost is back, when a replica has to find out that it is the only one.
const MENDED_WITHIN: Duration = Duration::from_secs(40);

/// How often each number of a log came out of the queue.
#[derive(Default)]
struct Sent(Mutex<BTreeMap<i64, u32>>);

impl Sent {
    /// Brings what is in the queue into the index, as the Lambda does.
    async fn bring(&self, queue: &TestQueue, index: &Index) {
        for message in queue.take().await {
            for entry in read_message(&message).unwrap() {
                let seq = entry.as_stored().place.seq.get();
                *self.0.lock().unwrap().entry(seq).or_default() += 1;
            }
            index_message(index, &message).await;
        }
    }

    fn times(self) -> BTreeMap<i64, u32> {
        self.0.into_inner().unwrap()
    }
}

/// Whether the repair has counted all of the log since it was mended.
async fn is_counted(stage: &Stage, tenant_id: TenantId, head_seq: i64) -> bool {
    let mark: Option<i64> = sqlx::query_scalar("select seq from index_mark where tenant_id = $1")
        .bind(tenant_id.as_uuid())
        .fetch_optional(&mut stage.db.admin().await)
        .await
        .unwrap();
    mark == Some(head_seq)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_sent_once_whichever_replica_is_killed() {
    let stage = Stage::new().await;
    let tenant_id = stage.tenant(500).await;
    let (queue, index, aws) = (TestQueue::new().await, stage.index(), aws_url());
    let mut settings = queue::settings(&queue.url, &aws).to_vec();
    settings.extend([
        ("AUDIT_SEARCH_URL", stage.url.as_str()),
        ("AUDIT_SEARCH_PREFIX", &stage.prefix),
        ("AUDIT_REPAIR_PERIOD_S", "1"),
        ("AUDIT_REPAIR_FULL_PERIOD_S", "1"),
    ]);
    let url = stage.db.url();
    let mut replicas =
        [Service::start(&url, &settings).await, Service::start(&url, &settings).await];
    let first = Sent::default();
    until_counted(&stage, tenant_id, &queue, &index, &first).await;
    let once = |first, last| (first..=last).map(|seq| (seq, 1)).collect::<BTreeMap<i64, u32>>();
    assert_eq!(first.times(), once(1, 500));

    // One of them holds the lock, and is one of those that are killed.
    for killed in [None, Some(0), Some(1)] {
        if let Some(killed) = killed {
            replicas[killed].kill();
        }
        assert_eq!(stage.delete(numbers(tenant_id, 101, 105)).await, 5);
        let sent = Sent::default();
        eventually("what was lost is sent again", MENDED_WITHIN, async || {
            sent.bring(&queue, &index).await;
            stage.found().await.len() == 500
        })
        .await;
        until_counted(&stage, tenant_id, &queue, &index, &sent).await;
        assert_eq!(sent.times(), once(101, 105), "{killed:?}");
        if let Some(killed) = killed {
            replicas[killed].restart().await;
        }
    }
    stage.end().await;
}

async fn until_counted(
    stage: &Stage,
    tenant_id: TenantId,
    queue: &TestQueue,
    index: &Index,
    sent: &Sent,
) {
    eventually("the repair has counted all of it", MENDED_WITHIN, async || {
        sent.bring(queue, index).await;
        is_counted(stage, tenant_id, 500).await
    })
    .await;
}
