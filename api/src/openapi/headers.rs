//! Headers of requests and answers.

use domain::ProblemCode;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::idempotency;

/// Every header of an answer: its name, its schema, what it says.
fn known() -> [(&'static str, Value, &'static str); 22] {
    let text = || json!({ "type": "string" });
    let number = || json!({ "type": "string", "pattern": "^[0-9]+$" });
    [
        (
            "X-Request-Id",
            json!({ "type": "string", "minLength": 1, "maxLength": 256 }),
            "The request's id: the one that was sent, or ours.",
        ),
        (
            "X-Content-Type-Options",
            json!({ "type": "string", "const": "nosniff" }),
            "An answer is what it says it is.",
        ),
        ("Location", text(), "Where what was made can be read."),
        (
            "Idempotency-Replayed",
            json!({ "type": "string", "const": "true" }),
            "Only on an answer that this key was given before.",
        ),
        (
            "ETag",
            json!({ "type": "string", "pattern": "^\"[0-9a-f-]{36}\"$" }),
            "The entry's id: an entry never changes.",
        ),
        ("Cache-Control", text(), "Who may keep the answer, and for how long."),
        (
            "Link",
            json!({ "type": "string", "pattern": "^<.+>; rel=\"next\"$" }),
            "The same request for the next page; missing on the last.",
        ),
        ("Retry-After", number(), "Seconds after which trying again may help."),
        (
            "WWW-Authenticate",
            json!({ "type": "string", "enum": ["Gateway", "Bearer", "Ticket"] }),
            "What counts as a proof here.",
        ),
        ("RateLimit-Limit", number(), "Requests that the limit allows, where one is set."),
        ("RateLimit-Remaining", number(), "What is left of them."),
        ("RateLimit-Reset", number(), "Seconds until all are there again."),
        ("Content-Disposition", text(), "A file name that says whose log and when."),
        (
            "X-Export-Id",
            json!({ "type": "string", "format": "uuid" }),
            "The `resource_id` of the log's entry `export.completed`; without that entry the export is not whole.",
        ),
        ("X-Export-First-Seq", number(), "The first number of the range."),
        ("X-Export-Last-Seq", number(), "The last number of the range: the head when it began."),
        ("Trailer", text(), "With `TE: trailers`: the trailers that follow."),
        ("Content-Security-Policy", text(), "What the page may load: only what comes from here."),
        (
            "X-Accel-Buffering",
            json!({ "type": "string", "const": "no" }),
            "Events are not to be kept back.",
        ),
        (
            "Upgrade",
            json!({ "type": "string", "const": "websocket" }),
            "The protocol that follows.",
        ),
        ("Connection", text(), "`upgrade`."),
        ("Sec-WebSocket-Accept", text(), "As RFC 6455 says."),
    ]
}

/// Headers that each answer that may have them always has.
const ALWAYS: [&str; 9] = [
    "X-Request-Id",
    "X-Content-Type-Options",
    "Location",
    "ETag",
    "Content-Disposition",
    "X-Export-Id",
    "X-Export-First-Seq",
    "X-Export-Last-Seq",
    "Content-Security-Policy",
];

/// The headers that any answer below the base has where a limit is set.
pub(super) const LIMITS: [&str; 3] = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];

/// All of them, for the document's components.
pub(super) fn all() -> Value {
    let headers = known().map(|(name, schema, about)| {
        let required = ALWAYS.contains(&name);
        (name.to_owned(), json!({ "description": about, "schema": schema, "required": required }))
    });
    Map::from_iter(headers).into()
}

/// The headers of one answer.
pub(super) fn of_answer(own: &[&str]) -> Value {
    let named = ["X-Request-Id", "X-Content-Type-Options"].iter().chain(own).map(|name| {
        ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
    });
    named.collect::<Map<_, _>>().into()
}

/// The headers of an answer with one of these problems.
pub(super) fn of_problem(status: u16) -> Value {
    let is = |code| ApiError::status_of(code).as_u16() == status;
    if is(ProblemCode::Unauthenticated) {
        of_answer(&["WWW-Authenticate"])
    } else if is(ProblemCode::RateLimited) {
        of_answer(&[&["Retry-After"], &LIMITS[..]].concat())
    } else if is(ProblemCode::DatabaseUnavailable) {
        of_answer(&["Retry-After"])
    } else {
        of_answer(&[])
    }
}

fn parameter(name: &str, schema: &Value, about: &str, example: &str) -> Value {
    json!({ "name": name, "in": "header", "schema": schema, "description": about, "example": example })
}

/// Anything may stand there: what is no id is replaced.
pub(super) fn request_id() -> Value {
    let about = "The caller's id of the request, one of 1 to 256 visible ASCII characters; else it gets ours. Entries \
        that name no `request_id` get it.";
    parameter("X-Request-Id", &json!({ "type": "string" }), about, "req-7f3a")
}

pub(super) fn content_encoding() -> Value {
    let schema =
        json!({ "type": "string", "enum": ["identity", "gzip", "zstd"], "default": "identity" });
    parameter("Content-Encoding", &schema, "How the body is packed.", "identity")
}

pub(super) fn idempotency_key() -> Value {
    let pattern = format!("^[!-~]{{1,{}}}$", idempotency::KEY_LEN_MAX);
    let about = "Makes the request safe to repeat for 24 h: the same request by the same principal gets the first answer \
        again, another one 409.";
    parameter(
        "Idempotency-Key",
        &json!({ "type": "string", "pattern": pattern }),
        about,
        "invoice-4711-paid",
    )
}

pub(super) fn if_none_match() -> Value {
    let about = "Tags of what the caller has: 304 when the entry is among them.";
    parameter(
        "If-None-Match",
        &json!({ "type": "string" }),
        about,
        "\"01996f5e-5f2a-7000-8000-000000000001\"",
    )
}

pub(super) fn te() -> Value {
    let about = "`trailers`: rows, first and last number and the hash follow as trailers.";
    parameter("TE", &json!({ "type": "string" }), about, "trailers")
}

pub(super) fn last_event_id() -> Value {
    let about = "With events: the last `id` received. Beats `cursor`.";
    parameter("Last-Event-ID", &json!({ "type": "string" }), about, super::examples::LIVE_CURSOR)
}

pub(super) fn upgrade() -> Value {
    let about = "For a WebSocket, with the other headers of RFC 6455; else events, with `Accept: text/event-stream`.";
    parameter("Upgrade", &json!({ "type": "string", "const": "websocket" }), about, "websocket")
}

pub(super) fn origin() -> Value {
    let about = "Of a page: the service's own, or one of `AUDIT_ALLOWED_ORIGINS`.";
    parameter("Origin", &json!({ "type": "string" }), about, "http://127.0.0.1:8000")
}
