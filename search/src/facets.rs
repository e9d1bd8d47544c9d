//! Values of a field, counted among what was found.

use domain::Severity;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Fault;
use crate::request::{Facet, FacetField};

/// Values of one facet.
pub const FACET_VALUES_MAX: usize = 100;

/// Values that each shard names, of which the most frequent are taken: the more, the more exact where
/// a field has many values.
const SHARD_VALUES_MAX: usize = 1_000;

impl FacetField {
    /// The field of a document, which is also the name of the aggregation.
    fn name(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Severity => "severity",
            Self::ResourceType => "resource_type",
            Self::UserId => "user_id",
        }
    }
}

pub(crate) fn body(fields: &[FacetField]) -> Value {
    let aggregation = |field: &FacetField| {
        let terms = json!({ "terms": {
            "field": field.name(),
            "size": FACET_VALUES_MAX,
            "shard_size": SHARD_VALUES_MAX,
        } });
        (field.name().to_owned(), terms)
    };
    Value::Object(fields.iter().map(aggregation).collect::<Map<_, _>>())
}

pub(crate) fn read(fields: &[FacetField], found: Option<&Value>) -> Result<Vec<Facet>, Fault> {
    fields.iter().map(|field| read_one(*field, found)).collect()
}

fn read_one(field: FacetField, found: Option<&Value>) -> Result<Facet, Fault> {
    #[derive(Deserialize)]
    struct Terms {
        buckets: Vec<Bucket>,
    }
    #[derive(Deserialize)]
    struct Bucket {
        key: String,
        doc_count: u64,
    }
    let Some(found) = found.and_then(|found| found.get(field.name())) else {
        // Where there is no index yet, there are no aggregations either.
        return Ok(Facet { field, values: Vec::new() });
    };
    let terms = Terms::deserialize(found).map_err(|error| Fault::of_json(&error))?;
    let value = |bucket: Bucket| (value(field, bucket.key), bucket.doc_count);
    Ok(Facet { field, values: terms.buckets.into_iter().map(value).collect() })
}

/// The value as it is told: of a severity the rank.
fn value(field: FacetField, key: String) -> String {
    match (field, Severity::parse(&key)) {
        (FacetField::Severity, Ok(severity)) => severity.rank().to_string(),
        _ => key,
    }
}
