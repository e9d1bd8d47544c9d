//! What answers hold, from the types that are serialised.
//!
//! An answer's fields are always there, `null` where there is nothing to say, and no others are:
//! where one may be missing, it is named here.

use domain::{FRAGMENT_CHARS_MAX, FieldCode, GroupBy, HIGHLIGHTS_MAX, RANGES_MAX};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::bodies;
use crate::error::{ERRORS_MAX, Problem};
use crate::identity::Role;
use crate::routes::health::{Health, Readiness};
use crate::routes::logs::board::Session;
use crate::routes::logs::bulk::BulkAnswer;
use crate::routes::logs::cleanup::DryRun;
use crate::routes::logs::stream::Issued;
use crate::routes::logs::{expiries, list, search};
use crate::routes::{health, tenants};
use crate::store::expiry::{Certificate, Range};
use crate::store::statistics::Stats;
use crate::store::tenants::{LegalHold, RetentionKept, Settings, Tenant};

/// A reference to a schema of the document.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Every schema of the document.
pub(super) fn all() -> Value {
    let own = [
        ("Json", bodies::json_value()),
        ("NewEntry", bodies::new_entry()),
        ("NewEntries", bodies::new_entries()),
        ("NewTenant", bodies::tenant_body(true, true)),
        ("TenantChange", bodies::tenant_body(false, true)),
        ("OwnTenantChange", bodies::tenant_body(false, false)),
        ("Entry", bodies::entry()),
        ("FieldProblem", field_problem()),
        ("Problem", problem()),
        ("Bulk", bulk()),
        ("Page", page::<list::Footer>(&[])),
        ("Found", found()),
        ("Highlight", highlight()),
        ("FacetValue", answer::<search::FacetValue>(&[])),
        ("IndexState", answer::<search::Index>(&[])),
        ("Total", answer::<search::Total>(&[])),
        ("Stats", stats()),
        ("Range", answer::<Range>(&[])),
        ("DryRun", closed(joined([fields::<Range>(), fields::<DryRun>()]), &[])),
        ("Certificate", certificate()),
        ("Expiries", list_of::<expiries::Page>("Certificate")),
        ("Event", event()),
        ("Ticket", answer::<Issued>(&[])),
        ("Session", session()),
        ("RetentionKept", answer::<RetentionKept>(&[])),
        ("LegalHold", answer::<LegalHold>(&[])),
        ("Tenant", tenant()),
        ("Tenants", list_of::<tenants::Page>("Tenant")),
        ("Health", answer::<Health>(&[])),
        ("Readiness", readiness()),
    ];
    Map::from_iter(own.map(|(name, schema)| (name.to_owned(), schema))).into()
}

/// The fields of a type, with its own documentation of each; what is flattened in is not among them.
fn fields<T: ToSchema>() -> Map<String, Value> {
    let schema = serde_json::to_value(T::schema()).unwrap_or_default();
    let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    let own = parts.iter().filter_map(|part| part["properties"].as_object().cloned());
    joined(own)
}

fn joined(parts: impl IntoIterator<Item = Map<String, Value>>) -> Map<String, Value> {
    parts.into_iter().flatten().collect()
}

/// An object with all of these fields, but for those that may be missing, and no others.
pub(super) fn closed(fields: Map<String, Value>, may_miss: &[&str]) -> Value {
    let required = fields.keys().filter(|name| !may_miss.contains(&name.as_str()));
    let required: Vec<_> = required.cloned().collect();
    requiring(&required, fields)
}

/// An object with these fields at least, and none but those.
pub(super) fn requiring<T: Serialize>(required: &[T], fields: Map<String, Value>) -> Value {
    let mut object =
        json!({ "type": "object", "required": required, "additionalProperties": false });
    object["properties"] = fields.into();
    object
}

fn answer<T: ToSchema>(may_miss: &[&str]) -> Value {
    closed(fields::<T>(), may_miss)
}

/// Says more of a field than its type does, and keeps its documentation.
fn refine(fields: &mut Map<String, Value>, name: &str, schema: Value) {
    let field = fields.entry(name).or_insert(Value::Null);
    let about = field["description"].take();
    *field = schema;
    if !about.is_null() && field.is_object() {
        field["description"] = about;
    }
}

/// One of these.
pub(super) fn words(names: impl IntoIterator<Item = &'static str>) -> Value {
    json!({ "type": "string", "enum": names.into_iter().collect::<Vec<_>>() })
}

fn page<F: ToSchema>(may_miss: &[&str]) -> Value {
    let mut fields = fields::<F>();
    let about = "The entries, in the order that was asked for.";
    fields.insert(
        "data".to_owned(),
        json!({ "type": "array", "items": named("Entry"), "description": about }),
    );
    closed(fields, may_miss)
}

fn found() -> Value {
    let mut page = page::<search::Footer>(&["facets", "highlights"]);
    if let Some(fields) = page["properties"].as_object_mut() {
        refine(fields, "source", words(["opensearch", "log"]));
        refine(fields, "index", named("IndexState"));
        refine(fields, "total", named("Total"));
        let values = json!({ "type": "array", "items": named("FacetValue") });
        let facets = search::FACETS.map(|(name, _)| (name.to_owned(), values.clone()));
        let facets = Map::from_iter(facets);
        refine(
            fields,
            "facets",
            json!({ "type": "object", "properties": facets, "additionalProperties": false }),
        );
        let of_one =
            json!({ "type": "array", "maxItems": HIGHLIGHTS_MAX, "items": named("Highlight") });
        refine(fields, "highlights", json!({ "type": "object", "additionalProperties": of_one }));
    }
    page
}

fn bulk() -> Value {
    let mut fields = fields::<BulkAnswer>();
    refine(&mut fields, "errors", json!({ "type": "array", "items": named("FieldProblem") }));
    closed(fields, &["errors"])
}

fn stats() -> Value {
    let mut fields = fields::<Stats>();
    let mut row = Map::from_iter(
        GroupBy::ALL.map(|field| (field.as_str().to_owned(), json!({ "type": "string" }))),
    );
    row.insert("bucket".to_owned(), json!({ "type": "string", "format": "date-time" }));
    row.insert("count".to_owned(), json!({ "type": "integer", "minimum": 0 }));
    let groups = GroupBy::ALL.map(GroupBy::as_str);
    let row = closed(row, &[&groups[..], &["bucket"]].concat());
    let rows = json!({ "type": "array", "maxItems": domain::ROWS_MAX, "items": row });
    refine(&mut fields, "data", rows);
    closed(fields, &[])
}

fn certificate() -> Value {
    let mut fields = fields::<Certificate>();
    refine(&mut fields, "rule", words(["retention", "cleanup"]));
    closed(fields, &[])
}

fn list_of<T: ToSchema>(item: &str) -> Value {
    let mut fields = fields::<T>();
    refine(&mut fields, "data", json!({ "type": "array", "items": named(item) }));
    closed(fields, &[])
}

fn session() -> Value {
    let mut fields = fields::<Session>();
    refine(&mut fields, "auth", words(["gateway", "jwt", "dev"]));
    refine(
        &mut fields,
        "roles",
        json!({ "type": "array", "items": words(Role::ALL.map(Role::as_str)) }),
    );
    closed(fields, &[])
}

fn tenant() -> Value {
    let mut fields = joined([fields::<Settings>(), fields::<Tenant>()]);
    refine(&mut fields, "retention_kept", or_null(named("RetentionKept")));
    refine(&mut fields, "legal_hold", or_null(named("LegalHold")));
    refine(
        &mut fields,
        "limits",
        // Others than of today's classes may be there from before, and have no effect.
        json!({ "type": "object", "additionalProperties": { "type": ["string", "integer"] } }),
    );
    closed(fields, &[])
}

fn readiness() -> Value {
    let mut fields = fields::<Readiness>();
    refine(&mut fields, "status", words(["ready", "not ready"]));
    refine(&mut fields, "parts", answer::<health::Parts>(&[]));
    closed(fields, &[])
}

fn problem() -> Value {
    let mut fields = fields::<Problem<'static>>();
    // Each answer names those that it may have, and some viewers would show all of them there.
    refine(&mut fields, "code", json!({ "type": "string" }));
    refine(&mut fields, "type", json!({ "type": "string", "format": "uri" }));
    for name in ["oldest_cursor", "error_id"] {
        refine(&mut fields, name, json!({ "type": "string" }));
    }
    refine(&mut fields, "status", json!({ "type": "integer", "minimum": 400, "maximum": 599 }));
    refine(
        &mut fields,
        "errors",
        json!({ "type": "array", "items": named("FieldProblem"), "minItems": 1, "maxItems": ERRORS_MAX }),
    );
    let mut problem = closed(fields, &["errors", "oldest_cursor", "error_id"]);
    // RFC 9457 lets problems grow: a client passes over what it does not know.
    problem["additionalProperties"] = json!(true);
    problem
}

fn field_problem() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let mut fields = Map::new();
    let index = json!({ "type": "integer", "minimum": 0, "description": "Which entry of a batch, from 0." });
    fields.insert("index".to_owned(), index);
    fields.insert("field".to_owned(), text("Which field, as a dotted path; empty for the whole."));
    fields.insert("code".to_owned(), words(FieldCode::ALL.map(FieldCode::as_str)));
    fields.insert("detail".to_owned(), text("What to do about it."));
    closed(fields, &["index"])
}

/// One event of a stream, as its lines are read; it comes as text.
fn event() -> Value {
    let mut fields = Map::new();
    let about = "The kind of frame, the same as `type` in `data`.";
    let kinds = words(["hello", "log", "heartbeat", "gap", "error"]);
    fields.insert("event".to_owned(), described(kinds, about));
    let text = |about: &str| described(json!({ "type": "string" }), about);
    fields.insert("id".to_owned(), text("The cursor, to go on from behind this event."));
    fields.insert("data".to_owned(), text("The frame as JSON: see docs/asyncapi.json."));
    closed(fields, &[])
}

fn highlight() -> Value {
    let range = json!({ "type": "array", "items": { "type": "integer", "minimum": 0 }, "minItems": 2, "maxItems": 2 });
    let mut fields = Map::new();
    fields.insert(
        "field".to_owned(),
        json!({ "type": "string", "description": "The field, or the path inside it." }),
    );
    let about = "As the entry has it, or the part of it around the first match.";
    fields.insert(
        "text".to_owned(),
        json!({ "type": "string", "maxLength": FRAGMENT_CHARS_MAX, "description": about }),
    );
    let about = "The first character of each match in `text`, and the one behind its last.";
    fields.insert(
        "ranges".to_owned(),
        json!({ "type": "array", "maxItems": RANGES_MAX, "items": range, "description": about }),
    );
    closed(fields, &[])
}

/// The same or nothing.
pub(super) fn or_null(schema: Value) -> Value {
    let either = vec![schema, json!({ "type": "null" })];
    json!({ "anyOf": either })
}

/// With a word about it.
pub(super) fn described(mut schema: Value, about: &str) -> Value {
    schema["description"] = json!(about);
    schema
}
