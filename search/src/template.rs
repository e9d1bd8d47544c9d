//! The template: how an index of ours keeps documents. A change here needs a new number,
//! [`TEMPLATE`](crate::TEMPLATE), and a `reindex` after it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::names::{Prefix, TEMPLATE};
use crate::owner::meta;

/// Stronger than templates that people make for everything.
const PRIORITY: u32 = 500;

/// What a document is searched by beside the entry's own fields. Made from those, and as large
/// again, so it is not kept in the source.
const SEARCHED: [&str; 5] = ["text", "kv", "message_words", "user_name_words", "user_agent_words"];

/// Between two values of `text`: farther than any phrase is long.
const POSITION_GAP: u32 = 10_000;

/// What an operator may choose about indices; counts for months that begin after it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Parts of a month's index.
    pub shards: u32,
    /// Copies of each; unset: one as soon as there is a second node.
    pub replicas: Option<u32>,
    /// How soon a document is found.
    pub refresh: Duration,
}

impl Default for Shape {
    fn default() -> Self {
        Self { shards: 1, replicas: None, refresh: Duration::from_secs(1) }
    }
}

impl Shape {
    /// A tenant lies on this many shards: on one, unless there are so many that a large tenant would
    /// make one of them much larger than the others.
    fn shards_of_a_tenant(self) -> u32 {
        (self.shards / 2).max(1)
    }
}

/// The body of this program's template, and whose it is.
pub(crate) fn template(prefix: &Prefix, shape: Shape, owner: Option<&str>) -> Value {
    let mut mappings = mappings();
    if let Some(owner) = owner {
        mappings["_meta"] = meta(owner);
    }
    json!({
        "index_patterns": [prefix.pattern(TEMPLATE)],
        "priority": PRIORITY,
        "version": TEMPLATE,
        "template": { "settings": settings(shape), "mappings": mappings },
    })
}

fn settings(shape: Shape) -> Value {
    let mut index = json!({
        "number_of_shards": shape.shards,
        // Said out loud, it also refreshes when nobody searches.
        "refresh_interval": format!("{}ms", shape.refresh.as_millis()),
        // The score of a match is its boost, whatever else is in the index: else pages by score
        // would repeat and skip while documents come in.
        "similarity": { "default": { "type": "boolean" } },
        "analysis": {
            "tokenizer": { "spaces": {
                "type": "char_group",
                "tokenize_on_chars": [" "],
                // It would cut longer ones. `domain` has none, also after lower-casing.
                "max_token_length": 4 * domain::WORD_UNITS_MAX,
            } },
            "analyzer": { "words": { "type": "custom", "tokenizer": "spaces" } },
        },
    });
    match shape.replicas {
        Some(replicas) => index["number_of_replicas"] = json!(replicas),
        None => index["auto_expand_replicas"] = json!("0-1"),
    }
    if shape.shards_of_a_tenant() > 1 {
        index["routing_partition_size"] = json!(shape.shards_of_a_tenant());
    }
    json!({ "index": index })
}

fn mappings() -> Value {
    let keyword = || json!({ "type": "keyword", "similarity": "boolean" });
    let date = || json!({ "type": "date", "format": "strict_date_time" });
    let words = || {
        json!({
            "type": "text",
            "analyzer": "words",
            "similarity": "boolean",
            "norms": false,
            "position_increment_gap": POSITION_GAP,
        })
    };
    // In the source only: kept for people, searched through `text` and `kv`.
    let shown = || json!({ "type": "keyword", "index": false, "doc_values": false });
    // Takes any JSON, as it is not looked at.
    let any = || json!({ "type": "object", "enabled": false });
    json!({
        "dynamic": "strict",
        "_routing": { "required": true },
        "_source": { "excludes": SEARCHED },
        "properties": {
            "id": shown(),
            "seq": { "type": "long" },
            "tenant_id": keyword(),
            "recorded_at": date(),
            "recorded_by": keyword(),
            "occurred_at": date(),
            "user_id": keyword(),
            "user_name": keyword(),
            "session_id": keyword(),
            "request_id": keyword(),
            "action": keyword(),
            "resource_type": keyword(),
            "resource_id": keyword(),
            "severity": keyword(),
            "message": shown(),
            "ip_address": { "type": "ip" },
            "user_agent": keyword(),
            "before": any(),
            "after": any(),
            "metadata": any(),
            "text": words(),
            "kv": keyword(),
            "message_words": words(),
            "user_name_words": words(),
            "user_agent_words": words(),
            "index_error": keyword(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_an_entry_is_mapped() {
        let mappings = mappings();
        for field in domain::StoredEntry::FIELDS {
            assert!(mappings["properties"][field].is_object(), "{field}");
        }
    }

    #[test]
    fn a_tenant_never_lies_on_all_of_several_shards() {
        for shards in 2..100 {
            let part = Shape { shards, ..Shape::default() }.shards_of_a_tenant();
            assert!((1..shards).contains(&part), "{shards}");
        }
    }
}
