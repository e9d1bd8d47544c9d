//! Logs, an index of a test's own in the suite's OpenSearch, and a look at both from outside.

use std::time::Duration;

use domain::TenantId;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};

use crate::support::database::TestDb;
use crate::support::index::search_url;
use crate::support::{history, log};

/// A document as it is found: whose, its number, its id.
pub(super) type Found = (String, i64, String);

/// A database, and names of indices that nobody else has.
pub(super) struct Stage {
    pub(super) db: TestDb,
    pub(super) prefix: String,
    pub(super) url: String,
    client: Client,
}

impl Stage {
    pub(super) async fn new() -> Self {
        Self::at(search_url()).await
    }

    /// With its index in this OpenSearch.
    pub(super) async fn at(url: String) -> Self {
        let prefix = format!("repair-{:016x}", rand::random::<u64>());
        let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let db = TestDb::new().await;
        history::make_room(&mut db.admin().await).await;
        Self { db, prefix, url, client }
    }

    /// The index as the product reaches it.
    pub(super) fn index(&self) -> search::Index {
        let settings = search::IndexSettings {
            url: self.url.parse().unwrap(),
            auth: search::Auth::None,
            prefix: search::Prefix::parse(&self.prefix).unwrap(),
        };
        search::Index::new(&settings).unwrap()
    }

    /// Flags that make a service or a command use this index.
    pub(super) fn flags(&self) -> [String; 4] {
        let flags = ["--search-url", &self.url, "--search-prefix", &self.prefix];
        flags.map(str::to_owned)
    }

    /// What a command finds in its environment.
    pub(super) fn env(&self) -> [(&'static str, String); 4] {
        [
            ("AUDIT_DATABASE_URL", self.db.url()),
            ("AUDIT_SEARCH_URL", self.url.clone()),
            ("AUDIT_SEARCH_PREFIX", self.prefix.clone()),
            ("AUDIT_LOG_LEVEL", "warn".to_owned()),
        ]
    }

    /// A tenant whose log has so many entries, spread over October and November 2026.
    pub(super) async fn tenant(&self, entries: i64) -> TenantId {
        let tenant_id = TenantId::new(uuid::Uuid::now_v7());
        let settings = api::tenants::default_settings("test".to_owned(), 7);
        let pool = sqlx::PgPool::connect(&self.db.url()).await.unwrap();
        api::store::tenants::create(&pool, tenant_id, &settings).await.unwrap();
        pool.close().await;
        self.grow(tenant_id, entries, OCTOBER, NOVEMBER).await;
        tenant_id
    }

    /// Adds entries behind the log's end, evenly in time.
    pub(super) async fn grow(
        &self,
        tenant_id: TenantId,
        entries: i64,
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) {
        let mut admin = self.db.admin().await;
        history::spread(&mut admin, tenant_id, entries, from, to).await;
    }

    /// Everything that is in the log, and has not expired.
    pub(super) async fn log(&self) -> Vec<Found> {
        let mut admin = self.db.admin().await;
        let ids: Vec<(uuid::Uuid, i64)> =
            sqlx::query_as("select tenant_id, floor_seq from log_floor")
                .fetch_all(&mut admin)
                .await
                .unwrap();
        let mut all = Vec::new();
        for (id, floor_seq) in ids {
            let rows = log::rows(&mut admin, TenantId::new(id)).await;
            let kept = rows.iter().filter(|row| row.seq >= floor_seq);
            all.extend(kept.map(|row| (id.to_string(), row.seq, row.id().to_string())));
        }
        all.sort();
        all
    }

    /// Everything that a search can find.
    pub(super) async fn found(&self) -> Vec<Found> {
        self.call(Method::POST, &format!("{}/_refresh", self.prefix), Value::Null).await;
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let mut body = json!({
                "size": 5_000, "_source": ["tenant_id", "seq"], "track_total_hits": false,
                "sort": [{ "tenant_id": "asc" }, { "seq": "asc" }, { "recorded_at": "asc" }],
            });
            if let Some(after) = after {
                body["search_after"] = after;
            }
            let page = self.call(Method::POST, &format!("{}/_search", self.prefix), body).await;
            let hits = page["hits"]["hits"].as_array().cloned().unwrap_or_default();
            let Some(last) = hits.last() else { break };
            after = Some(last["sort"].clone());
            all.extend(hits.iter().map(|hit| {
                let tenant = hit["_source"]["tenant_id"].as_str().unwrap().to_owned();
                let seq = hit["_source"]["seq"].as_i64().unwrap();
                (tenant, seq, hit["_id"].as_str().unwrap().to_owned())
            }));
        }
        all.sort();
        all
    }

    /// Waits until a search finds exactly the log.
    pub(super) async fn until_equal(&self, what: &str) {
        let log = self.log().await;
        let deadline = std::time::Instant::now() + Duration::from_secs(40);
        loop {
            let found = self.found().await;
            if found == log {
                return;
            }
            if std::time::Instant::now() > deadline {
                let missing: Vec<_> = log.iter().filter(|entry| !found.contains(entry)).collect();
                let foreign: Vec<_> = found.iter().filter(|one| !log.contains(one)).collect();
                panic!(
                    "{what}: {} entries, {} documents, {} missing, as {:?}, {} foreign, as {:?}",
                    log.len(),
                    found.len(),
                    missing.len(),
                    missing.first(),
                    foreign.len(),
                    foreign.first()
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asks OpenSearch. Null: there is no such thing, or not yet.
    pub(super) async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.client.request(method, format!("{}/{path}", self.url));
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        if matches!(answer.status().as_u16(), 404 | 503) {
            return Value::Null;
        }
        let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    /// Deletes documents behind everybody's back.
    pub(super) async fn delete(&self, query: Value) -> u64 {
        let path = format!("{}/_delete_by_query?refresh=true", self.prefix);
        let answer = self.call(Method::POST, &path, json!({ "query": query })).await;
        answer["deleted"].as_u64().unwrap()
    }

    /// Changes documents behind everybody's back.
    pub(super) async fn change(&self, query: Value, script: &str) -> u64 {
        let path = format!("{}/_update_by_query?refresh=true", self.prefix);
        let body = json!({ "query": query, "script": { "source": script } });
        self.call(Method::POST, &path, body).await["updated"].as_u64().unwrap()
    }

    /// Puts a document there that nobody recorded.
    pub(super) async fn plant(&self, index: &str, id: &str, tenant_id: TenantId, seq: i64) {
        let at = "2026-11-11T11:11:11.111Z";
        let body = json!({ "tenant_id": tenant_id, "seq": seq, "recorded_at": at });
        let path = format!("{index}/_doc/{id}?routing={tenant_id}&refresh=true");
        self.call(Method::PUT, &path, body).await;
    }

    /// The indices behind the searched alias.
    pub(super) async fn searched(&self) -> Vec<String> {
        let found = self.call(Method::GET, &format!("_alias/{}", self.prefix), Value::Null).await;
        let names = found.as_object().map(|found| found.keys().cloned().collect());
        names.unwrap_or_default()
    }

    /// The indices that there are.
    pub(super) async fn indices(&self) -> Vec<String> {
        let path = format!("{}-*/_alias", self.prefix);
        let found = self.call(Method::GET, &path, Value::Null).await;
        found.as_object().map(|found| found.keys().cloned().collect()).unwrap_or_default()
    }

    /// Takes the indices away.
    pub(super) async fn end(self) {
        for index in self.indices().await {
            self.call(Method::DELETE, &index, Value::Null).await;
        }
        let path = format!("_index_template/{}-v*", self.prefix);
        self.call(Method::DELETE, &path, Value::Null).await;
    }
}

pub(super) const OCTOBER: OffsetDateTime = datetime!(2026-10-01 00:00 UTC);
pub(super) const NOVEMBER: OffsetDateTime = datetime!(2026-11-20 00:00 UTC);
