//! An index of its own for each test, and entries to put there.

use std::time::Duration;

use domain::{Filter, LogOwner, Place, Seq, StoredEntry, TenantId, Timestamp};
use search::{
    Auth, Document, Found, Index, IndexSettings, Outcome, Prefix, SearchRequest, Shape, Sort,
};
use uuid::Uuid;

pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);

/// The address of the OpenSearch for tests.
pub(crate) fn url() -> String {
    std::env::var("AUDIT_TEST_SEARCH_URL")
        .expect("AUDIT_TEST_SEARCH_URL: run the tests by dev/test.sh")
}

/// Settings of an index that nobody else has.
pub(crate) fn settings() -> IndexSettings {
    let prefix = format!("t{}", Uuid::new_v4().simple());
    IndexSettings {
        url: url().parse().unwrap(),
        auth: Auth::None,
        prefix: Prefix::parse(&prefix).unwrap(),
    }
}

/// An index that has been set up, and nothing in it.
pub(crate) async fn fresh_index() -> Index {
    let index = Index::new(&settings()).unwrap();
    index.set_up(Shape::default()).await.unwrap();
    index
}

pub(crate) fn tenant(n: u128) -> TenantId {
    TenantId::new(Uuid::from_u128(n))
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A simple entry: number 1 is recorded as November 2026 begins, each further one a second later.
pub(crate) fn entry(seq: i64) -> StoredEntry<'static> {
    let recorded_at = at("2026-11-01T00:00:00Z").plus_millis(1_000 * (seq - 1));
    let place = Place { recorded_at, seq: Seq::new(seq).unwrap() };
    StoredEntry::bare(place, "alice", "UPDATE", "invoice")
}

pub(crate) fn document(tenant_id: TenantId, entry: &StoredEntry<'_>) -> Document {
    Document::of(entry, &LogOwner::of(tenant_id))
}

/// Brings entries into the index, each new there, so that they are found.
pub(crate) async fn bring(index: &Index, tenant_id: TenantId, entries: &[StoredEntry<'_>]) {
    let documents: Vec<_> = entries.iter().map(|entry| document(tenant_id, entry)).collect();
    for some in documents.chunks(1_000) {
        let outcomes = index.bulk(some, TIMEOUT).await.unwrap();
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Created), "{outcomes:?}");
    }
    index.refresh().await.unwrap();
}

/// Everything of a tenant's log.
pub(crate) fn everything(tenant_id: TenantId, filter: &Filter) -> SearchRequest<'_> {
    SearchRequest {
        tenant_id,
        floor_seq: 1,
        last_seq: Seq::MAX.get(),
        query: None,
        filter,
        sort: Sort::Newest,
        after: None,
        limit: 1_000,
        facets: &[],
        timeout: TIMEOUT,
    }
}

/// The numbers of what was found, in its order.
pub(crate) fn seqs(found: &Found) -> Vec<i64> {
    found.hits.iter().map(|hit| hit.place.seq.get()).collect()
}

/// Asks OpenSearch something that the crate has no word for.
pub(crate) async fn raw(method: reqwest::Method, path: &str, body: Option<&str>) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, format!("{}{path}", url()));
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    request.send().await.unwrap().text().await.unwrap()
}
