//! What goes to OpenSearch, for who compares with OpenSearch itself: the benchmark.

use serde_json::Value;

use crate::bulk::Write;
use crate::scope::{Among, Range};
use crate::{Document, Index, SearchRequest, query};

impl Index {
    /// Path and body of a request that is this search and nothing else.
    pub fn search_call(&self, request: &SearchRequest<'_>) -> (String, Value) {
        let SearchRequest { tenant_id, floor_seq, last_seq, .. } = *request;
        let range = Range { tenant_id, first_seq: floor_seq, last_seq };
        let indices = Among::Searched.path(self.prefix());
        let path = format!(
            "/{indices}/_search?routing={tenant_id}&ignore_unavailable=true\
             &allow_no_indices=true&allow_partial_search_results=false"
        );
        (path, query::body(request, &range))
    }

    /// The lines of a bulk request that brings documents into the indices of their months.
    pub fn bulk_lines(&self, documents: &[Document]) -> Vec<u8> {
        let mut lines = Vec::with_capacity(documents.iter().map(Document::bytes).sum());
        for document in documents {
            let alias = self.prefix().write_alias(document.month());
            document.write_as(Write::New, &alias, true, &mut lines);
        }
        lines
    }

    /// The path of a search in all that this prefix has.
    pub fn searched(&self) -> String {
        Among::Searched.path(self.prefix())
    }
}
