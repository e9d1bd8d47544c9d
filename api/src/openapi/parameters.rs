//! Parameters of query strings and paths.

use domain::{FILTER_VALUES_MAX, Filter, GroupBy, Interval, QUERY_BYTES_MAX, Severity};
use serde_json::{Value, json};

use super::examples;
use crate::routes::logs::search::FACETS;

/// One that may be given once.
fn query(name: &str, schema: &Value, about: &str) -> Value {
    json!({ "name": name, "in": "query", "schema": schema, "description": about })
}

/// With an example.
fn shown(mut parameter: Value, example: &str) -> Value {
    parameter["example"] = json!(example);
    parameter
}

/// One that may repeat.
fn repeated(name: &str, items: &Value, about: &str) -> Value {
    let schema =
        json!({ "type": "array", "minItems": 1, "maxItems": FILTER_VALUES_MAX, "items": items });
    let about = format!(
        "{about} Repeated: any of them; with all other filters {FILTER_VALUES_MAX} values at most."
    );
    let mut parameter = query(name, &schema, &about);
    parameter["style"] = json!("form");
    parameter["explode"] = json!(true);
    parameter
}

fn flag(name: &str, about: &str) -> Value {
    query(name, &json!({ "type": "boolean", "default": false }), about)
}

fn number(name: &str, max: Option<u32>, about: &str) -> Value {
    let mut schema = json!({ "type": "integer", "minimum": 1 });
    schema["maximum"] = max.map_or(json!(i64::MAX), |max| json!(max));
    query(name, &schema, about)
}

fn words<const N: usize>(names: [&'static str; N]) -> Value {
    json!({ "type": "string", "enum": names.as_slice() })
}

/// The exact filters, in the order of [`Filter::PARAMETERS`].
pub(super) fn filters() -> Vec<Value> {
    Filter::PARAMETERS.iter().map(|name| filter(name)).collect()
}

fn filter(name: &str) -> Value {
    let time = || json!({ "type": "string", "format": "date-time" });
    let text = |max: u32| json!({ "type": "string", "minLength": 1, "maxLength": max, "pattern": "^[^\\x00]*$" });
    let severity = || words(Severity::ALL.map(Severity::as_str));
    match name {
        "from" => shown(
            query(name, &time(), "Occurred then or later; not after `to`."),
            "2026-01-01T00:00:00Z",
        ),
        "to" => shown(query(name, &time(), "Occurred before."), "2027-01-01T00:00:00Z"),
        "severity" => repeated(name, &severity(), "How grave."),
        "severity_min" => query(name, &severity(), "At least so grave."),
        "action" => {
            let schema = json!({ "type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$" });
            repeated(name, &schema, "What was done.")
        }
        "resource_type" => repeated(name, &text(64), "The kind of thing."),
        "resource_id" => repeated(name, &text(256), "The thing."),
        "user_id" => repeated(name, &text(256), "The actor."),
        "session_id" => repeated(name, &text(256), "The actor's session."),
        name => repeated(name, &text(256), "What correlates the entries of one request."),
    }
}

pub(super) fn q() -> Value {
    let schema = json!({ "type": "string", "minLength": 1, "maxLength": QUERY_BYTES_MAX });
    let about =
        "Words, \"phrases\", prefix*, field:value, -not, OR and parentheses: see docs/search.md.";
    shown(query("q", &schema, about), "invoice -draft")
}

pub(super) fn cursor(about: &str) -> Value {
    query("cursor", &json!({ "type": "string", "minLength": 1 }), about)
}

pub(super) fn limit(max: u32) -> Value {
    let mut limit =
        number("limit", Some(max), "How many at most; fewer may come although there are more.");
    limit["schema"]["default"] = json!(100);
    limit
}

pub(super) fn order() -> Value {
    query(
        "order",
        &words(["desc", "asc"]),
        "From new to old, or from old to new; desc unless asked.",
    )
}

pub(super) fn sort() -> Value {
    query("sort", &words(["newest", "relevance"]), "newest unless asked.")
}

pub(super) fn highlight() -> Value {
    flag("highlight", "Whether to say where each entry has what was asked for.")
}

pub(super) fn facets() -> Value {
    let items = words(FACETS.map(|(name, _)| name));
    let schema = json!({ "type": "array", "items": items, "minItems": 1, "uniqueItems": true });
    let mut parameter =
        query("facets", &schema, "Fields whose values are counted, with commas between.");
    parameter["style"] = json!("form");
    parameter["explode"] = json!(false);
    parameter
}

pub(super) fn group_by() -> Value {
    let items = words(GroupBy::ALL.map(GroupBy::as_str));
    let schema = json!({
        "type": "array", "items": items, "minItems": 1, "maxItems": GroupBy::AT_ONCE_MAX, "uniqueItems": true,
    });
    let mut parameter = query(
        "group_by",
        &schema,
        "Fields whose values are counted apart; also with commas between.",
    );
    parameter["style"] = json!("form");
    parameter["explode"] = json!(true);
    parameter
}

pub(super) fn interval() -> Value {
    query(
        "interval",
        &words(Interval::ALL.map(Interval::as_str)),
        "Counted apart by when they occurred.",
    )
}

pub(super) fn tz() -> Value {
    let schema = json!({ "type": "string", "minLength": 1, "default": "UTC" });
    shown(
        query("tz", &schema, "Where days begin: a time zone of the IANA database."),
        "Europe/Berlin",
    )
}

pub(super) fn partial() -> Value {
    flag("partial", "Whether the good entries are written although others are refused.")
}

pub(super) fn format() -> Value {
    query("format", &words(["json", "ndjson", "csv"]), "json unless asked.")
}

pub(super) fn raw() -> Value {
    flag("raw", "With format=csv: cells that a spreadsheet would run come without the leading '.")
}

pub(super) fn max_entries() -> Value {
    number("max_entries", None, "Ends after so many, on purpose.")
}

pub(super) fn older_than() -> Value {
    let about = "Recorded before; brought down to the start of its UTC day and to what must be kept at least.";
    let mut parameter =
        query("older_than", &json!({ "type": "string", "format": "date-time" }), about);
    parameter["required"] = json!(true);
    shown(parameter, "2020-01-01T00:00:00Z")
}

pub(super) fn dry_run() -> Value {
    shown(flag("dry_run", "Whether only to say what would go; gives `confirm`."), "true")
}

pub(super) fn confirm() -> Value {
    query(
        "confirm",
        &json!({ "type": "string", "minLength": 1 }),
        "From the dry run of the same range.",
    )
}

pub(super) fn include_self() -> Value {
    flag("include_self", "Whether entries of the service itself come, too.")
}

fn in_path(name: &str, schema: &Value, about: &str, example: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": schema, "description": about, "example": example })
}

/// What is no id names nothing: 404.
pub(super) fn id(about: &str, example: &str) -> Value {
    in_path("id", &json!({ "type": "string", "format": "uuid" }), about, example)
}

pub(super) fn version() -> Value {
    let text = json!({ "type": "string" });
    in_path("version", &text, "Changes with any of the files.", examples::VERSION)
}

pub(super) fn file(example: &str) -> Value {
    in_path("file", &json!({ "type": "string" }), "Its name.", example)
}
