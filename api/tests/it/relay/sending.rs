//! What arrives in a real queue.

use std::time::Duration;

use api::relay::resend;
use domain::read_message;
use serde_json::json;

use super::{
    Running, SEND_BYTES_MAX, assert_in_order, assert_whole, cursor, ids_of, record, record_with,
    store, until_all_sent,
};
use crate::support::app::TestApp;
use crate::support::old_log;
use crate::support::queue::{TestQueue, aws_url, ids, places};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_of_every_log_arrives_once_and_in_order() {
    let app = TestApp::start().await;
    let mut tenants = Vec::new();
    for entries in [1, 2_300, 7, 700] {
        let tenant_id = app.tenant().await;
        record(&app, tenant_id, entries).await;
        tenants.push(tenant_id);
    }
    let queue = TestQueue::new().await;
    let relay = Running::start(&app.db, &queue.sender(&aws_url()).await);
    until_all_sent(&app.db, &tenants, PATIENCE).await;
    let messages = queue.take().await;
    assert_whole(&app.db, &tenants, &messages).await;
    let sent = places(&messages).len();
    assert_eq!(sent, ids(&messages).len(), "nothing broke, so nothing came twice");
    assert!(messages.len() < sent / 50, "{} messages for {sent} entries", messages.len());
    let mixed = messages.iter().any(|message| {
        let entries = read_message(message).unwrap();
        entries.iter().any(|entry| entry.tenant_id() != entries[0].tenant_id())
    });
    assert!(mixed, "logs share messages");
    assert!(messages.iter().all(|message| message.len() <= SEND_BYTES_MAX / 4));

    // Woken, not found by looking.
    record(&app, tenants[0], 1).await;
    let begun = std::time::Instant::now();
    relay.bell.ring(tenants[..1].iter().copied());
    until_all_sent(&app.db, &tenants, PATIENCE).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    relay.stop().await;
    assert_eq!(places(&queue.take().await).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn characters_that_the_queue_refuses_and_the_longest_entries_arrive() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let strange = json!({
        "message": "a\u{fffe}b\u{ffff}c\u{1}\u{1f}\u{7f}",
        "user_name": "\u{fffe}",
        "metadata": { "\u{ffff}": ["\u{fffe}", "\u{1}"] },
    });
    record_with(&app, tenant_id, 3, &strange).await;
    // The longest there is, and twice as long when it is escaped.
    let longest = "\u{ffff}".repeat(21_600);
    record_with(&app, tenant_id, 2, &json!({ "before": longest })).await;
    record_with(&app, tenant_id, 3, &strange).await;
    let queue = TestQueue::new().await;
    let relay = Running::start(&app.db, &queue.sender(&aws_url()).await);
    until_all_sent(&app.db, &[tenant_id], PATIENCE).await;
    relay.stop().await;
    let messages = queue.take().await;
    assert_whole(&app.db, &[tenant_id], &messages).await;
    let long = messages.iter().filter(|message| message.len() > 126 << 10).count();
    assert_eq!(long, 2, "each goes alone");
    let mut found = 0;
    for message in &messages {
        for entry in read_message(message).unwrap() {
            let stored = entry.as_stored();
            found += usize::from(stored.message == strange["message"].as_str());
            if let Some(before) = stored.before {
                assert_eq!(serde_json::from_str::<String>(before).unwrap(), longest);
            }
        }
    }
    assert_eq!(found, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_the_logs_and_send_everything() {
    let app = TestApp::start().await;
    let mut tenants = Vec::new();
    for _ in 0..30 {
        let tenant_id = app.tenant().await;
        record(&app, tenant_id, 20).await;
        tenants.push(tenant_id);
    }
    let queue = TestQueue::new().await;
    let sender = queue.sender(&aws_url()).await;
    let relays = [Running::start(&app.db, &sender), Running::start(&app.db, &sender)];
    for n in 0..40 {
        let tenant_id = tenants[n % tenants.len()];
        record(&app, tenant_id, 1 + n * 7).await;
        // Each entry is told to one of the two only, who may find its log taken.
        relays[n % 2].bell.ring(std::iter::once(tenant_id));
    }
    until_all_sent(&app.db, &tenants, PATIENCE).await;
    for relay in relays {
        relay.stop().await;
    }
    let messages = queue.take().await;
    assert_whole(&app.db, &tenants, &messages).await;
    assert_eq!(places(&messages).len(), ids(&messages).len(), "no lease ran out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_sent_again_and_nothing_else() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut admin = app.db.admin().await;
    // Each entry has a time of its own.
    old_log::record(&mut admin, tenant_id, [3, 2], 1_500).await;
    let queue = TestQueue::new().await;
    let sender = queue.sender(&aws_url()).await;
    let store = store(&app.db);
    for (range, expected) in [
        ((1, 1), 1),
        ((1_234, 2_345), 1_112),
        ((2_999, 9_999), 2),
        ((3_001, 3_001), 0),
        ((7, 6), 0),
    ] {
        let sent = resend(&store, &sender, SEND_BYTES_MAX, tenant_id, range).await.unwrap();
        let messages = queue.take().await;
        assert_in_order(&messages);
        let mut seqs: Vec<i64> = places(&messages)
            .iter()
            .map(|(_, id)| id.place_in(tenant_id).unwrap().seq.get())
            .collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (range.0..=range.1.min(3_000)).collect::<Vec<_>>());
        assert_eq!((sent, seqs.len()), (expected as i64, expected));
        assert!(ids(&messages).is_subset(&ids_of(&mut admin, tenant_id).await));
    }
    assert_eq!(cursor(&mut admin, tenant_id).await, None, "no cursor moved");
}
