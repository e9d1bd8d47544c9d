//! How OpenSearch says that our indices are.

use std::time::Duration;

use opensearch::http::Method;
use serde::Deserialize;

use crate::client::{Body, Call};
use crate::{Fault, Index};

/// Whether every part of our indices has its place, by OpenSearch's own word.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Health {
    /// `green`; `yellow` when copies are missing; `red` when parts are.
    pub status: String,
    /// Nodes of the cluster.
    #[serde(rename = "number_of_nodes")]
    pub nodes: u32,
    /// Parts and copies without a place.
    #[serde(rename = "unassigned_shards")]
    pub unassigned: u32,
}

impl Index {
    /// How our indices are, and nobody else's.
    pub async fn health(&self, timeout: Duration) -> Result<Health, Fault> {
        let path = format!("/_cluster/health/{}", self.prefix().any_index());
        let query = &[("expand_wildcards", "all"), ("level", "cluster")];
        let body = Body::None;
        self.client().json(Call { method: Method::Get, path: &path, query, body, timeout }).await
    }
}
