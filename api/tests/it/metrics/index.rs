//! What the repair finds in the index and does about it.

use std::time::Duration;

use domain::TenantId;
use serde_json::{Value, json};

use crate::support::app::entry;
use crate::support::eventually;
use crate::support::exposition::{Scrape, Watched};
use crate::support::index::TestIndex;

/// How long the repair may take to see what was done, and to make it good.
const MENDED_WITHIN: Duration = Duration::from_mins(1);

const LACKING: &str = "audit_index_lacking_entries";
const SURPLUS: &str = "audit_index_surplus_documents";
const MENDED: &str = "audit_index_mended_entries_total";
const DELETED: &str = "audit_index_deleted_documents_total";

/// Scrapes until a counter has moved that far, and the gauge of what was found was seen above 0.
async fn found_and_done(watched: &Watched, before: &Scrape, gauge: &str, counter: &str, by: f64) {
    let was_found = std::cell::Cell::new(false);
    eventually(counter, MENDED_WITHIN, async || {
        let scrape = watched.scrape().await;
        was_found.set(was_found.get() || scrape.is(gauge, by));
        was_found.get() && scrape.is(counter, before.get(counter) + by)
    })
    .await;
    eventually("it is good again", MENDED_WITHIN, async || watched.scrape().await.is(gauge, 0.0))
        .await;
}

/// Puts a copy of the first entry's document under an id that is none of the log's.
async fn plant(index: &TestIndex, tenant_id: TenantId) {
    let client = reqwest::Client::new();
    let query = json!({ "size": 1, "sort": [{ "seq": "asc" }] });
    let searched = client.post(format!("{}/{}/_search", index.url, index.prefix)).json(&query);
    let found: Value = searched.send().await.unwrap().json().await.unwrap();
    let hit = &found["hits"]["hits"][0];
    let place = hit["_index"].as_str().unwrap();
    let url = format!("{}/{place}/_doc/of-nobody?routing={tenant_id}&refresh=true", index.url);
    let put = client.put(url).json(&hit["_source"]).send().await.unwrap();
    assert!(put.status().is_success(), "{put:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lacks_in_the_index_or_is_too_much_is_told_and_that_it_was_mended() {
    let index = TestIndex::new().await;
    let often = ["--repair-period-s", "1", "--repair-full-period-s", "1"];
    let watched = Watched::start(&[&index.flags()[..], &often].concat()).await;
    let tenant_id = watched.app.tenant().await;
    let bulk = json!([entry(json!({})), entry(json!({})), entry(json!({}))]);
    let user = watched.app.caller(tenant_id, "user");
    user.post("/logs/bulk", &bulk).await.created();
    // Without a queue it is the repair that brings them.
    eventually("all are there", MENDED_WITHIN, async || {
        let scrape = watched.scrape().await;
        scrape.is(MENDED, 3.0)
            && scrape.is("audit_index_compared_logs", 1.0)
            && scrape.is("audit_index_unconfirmed_entries", 0.0)
            && scrape.is(LACKING, 0.0)
    })
    .await;

    let before = watched.scrape().await;
    index.refresh().await;
    plant(&index, tenant_id).await;
    found_and_done(&watched, &before, SURPLUS, DELETED, 1.0).await;

    let before = watched.scrape().await;
    index.lose(json!({ "range": { "seq": { "lte": 2 } } })).await;
    found_and_done(&watched, &before, LACKING, MENDED, 2.0).await;
}
