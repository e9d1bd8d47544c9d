//! From the log to the index, with all real parts.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use domain::{LogOwner, MessageWriter, Place, Seq, StoredEntry, TenantId, Timestamp, write_queued};
use uuid::Uuid;

use super::restarts::{make_tenant, record};
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::fan_out::FanOut;
use crate::support::queue::settings;
use crate::support::service::Service;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_entry_becomes_a_document_under_its_id() {
    let fan_out = FanOut::start(&[]).await;
    let db = TestDb::new().await;
    let service = Service::start(&db.url(), &settings(&fan_out.queue_url, &fan_out.url)).await;
    let client = reqwest::Client::new();
    let tenant_id = make_tenant(&client, &service.base).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.extend(record(&client, &service.base, tenant_id).await);
    }
    assert_eq!(ids.len(), 20);
    eventually("all are documents", PATIENCE, async || fan_out.find(&ids).await.len() == 20).await;
    for hit in fan_out.find(&ids).await {
        assert_eq!(hit["_routing"], tenant_id.to_string());
    }
    // When the index is warm, it takes a refresh and little more.
    let begun = Instant::now();
    let id = record(&client, &service.base, tenant_id).await.unwrap();
    eventually("one more", PATIENCE, async || fan_out.find(&[id]).await.len() == 1).await;
    eprintln!("an entry was found in the index after {:?}", begun.elapsed());
    eventually("nothing is left in the queue", PATIENCE, async || {
        fan_out.waiting(false).await == 0
    })
    .await;
    assert_eq!(fan_out.waiting(true).await, 0);
}

/// A message with some entries of a made-up log, and their ids.
fn message(tenant_id: TenantId, seqs: std::ops::RangeInclusive<i64>) -> (String, Vec<Uuid>) {
    let owner = LogOwner::of(tenant_id);
    let (mut message, mut ids) = (MessageWriter::new(), Vec::new());
    for seq in seqs {
        let place = Place { recorded_at: Timestamp::now(), seq: Seq::new(seq).unwrap() };
        let alice = StoredEntry::bare(place, "alice", "VIEW", "thing");
        let entry = StoredEntry { recorded_by: "gateway:alice", ..alice };
        let mut json = Vec::new();
        write_queued(&entry, &owner, &mut json);
        message.push(&json);
        ids.push(owner.id(place).as_uuid());
    }
    (message.finish().unwrap(), ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_messages_a_poisoned_one_ends_as_a_dead_letter_and_nine_are_indexed_at_once() {
    const TRY_AGAIN_AFTER_S: u64 = 3;
    let visibility_s = TRY_AGAIN_AFTER_S.to_string();
    let fan_out = FanOut::start(&[("AUDIT_FANOUT_VISIBILITY_S", &visibility_s)]).await;
    let tenant_id = TenantId::new(Uuid::now_v7());
    // From a program that is newer than ours.
    let poison = message(tenant_id, 100..=101).0.replace("\"version\":1", "\"version\":2");
    let (mut wanted, mut sending) = (Vec::new(), fan_out.sqs.send_message_batch());
    for n in 0..10 {
        let (body, ids) = message(tenant_id, n * 3 + 1..=n * 3 + 3);
        let body = if n == 4 { poison.clone() } else { body };
        wanted.extend(ids.into_iter().filter(|_| n != 4));
        let entry = SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body);
        sending = sending.entries(entry.build().unwrap());
    }
    let sent = sending.queue_url(&fan_out.queue_url).send().await.unwrap();
    assert_eq!(sent.successful().len(), 10);
    let begun = Instant::now();
    eventually("nine are indexed", PATIENCE, async || fan_out.find(&wanted).await.len() == 27)
        .await;
    let soon = Duration::from_secs(TRY_AGAIN_AFTER_S);
    eventually("and done", soon, async || fan_out.waiting(false).await == 1).await;
    assert_eq!(fan_out.waiting(true).await, 0, "the tenth is still tried");
    eventually("the tenth is a dead letter", PATIENCE, async || fan_out.waiting(true).await == 1)
        .await;
    let tried_for = begun.elapsed();
    assert!(
        tried_for > Duration::from_secs(TRY_AGAIN_AFTER_S * 4 - 1),
        "five tries: {tried_for:?}"
    );
    assert_eq!(fan_out.waiting(false).await, 0);
    assert_eq!(fan_out.dead_letters().await, [poison]);
    assert_eq!(fan_out.find(&wanted).await.len(), 27);
}
