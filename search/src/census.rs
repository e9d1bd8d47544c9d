//! Whose documents there are, over all tenants: the one question that is not about one of them, for
//! who looks for documents of tenants that nobody knows.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::ask::milliseconds;
use crate::ids::IDS_TIMEOUT;
use crate::scope::Among;
use crate::{Fault, Index};

/// Tenants on one page.
pub const TENANTS_MAX: usize = 1_000;

/// The documents that say they are of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Population {
    /// Whose, as they say; `None`: nobody's.
    pub tenant: Option<String>,
    /// How many.
    pub documents: u64,
}

#[derive(Deserialize)]
struct Answer {
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    aggregations: Option<Aggregations>,
}

#[derive(Deserialize)]
struct Shards {
    failed: u64,
}

#[derive(Deserialize)]
struct Aggregations {
    tenants: Tenants,
}

#[derive(Deserialize)]
struct Tenants {
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    key: Key,
    doc_count: u64,
}

#[derive(Deserialize)]
struct Key {
    tenant: Option<String>,
}

impl Index {
    /// Whose documents there are, after a population, at most [`TENANTS_MAX`]; fewer are the last.
    pub async fn populations(&self, after: Option<&Population>) -> Result<Vec<Population>, Fault> {
        let mut tenants = json!({ "composite": {
            "size": TENANTS_MAX,
            "sources": [{ "tenant": { "terms": { "field": "tenant_id", "missing_bucket": true } } }],
        } });
        if let Some(after) = after {
            tenants["composite"]["after"] = json!({ "tenant": after.tenant });
        }
        let body = json!({
            "size": 0,
            "track_total_hits": false,
            "timeout": milliseconds(IDS_TIMEOUT),
            "aggs": { "tenants": tenants },
        });
        let answer: Answer =
            self.routed(None, Among::Searched, "_search", &COUNTED_WHOLE, body).await?;
        if answer.timed_out {
            return Err(Fault::TimedOut);
        }
        if answer.shards.failed > 0 {
            let reason = "some shards did not answer".to_owned();
            return Err(Fault::Unavailable { status: 200, reason });
        }
        let buckets = answer.aggregations.map(|found| found.tenants.buckets).unwrap_or_default();
        let population =
            |found: Bucket| Population { tenant: found.key.tenant, documents: found.doc_count };
        Ok(buckets.into_iter().map(population).collect())
    }

    /// Deletes documents of a population, [`IDS_MAX`](crate::IDS_MAX) at most, and says how many:
    /// none are left when it is none.
    pub async fn delete_population(&self, tenant: Option<&str>) -> Result<u64, Fault> {
        self.delete_by(None, of_tenant(tenant)).await
    }
}

const COUNTED_WHOLE: [(&str, &str); 1] = [("allow_partial_search_results", "false")];

fn of_tenant(tenant: Option<&str>) -> Value {
    match tenant {
        Some(tenant) => json!({ "bool": { "filter": { "term": { "tenant_id": tenant } } } }),
        None => json!({ "bool": { "must_not": { "exists": { "field": "tenant_id" } } } }),
    }
}
