//! Documents as they are, whoever wrote them: what stands for no entry is found and deleted here.

use domain::{EntryId, TenantId};
use serde::Deserialize;
use serde_json::json;

use crate::ask::milliseconds;
use crate::ids::{IDS_MAX, IDS_TIMEOUT};
use crate::page::Page;
use crate::scope::{Among, Range};
use crate::{Fault, Index};

/// A document of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// What it is found by: an entry's id, or anything.
    pub id: String,
    /// Which entry it says it is.
    pub seq: i64,
}

impl Index {
    /// The documents that are found in a range of a tenant's numbers, upwards, at most so many and
    /// never more than [`IDS_MAX`], whatever their ids are.
    pub async fn documents(&self, range: Range, limit: usize) -> Result<Vec<Stray>, Fault> {
        let body = json!({
            "size": limit.min(IDS_MAX),
            "_source": false,
            "track_total_hits": false,
            "timeout": milliseconds(IDS_TIMEOUT),
            "query": { "bool": { "filter": range.filters() } },
            "sort": [{ "seq": "asc" }],
        });
        let page: Page<Hit> =
            self.routed(range.tenant_id, Among::Searched, "_search", &STRAYS_WHOLE, body).await?;
        let stray = |hit: Hit| Stray { id: hit.id, seq: hit.sort.0 };
        Ok(page.hits()?.into_iter().map(stray).collect())
    }

    /// Deletes what is found of a tenant under these ids, at most [`IDS_MAX`] documents, and says
    /// how many there were.
    pub async fn delete_strays(&self, tenant_id: TenantId, ids: &[&str]) -> Result<u64, Fault> {
        self.delete_named(tenant_id, json!(ids)).await
    }

    /// Deletes what has these ids of entries of a range but is not found there as their tenant's, at
    /// most [`IDS_MAX`] documents, and says how many there were: it keeps the entries out.
    ///
    /// An entry that has arrived since somebody missed it is none of them, and stays.
    pub async fn delete_hidden(&self, range: Range, ids: &[EntryId]) -> Result<u64, Fault> {
        let [owner, numbers] = range.filters();
        let routing = json!({ "term": { "_routing": range.tenant_id.to_string() } });
        let query = json!({ "bool": {
            "filter": { "ids": { "values": ids } },
            "must_not": { "bool": { "filter": [owner, numbers, routing] } },
        } });
        self.delete_by(None, query).await
    }
}

const STRAYS_WHOLE: [(&str, &str); 2] = [
    ("allow_partial_search_results", "false"),
    ("filter_path", "timed_out,_shards.failed,hits.hits._id,hits.hits.sort"),
];

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    sort: (i64,),
}
