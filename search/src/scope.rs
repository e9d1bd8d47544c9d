//! What every question is about: one tenant, a range of its numbers, and where to look. The one place
//! that says so.

use domain::TenantId;
use serde_json::{Value, json};

use crate::names::{IndexName, Prefix};

/// A range of a tenant's numbers, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Whose log.
    pub tenant_id: TenantId,
    /// The first number.
    pub first_seq: i64,
    /// The last number.
    pub last_seq: i64,
}

impl Range {
    /// What each document in the range passes, and no other.
    pub(crate) fn filters(&self) -> [Value; 2] {
        [
            json!({ "term": { "tenant_id": self.tenant_id.to_string() } }),
            json!({ "range": { "seq": { "gte": self.first_seq, "lte": self.last_seq } } }),
        ]
    }

    /// The header of a search among several.
    pub(crate) fn header(&self, indices: &str) -> Value {
        json!({
            "index": indices,
            "routing": self.tenant_id.to_string(),
            // Copies of a shard see new documents at different moments: counts and searches of a
            // tenant keep to the same ones.
            "preference": self.tenant_id.to_string(),
            // No index yet: nothing to find.
            "ignore_unavailable": true,
            "allow_no_indices": true,
            // Half an answer is none.
            "allow_partial_search_results": false,
        })
    }
}

/// Which indices are asked.
#[derive(Debug, Clone, Copy)]
pub enum Among<'a> {
    /// Those that are searched.
    Searched,
    /// This one.
    Index(&'a IndexName),
}

impl Among<'_> {
    pub(crate) fn path(self, prefix: &Prefix) -> String {
        match self {
            Self::Searched => prefix.read_alias().to_owned(),
            Self::Index(name) => name.to_string(),
        }
    }
}
