//! The ids of a tenant's documents in the order of its log, and documents deleted.

use std::time::Duration;

use domain::{EntryId, TenantId};
use opensearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ask::milliseconds;
use crate::client::{Body, Call};
use crate::page::Page;
use crate::scope::{Among, Range};
use crate::{Fault, Index};

/// Ids that are read, or documents that are deleted, by one call.
pub const IDS_MAX: usize = 5_000;

/// How long one call may take. Deleting so many takes seconds.
pub(crate) const IDS_TIMEOUT: Duration = Duration::from_secs(30);

impl Index {
    /// The ids of the documents in a range, upwards, from behind `after`. Fewer than [`IDS_MAX`] are
    /// the last.
    pub async fn ids(
        &self,
        range: Range,
        among: Among<'_>,
        after: Option<EntryId>,
    ) -> Result<Vec<EntryId>, Fault> {
        let mut body = json!({
            "size": IDS_MAX,
            "_source": false,
            "track_total_hits": false,
            "timeout": milliseconds(IDS_TIMEOUT),
            "query": { "bool": { "filter": range.filters() } },
            // A number that was used twice has two documents.
            "sort": [{ "seq": "asc" }, { "recorded_at": "asc" }],
        });
        if let Some(place) = after.and_then(|id| id.place_in(range.tenant_id)) {
            body["search_after"] = json!([place.seq, place.recorded_at.as_millis()]);
        }
        let page: Page<WireId> =
            self.routed(range.tenant_id, among, "_search", &SEARCHED_WHOLE, body).await?;
        page.hits()?.iter().map(|hit| own_id(&hit.id, range.tenant_id)).collect()
    }

    /// Deletes a tenant's documents below a floor, [`IDS_MAX`] at most, and says how many: none are
    /// left when it is none.
    pub async fn delete_below(&self, tenant_id: TenantId, floor_seq: i64) -> Result<u64, Fault> {
        let range = Range { tenant_id, first_seq: i64::MIN, last_seq: floor_seq - 1 };
        let query = json!({ "bool": { "filter": range.filters() } });
        self.delete_by(Some(tenant_id), query).await
    }

    /// Deletes these documents of a tenant, [`IDS_MAX`] at most, and says how many were there.
    pub async fn delete(&self, tenant_id: TenantId, ids: &[EntryId]) -> Result<u64, Fault> {
        if ids.len() > IDS_MAX {
            let reason = format!("more than {IDS_MAX} documents at once");
            return Err(Fault::Refused { status: 413, reason });
        }
        self.delete_named(tenant_id, json!(ids)).await
    }

    /// Deletes a tenant's documents that have one of these ids.
    pub(crate) async fn delete_named(&self, tenant_id: TenantId, ids: Value) -> Result<u64, Fault> {
        let query = json!({ "bool": { "filter": [
            { "term": { "tenant_id": tenant_id.to_string() } },
            { "ids": { "values": ids } },
        ] } });
        self.delete_by(Some(tenant_id), query).await
    }

    /// Deletes what a query finds, [`IDS_MAX`] documents at most, and says how many: where a tenant's
    /// documents lie, or everywhere.
    pub(crate) async fn delete_by(
        &self,
        tenant_id: Option<TenantId>,
        query: Value,
    ) -> Result<u64, Fault> {
        #[derive(Deserialize)]
        struct Answer {
            deleted: u64,
            timed_out: bool,
            failures: Vec<serde::de::IgnoredAny>,
        }
        let body = json!({ "query": query, "max_docs": IDS_MAX });
        let answer: Answer = self
            .routed(tenant_id, Among::Searched, "_delete_by_query", &DELETED_GENTLY, body)
            .await?;
        if answer.timed_out || !answer.failures.is_empty() {
            let reason = "some documents could not be deleted".to_owned();
            return Err(Fault::Unavailable { status: 200, reason });
        }
        Ok(answer.deleted)
    }

    pub(crate) async fn routed<T: serde::de::DeserializeOwned>(
        &self,
        tenant_id: impl Into<Option<TenantId>>,
        among: Among<'_>,
        action: &str,
        options: &[(&str, &str)],
        body: Value,
    ) -> Result<T, Fault> {
        let routing = tenant_id.into().map(|tenant_id| tenant_id.to_string());
        let mut query = vec![("ignore_unavailable", "true"), ("allow_no_indices", "true")];
        query.extend(routing.as_deref().map(|routing| ("routing", routing)));
        query.extend_from_slice(options);
        let call = Call {
            method: Method::Post,
            path: &format!("/{}/{action}", among.path(self.prefix())),
            query: &query,
            body: Body::Json(body),
            timeout: IDS_TIMEOUT,
        };
        self.client().json(call).await
    }
}

const SEARCHED_WHOLE: [(&str, &str); 2] = [
    ("allow_partial_search_results", "false"),
    ("filter_path", "timed_out,_shards.failed,hits.hits._id"),
];

/// What others change meanwhile is left to them. Found again only once it is seen to be gone.
const DELETED_GENTLY: [(&str, &str); 4] = [
    ("conflicts", "proceed"),
    ("refresh", "true"),
    ("scroll_size", "1000"),
    ("requests_per_second", "5000"),
];

#[derive(Deserialize)]
struct WireId {
    #[serde(rename = "_id")]
    id: String,
}

/// An id of this tenant's log: what else is found would be somebody else's.
fn own_id(text: &str, tenant_id: TenantId) -> Result<EntryId, Fault> {
    let id = EntryId::parse(text).ok();
    id.filter(|id| id.place_in(tenant_id).is_some())
        .ok_or_else(|| Fault::Unreadable("a hit is no entry of this log".to_owned()))
}
