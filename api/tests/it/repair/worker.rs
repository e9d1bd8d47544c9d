//! The worker mends all that can be wrong with an index, without anyone touching it.

use std::sync::Arc;

use api::config::RepairArgs;
use api::relay::{Bell, Relay};
use api::repair::Repair;
use api::repair::mender::Mender;
use api::repair::queued::Queued;
use api::store::Store;
use domain::{LogOwner, TenantId, read_message};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use reqwest::Method;
use search::{Document, Index, Outcome};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::stage::Stage;
use crate::support::app::{TestApp, serve_args};
use crate::support::history;
use crate::support::queue::{TestQueue, aws_url};
use crate::support::seeds;

/// What one send holds, as by default.
pub(super) const SEND_BYTES_MAX: usize = 240 << 10;

/// A service that looks at everything every second, without a queue.
async fn serve(stage: &Stage) -> TestApp {
    let [url, to, prefix, name] = stage.flags();
    let flags =
        [&*url, &*to, &*prefix, &*name, "--repair-period-s", "1", "--repair-full-period-s", "1"];
    TestApp::start_with(stage.db.clone(), &flags).await
}

/// Documents of a tenant from one number to another.
pub(super) fn numbers(tenant_id: TenantId, first: i64, last: i64) -> Value {
    json!({ "bool": { "filter": [
        { "term": { "tenant_id": tenant_id } },
        { "range": { "seq": { "gte": first, "lte": last } } },
    ] } })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_the_index_it_becomes_the_log_again() {
    let stage = Stage::new().await;
    let mut tenants = Vec::new();
    for n in 0..12 {
        tenants.push(stage.tenant(if n == 0 { 6_000 } else { 50 + n * 10 }).await);
    }
    let app = serve(&stage).await;
    stage.until_equal("an index that was not there").await;

    let [whale, one, other] = [tenants[0], tenants[1], tenants[2]];
    stage.delete(numbers(whale, 2_500, 2_501)).await;
    stage.delete(numbers(one, 1, 3)).await;
    stage.delete(numbers(tenants[11], 1, 1_000_000)).await;
    assert_eq!(stage.change(numbers(one, 5, 7), &to_tenant(other)).await, 3);
    assert_eq!(
        stage.change(numbers(one, 9, 9), &to_tenant(TenantId::new(uuid::Uuid::now_v7()))).await,
        1
    );
    let november = format!("{}-2026.11", stage.prefix);
    let id = |at: i64, seq: i64| {
        let recorded_at = domain::Timestamp::from_millis(1_795_000_000_000 + at);
        let seq = domain::Seq::new(seq).unwrap();
        domain::EntryId::of(domain::Place { recorded_at, seq }, whale).to_string()
    };
    for (at, seq) in [(1, 3_000), (2, 3_000), (3, 6_001), (4, 1 << 40)] {
        stage.plant(&november, &id(at, seq.min((1 << 40) - 1)), whale, seq).await;
    }
    stage.plant(&november, "no id at all", other, 4).await;
    stage
        .until_equal(
            "documents deleted, moved to another tenant, written by nobody, numbers used twice",
        )
        .await;

    let october = stage.searched().await.into_iter().find(|name| name.contains("2026.10")).unwrap();
    stage.call(Method::DELETE, &october, Value::Null).await;
    stage.until_equal("a whole index deleted").await;

    let remove = json!({ "actions": [{ "remove": { "index": &october, "alias": stage.prefix } }] });
    stage.call(Method::POST, "_aliases", remove).await;
    stage.until_equal("an index taken from the searches").await;

    let day = time::macros::date!(2026 - 11 - 03);
    let mut admin = stage.db.admin().await;
    for tenant_id in &tenants {
        history::move_floor(&mut admin, *tenant_id, day).await;
        history::erase(&mut admin, *tenant_id).await;
    }
    stage.until_equal("entries expired").await;
    let left = stage.indices().await;
    assert!(left.iter().all(|name| name.contains("2026.11")), "{left:?}");
    app.stop().await.unwrap();
    stage.end().await;
}

fn to_tenant(tenant_id: TenantId) -> String {
    format!("ctx._source.tenant_id = '{tenant_id}'")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_loses_is_sent_again_from_the_log() {
    let stage = Stage::new().await;
    let mut tenants = Vec::new();
    for n in 0..10 {
        tenants.push(stage.tenant(if n == 0 { 5_000 } else { 100 }).await);
    }
    let aws = aws_url();
    let queue = TestQueue::new().await;
    let sender = queue.sender(&aws).await;
    let store = store(&stage);
    let stop = CancellationToken::new();
    let relay = Relay::new(store.clone(), Arc::clone(&sender), SEND_BYTES_MAX, Bell::default());
    let relay = tokio::spawn(relay.run(stop.clone()));
    let index = stage.index();
    let way = Queued { store: store.clone(), queue: sender, send_bytes_max: SEND_BYTES_MAX };
    let times = RepairArgs { repair_period_s: 1, repair_full_period_s: 5 };
    let repair = Repair::new(Mender { store, index: index.clone(), way }, times);
    let repair = tokio::spawn(repair.run(stop.clone()));

    let seed = seeds::seed("a queue that loses messages");
    let (mut lost, mut deaf) = (0, SmallRng::seed_from_u64(seed));
    let indexing = async {
        loop {
            for message in queue.take().await {
                // Of each three messages one is lost, even when it comes again, and one comes twice.
                match deaf.random_range(0..3) {
                    0 => lost += 1,
                    1 => index_message(&index, &message).await,
                    _ => {
                        index_message(&index, &message).await;
                        index_message(&index, &message).await;
                    }
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = indexing => {}
        () = stage.until_equal("messages lost") => {}
    }
    assert!(lost > 3, "{lost} messages lost");
    stop.cancel();
    let _ = tokio::join!(relay, repair);
    stage.end().await;
}

/// As the Lambda does.
pub(super) async fn index_message(index: &Index, message: &str) {
    let entries = read_message(message).unwrap();
    let documents: Vec<Document> = entries
        .iter()
        .map(|entry| Document::of(&entry.as_stored(), &LogOwner::of(entry.tenant_id())))
        .collect();
    let outcomes = index.bulk(&documents, std::time::Duration::from_secs(10)).await.unwrap();
    assert!(outcomes.iter().all(Outcome::is_there), "{outcomes:?}");
}

pub(super) fn store(stage: &Stage) -> Store {
    let args = serve_args(&stage.db.url(), &[]);
    Store::new(&args.database.urls().unwrap(), 2).unwrap()
}
