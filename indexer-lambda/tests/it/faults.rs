//! What OpenSearch does at its worst: never a success that is not one, and no entry that is lost.

use std::time::Duration;

use domain::Entry;

use crate::front::{Act, Front};
use crate::support::{Home, LONG, TENANT, batch, failures, message, simple, within};

/// Long enough for the pauses after a few failures.
const SOME_S: Duration = Duration::from_secs(30);

fn entries() -> Vec<Entry> {
    (1..=6).map(|seq| simple(TENANT, seq)).collect()
}

#[tokio::test]
async fn what_passes_is_tried_again_within_the_same_invocation() {
    for act in [
        Act::Status(429),
        Act::Status(503),
        Act::Item(2, 429, "es_rejected_execution_exception"),
        Act::Item(0, 503, "unavailable_shards_exception"),
        Act::Item(5, 403, "cluster_block_exception"),
        Act::DropItem,
        Act::Exchange,
        Act::Truncate,
        Act::Break,
    ] {
        let home = Home::fresh().await;
        // The first makes the month; the second is the one that is spoilt.
        let warm_up = home.indexer();
        warm_up.handle(&batch(&[message(&[simple(TENANT, 9)])]), within(LONG)).await;
        let front = Front::with(&[act]).await;
        let indexer = home.indexer_at(&front.url);
        let event = batch(&[message(&entries()[..3]), message(&entries()[3..])]);
        let response = indexer.handle(&event, within(SOME_S)).await;
        assert_eq!(failures(&response), [""; 0], "{act:?}");
        assert_eq!(front.bulks(), 2, "{act:?}");
        assert_eq!(home.ids(TENANT).await.len(), 7, "{act:?}");
        assert_eq!(home.stubs().await, 0, "{act:?}");
    }
}

#[tokio::test]
async fn one_that_hangs_is_tried_again() {
    let home = Home::fresh().await;
    let front = Front::with(&[Act::Hang]).await;
    let indexer = home.indexer_at(&front.url).with_requests(5 << 20, Duration::from_secs(3));
    let response = indexer.handle(&batch(&[message(&entries())]), within(SOME_S)).await;
    assert_eq!(failures(&response), [""; 0]);
    assert_eq!(home.ids(TENANT).await.len(), 6);
}

#[tokio::test]
async fn when_the_time_is_over_only_the_messages_concerned_go_back() {
    let home = Home::fresh().await;
    home.indexer().handle(&batch(&[message(&[simple(TENANT, 9)])]), within(LONG)).await;
    // Entry 4, in the second message, never gets in.
    let never = [Act::Item(3, 503, "unavailable_shards_exception")];
    let again = [Act::Item(0, 429, "es_rejected_execution_exception"); 30];
    let front = Front::with(&[&never[..], &again].concat()).await;
    let indexer = home.indexer_at(&front.url);
    let event =
        batch(&[message(&entries()[..3]), message(&entries()[3..5]), message(&entries()[5..])]);
    let begun = std::time::Instant::now();
    let response = indexer.handle(&event, within(Duration::from_secs(5))).await;
    assert_eq!(failures(&response), ["m1"]);
    assert!(begun.elapsed() < Duration::from_secs(6), "it ends before its deadline");
    assert!(front.bulks() > 2, "and has tried until then");
}

#[tokio::test]
async fn an_opensearch_that_is_away_fails_every_message_in_time() {
    let home = Home::fresh().await;
    let indexer = home.indexer_at("http://127.0.0.1:1");
    let event = batch(&[message(&entries()[..3]), message(&entries()[3..])]);
    let begun = std::time::Instant::now();
    let response = indexer.handle(&event, within(Duration::from_secs(2))).await;
    assert_eq!(failures(&response), ["m0", "m1"]);
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_request_that_is_refused_is_not_repeated_and_goes_back() {
    let home = Home::fresh().await;
    let front = Front::with(&[Act::Status(401); 3]).await;
    let response =
        home.indexer_at(&front.url).handle(&batch(&[message(&entries())]), within(SOME_S)).await;
    assert_eq!(failures(&response), ["m0"]);
    assert_eq!(front.bulks(), 1);
}

#[tokio::test]
async fn a_time_that_is_over_before_it_begins_is_no_success() {
    let home = Home::fresh().await;
    let event = batch(&[message(&entries())]);
    let response = home.indexer().handle(&event, std::time::Instant::now()).await;
    assert_eq!(failures(&response), ["m0"]);
    assert!(home.ids(TENANT).await.is_empty());
}
