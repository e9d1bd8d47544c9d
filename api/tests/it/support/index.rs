//! An index of a test's own in the OpenSearch that `make test` starts, filled from logs by the test.

use std::time::Duration;

use domain::{LogOwner, TenantId, read_message};
use rand::Rng as _;
use search::{Auth, Document, IndexSettings, Outcome, Prefix, Shape};
use serde_json::{Value, json};

use super::app::TestApp;
use super::said::SEARCH_PASSWORD;

/// Where OpenSearch is.
const URL: &str = "AUDIT_TEST_SEARCH_URL";

/// How long it may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
pub(crate) struct TestIndex {
    pub(crate) index: search::Index,
    pub(crate) url: String,
    pub(crate) prefix: String,
    client: reqwest::Client,
}

/// Where the suite's OpenSearch is.
pub(crate) fn search_url() -> String {
    std::env::var(URL).unwrap_or_else(|_| {
        panic!("{URL} is not set: run `make test`, or set it to the URL of an OpenSearch")
    })
}

impl TestIndex {
    /// An empty one, which no other test knows.
    pub(crate) async fn new() -> Self {
        Self::at(&search_url()).await
    }

    /// The same, with months of this shape.
    pub(crate) async fn of_shape(shape: Shape) -> Self {
        let index = Self::new().await;
        index.index.set_up(shape).await.unwrap();
        index
    }

    /// The same, in this OpenSearch.
    pub(crate) async fn at(url: &str) -> Self {
        let prefix = format!("test-{:016x}", rand::rng().random::<u64>());
        let settings = IndexSettings {
            url: url.parse().unwrap(),
            auth: Auth::None,
            prefix: Prefix::parse(&prefix).unwrap(),
        };
        let index = search::Index::new(&settings).unwrap();
        index.set_up(Shape::default()).await.unwrap();
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { index, url: url.to_owned(), prefix, client }
    }

    /// Flags for a service that searches it.
    pub(crate) fn flags(&self) -> Vec<&str> {
        self.flags_at(&self.url)
    }

    /// The same, by way of another address.
    pub(crate) fn flags_at<'f>(&'f self, url: &'f str) -> Vec<&'f str> {
        let login = ["--search-user", "tests", "--search-password", SEARCH_PASSWORD];
        [&["--search-url", url, "--search-prefix", &self.prefix], &login[..]].concat()
    }

    /// Brings entries into it, as the list shows them, and makes them visible.
    pub(crate) async fn bring(&self, tenant_id: TenantId, entries: &[Value]) {
        let message = json!({ "task_type": "INDEX_LOGS", "version": 1, "entries": entries });
        let text = message.to_string();
        let owner = LogOwner::of(tenant_id);
        let documents: Vec<_> = read_message(&text)
            .unwrap()
            .iter()
            .map(|entry| Document::of(&entry.as_stored(), &owner))
            .collect();
        for part in documents.chunks(1_000) {
            let outcomes = self.index.bulk(part, PATIENCE).await.unwrap();
            assert!(outcomes.iter().all(Outcome::is_there), "{outcomes:?}");
        }
        self.refresh().await;
    }

    /// Brings everything from a number up to another into it.
    pub(crate) async fn fill(&self, app: &TestApp, tenant_id: TenantId, from: i64, to: i64) {
        let entries = entries(app, tenant_id).await;
        let seq = |entry: &Value| entry["seq"].as_i64().unwrap();
        let wanted: Vec<Value> =
            entries.into_iter().filter(|entry| (from..=to).contains(&seq(entry))).collect();
        self.bring(tenant_id, &wanted).await;
    }

    /// Makes what was brought visible.
    pub(crate) async fn refresh(&self) {
        self.post(&format!("/{}/_refresh?ignore_unavailable=true", self.prefix), json!(null)).await;
    }

    /// Takes documents away: those that the query finds.
    pub(crate) async fn lose(&self, query: Value) {
        let path = format!("/{}/_delete_by_query?refresh=true&conflicts=proceed", self.prefix);
        self.post(&path, json!({ "query": query })).await;
    }

    async fn post(&self, path: &str, body: Value) {
        let request = self.client.post(format!("{}{path}", self.url));
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap());
    }
}

/// All of a log, in its order, as the list shows it.
pub(crate) async fn entries(app: &TestApp, tenant_id: TenantId) -> Vec<Value> {
    let caller = app.caller(tenant_id, "auditor");
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = caller.get(&format!("/logs?order=asc&limit=1000{cursor}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        entries.extend(answer.body["data"].as_array().unwrap().iter().cloned());
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return entries,
        }
    }
}
