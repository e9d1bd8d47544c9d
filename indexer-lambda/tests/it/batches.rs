//! Batches on a real OpenSearch: each entry is in the index, or its message goes back.

use std::collections::BTreeSet;

use domain::{Entry, TenantId};
use uuid::Uuid;

use crate::support::{Home, LONG, TENANT, batch, failures, message, simple, within};

fn ids(entries: &[Entry]) -> BTreeSet<domain::EntryId> {
    entries.iter().map(Entry::id).collect()
}

#[tokio::test]
async fn a_batch_of_many_tenants_is_indexed_and_nothing_goes_back() {
    let home = Home::fresh().await;
    let other = TenantId::new(Uuid::from_u128(2));
    let ours: Vec<_> = (1..=40).map(|seq| simple(TENANT, seq)).collect();
    let theirs: Vec<_> = (1..=10).map(|seq| simple(other, seq)).collect();
    let mixed: Vec<_> = ours[..5].iter().chain(&theirs).cloned().collect();
    let event = batch(&[message(&mixed), message(&ours[5..])]);
    let response = home.indexer().handle(&event, within(LONG)).await;
    assert_eq!(failures(&response), [""; 0]);
    assert_eq!(home.ids(TENANT).await, ids(&ours));
    assert_eq!(home.ids(other).await, ids(&theirs));
    assert_eq!(home.stubs().await, 0);
}

#[tokio::test]
async fn messages_that_come_twice_and_out_of_order_are_indexed_once() {
    let home = Home::fresh().await;
    let entries: Vec<_> = (1..=30).map(|seq| simple(TENANT, seq)).collect();
    let messages: Vec<_> = entries.chunks(10).map(message).collect();
    let [first, second, third] = &messages[..] else { unreachable!() };
    for bodies in [[third, third], [first, third], [second, first]] {
        let event = batch(&bodies.map(Clone::clone));
        let response = home.indexer().handle(&event, within(LONG)).await;
        assert_eq!(failures(&response), [""; 0]);
    }
    assert_eq!(home.ids(TENANT).await, ids(&entries));
}

#[tokio::test]
async fn a_batch_across_a_months_end_makes_both_months_and_later_months_when_they_come() {
    let home = Home::fresh().await;
    let day_s = 24 * 60 * 60;
    let entries: Vec<_> =
        [1, 30 * day_s, 30 * day_s + 1, 61 * day_s + 1].map(|seq| simple(TENANT, seq)).into();
    let times: Vec<_> = entries.iter().map(|entry| entry.place().recorded_at.to_string()).collect();
    assert!(times[1].starts_with("2026-11-30T23:59:59") && times[2].starts_with("2026-12-01"));
    let indexer = home.indexer();
    for part in [&entries[2..], &entries[..3]] {
        let response = indexer.handle(&batch(&[message(part)]), within(LONG)).await;
        assert_eq!(failures(&response), [""; 0]);
    }
    assert_eq!(home.ids(TENANT).await, ids(&entries));
    let months = home.index.indices().await.unwrap().into_iter();
    let months: Vec<_> = months.map(|index| index.name.month().to_string()).collect();
    assert_eq!(months, ["2026.11", "2026.12", "2027.01"]);
}

#[tokio::test]
async fn what_cannot_be_read_goes_back_and_its_neighbours_are_indexed() {
    let home = Home::fresh().await;
    let entries: Vec<_> = (1..=4).map(|seq| simple(TENANT, seq)).collect();
    let good = message(&entries[..2]);
    let event = batch(&[
        "not a message".to_owned(),
        good.clone(),
        good.replace("\"version\":1", "\"version\":2"),
        good.replace("INDEX_LOGS", "DROP_LOGS"),
        message(&entries[2..]),
        good.replace("\"seq\":1,", "\"seq\":7,"),
        String::new(),
    ]);
    let response = home.indexer().handle(&event, within(LONG)).await;
    assert_eq!(failures(&response), ["m0", "m2", "m3", "m5", "m6"]);
    assert_eq!(home.ids(TENANT).await, ids(&entries));
}

#[tokio::test]
async fn a_message_without_an_id_fails_the_whole_batch() {
    let home = Home::fresh().await;
    let mut event = batch(&["not a message".to_owned()]);
    event.records[0].message_id = None;
    let response = home.indexer().handle(&event, within(LONG)).await;
    assert_eq!(failures(&response), [""], "which Lambda takes for all of it");
}

#[tokio::test]
async fn a_refused_document_becomes_a_stub_and_counts() {
    let home = Home::fresh().await;
    // Readable for us, and nested deeper than OpenSearch goes. The API would refuse it.
    let deep = format!(r#""before":{}1{},"#, "[".repeat(1_100), "]".repeat(1_100));
    let broken = message(&[simple(TENANT, 1), simple(TENANT, 2)]);
    let broken = broken.replacen(r#""before":null,"#, &deep, 1);
    let response = home.indexer().handle(&batch(&[broken]), within(LONG)).await;
    assert_eq!(failures(&response), [""; 0]);
    assert_eq!(home.ids(TENANT).await, ids(&[simple(TENANT, 1), simple(TENANT, 2)]));
    assert_eq!(home.stubs().await, 1);
}

#[tokio::test]
async fn small_pieces_bring_the_same() {
    let home = Home::fresh().await;
    let entries: Vec<_> = (1..=25).map(|seq| simple(TENANT, seq)).collect();
    let indexer = home.indexer().with_requests(2_000, LONG);
    let response = indexer.handle(&batch(&[message(&entries)]), within(LONG)).await;
    assert_eq!(failures(&response), [""; 0]);
    assert_eq!(home.ids(TENANT).await, ids(&entries));
}
