//! What entries are and what is said of tenants: read and written by hand, so described by hand.

use domain::{Action, ENTRIES_MAX, Masking, Message, NewEntry, Severity, UserAgent};
use serde_json::{Map, Value, json};

use super::schemas::{closed, described, named, or_null, requiring, words};
use crate::rates::Class;
use crate::tenant_patch::{REASON_CHARS_MAX, RETENTION_DAYS_MAX};

/// A text of ours with a bound in characters, without NUL.
const NO_NUL: &str = "^[^\\x00]*$";

fn text(min: usize, max: usize) -> Value {
    json!({ "type": "string", "minLength": min, "maxLength": max, "pattern": NO_NUL })
}

/// Any JSON that an entry may hold.
pub(super) fn json_value() -> Value {
    json!({
        "description": "Any JSON, up to 16 deep; numbers have up to 128 characters; no NUL; no key twice.",
        "anyOf": [
            { "type": ["null", "boolean", "number"] },
            { "type": "string", "pattern": NO_NUL },
            { "type": "array", "items": named("Json") },
            json_object(),
        ],
    })
}

fn json_object() -> Value {
    let names = json!({ "maxLength": 256, "pattern": NO_NUL });
    json!({ "type": "object", "propertyNames": names, "additionalProperties": named("Json") })
}

fn action() -> Value {
    json!({ "type": "string", "pattern": format!("^[A-Za-z0-9._:-]{{1,{}}}$", Action::LEN_MAX) })
}

fn address() -> Value {
    json!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] })
}

/// What a field holds, under its name and what is said of it; the same for what is sent and answered.
fn content() -> [(&'static str, Value, &'static str); 15] {
    let severity = || words(Severity::ALL.map(Severity::as_str));
    let time = || json!({ "type": "string", "format": "date-time" });
    [
        (
            "occurred_at",
            time(),
            "When it happened: from 1970 to 5 minutes ahead, cut to milliseconds. Else `recorded_at`.",
        ),
        ("user_id", text(1, 256), "The actor. Else the caller."),
        (
            "user_name",
            text(1, 256),
            "The actor's name. Else the caller's, where the actor is the caller.",
        ),
        ("session_id", text(1, 256), "The actor's session."),
        (
            "request_id",
            text(1, 256),
            "What correlates the entries of one request. Else the caller's `X-Request-Id`.",
        ),
        ("action", action(), "What was done: CREATE, UPDATE, DELETE, VIEW, or a name of your own."),
        (
            "resource_type",
            text(1, 64),
            "The kind of thing it was done to. `audit_log` stands for the service itself.",
        ),
        ("resource_id", text(0, 256), "The thing it was done to."),
        ("severity", severity(), "How grave it is. Else INFO."),
        (
            "message",
            message(),
            "What a person reads about it, up to 8,192 bytes; card numbers are masked.",
        ),
        ("ip_address", address(), "Where the actor was. Else where the request came from."),
        (
            "user_agent",
            json!({ "type": "string", "pattern": NO_NUL }),
            "The actor's program, cut at 512 characters. Else the request's.",
        ),
        ("before", named("Json"), "The thing before. Secrets under sensitive keys are masked."),
        ("after", named("Json"), "The thing after. The same."),
        ("metadata", json_object(), "The caller's own data: an object. The same."),
    ]
}

fn message() -> Value {
    json!({ "type": "string", "maxLength": Message::BYTES_MAX, "pattern": NO_NUL })
}

const ALIASES: [(&str, &str); 3] =
    [("before", "before_state"), ("after", "after_state"), ("metadata", "log_metadata")];

/// What an entry cannot do without.
const REQUIRED: [&str; 2] = ["action", "resource_type"];

/// An entry as it is sent: `null` says nothing.
pub(super) fn new_entry() -> Value {
    let mut fields = Map::new();
    for (name, schema, about) in content() {
        let mut schema = if REQUIRED.contains(&name) { schema } else { or_null(schema) };
        schema["description"] = json!(about);
        if name == "resource_type" {
            schema["not"] = json!({ "const": NewEntry::OWN_RESOURCE_TYPE });
        }
        fields.insert(name.to_owned(), schema);
    }
    let mut either = Vec::new();
    for (name, alias) in ALIASES {
        let mut schema = fields[name].clone();
        schema["description"] = json!(format!("Another name of `{name}`: give one of them."));
        schema["deprecated"] = json!(true);
        fields.insert(alias.to_owned(), schema);
        either.push(json!({ "not": { "required": [name, alias] } }));
    }
    let mut entry = requiring(&REQUIRED, fields);
    entry["description"] = json!("At most 64 KiB of compact JSON as it is stored.");
    entry["allOf"] = either.into();
    entry
}

pub(super) fn new_entries() -> Value {
    let entries = json!({ "type": "array", "minItems": 1, "maxItems": ENTRIES_MAX, "items": named("NewEntry") });
    let fields = Map::from_iter([("logs".to_owned(), entries.clone())]);
    json!({ "anyOf": [entries, closed(fields, &[])] })
}

/// An entry as it is answered.
pub(super) fn entry() -> Value {
    let mut fields = Map::new();
    let uuid = || json!({ "type": "string", "format": "uuid" });
    let time = || json!({ "type": "string", "format": "date-time" });
    for (name, schema, about) in [
        (
            "id",
            uuid(),
            "A UUIDv7 that is the entry's place; it tells how many entries its day has.",
        ),
        ("seq", json!({ "type": "integer", "minimum": 1 }), "Its number in the tenant's log."),
        ("tenant_id", uuid(), "Whose log."),
        ("recorded_at", time(), "The database's time; never decreases within a log."),
        ("recorded_by", text(1, 256), "The authenticated principal."),
    ] {
        fields.insert(name.to_owned(), described(schema, about));
    }
    for (name, schema, about) in content() {
        let always =
            ["occurred_at", "user_id", "action", "resource_type", "severity"].contains(&name);
        let mut schema = if always { schema } else { or_null(schema) };
        if name == "user_agent" {
            schema = or_null(text(0, UserAgent::CHARS_MAX));
        }
        fields.insert(
            name.to_owned(),
            described(schema, about.split(" Else").next().unwrap_or(about)),
        );
    }
    closed(fields, &[])
}

const OWN_LIMITS: &str = "How often it may ask, by class of requests, instead of `AUDIT_RATE_LIMITS`: `500/s:1000` is \
    500 a second and up to 1,000 at once, `/m` and `/h` a minute and an hour, `off` no limit. All that may be asked at \
    once comes back within 24 hours.";

fn own_limits() -> Value {
    let count = "([1-9][0-9]{0,5}|1000000)";
    let pattern = format!("^(off|{count}/[smh](:{count})?)$");
    let limit =
        |class: Class| (class.as_str().to_owned(), json!({ "type": "string", "pattern": pattern }));
    requiring::<&str>(&[], Class::ALL.map(limit).into_iter().collect())
}

/// What may be said of a tenant.
pub(super) fn tenant_body(new: bool, operator: bool) -> Value {
    let reason = text(1, REASON_CHARS_MAX);
    let hold = closed(Map::from_iter([("reason".to_owned(), reason)]), &[]);
    let key = json!({ "type": "string", "minLength": 1, "maxLength": Masking::EXTRA_KEY_CHARS_MAX, "pattern": NO_NUL });
    let keys = json!({ "type": "array", "maxItems": Masking::EXTRA_KEYS_MAX, "items": key });
    let days = json!({ "type": "integer", "minimum": 1, "maximum": RETENTION_DAYS_MAX });
    let mut fields = Map::new();
    for (name, schema, about) in [
        ("name", text(1, 256), "For people."),
        (
            "retention_days",
            days,
            "Days that entries are kept; at least `AUDIT_RETENTION_MIN_DAYS`.",
        ),
        ("legal_hold", or_null(hold), "While there is one, nothing expires; `null` lifts it."),
        ("masking", json!({ "type": "boolean" }), "Whether secrets are masked before storing."),
        ("masked_keys", keys, "Keys masked beside the built-in ones."),
        ("record_reads", json!({ "type": "boolean" }), "Whether the log says who read it."),
    ] {
        fields.insert(name.to_owned(), described(schema, about));
    }
    if operator {
        fields.insert("limits".to_owned(), described(own_limits(), OWN_LIMITS));
        fields.insert(
            "suspended".to_owned(),
            described(json!({ "type": "boolean" }), "Whether writing is refused."),
        );
    }
    if new {
        let id = json!({ "type": "string", "format": "uuid" });
        fields.insert("id".to_owned(), described(id, "Names its log; else one is made."));
    }
    requiring(if new { &["name"] } else { &[] }, fields)
}
