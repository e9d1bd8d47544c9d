//! Problems: which there are, and what a client does about each.

use domain::ProblemCode;
use serde_json::{Map, Value, json};

use super::{examples, headers, schemas};
use crate::error::ApiError;

/// The media type of every refusal.
pub(super) const MEDIA: &str = "application/problem+json";

/// An answer of this status, with one of these codes.
pub(super) fn answer(status: u16, codes: &[ProblemCode]) -> Value {
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let urns: Vec<_> = codes.iter().map(|code| ApiError::type_of(*code)).collect();
    let lines = codes.iter().map(|code| format!("- `{}`: {}", code.as_str(), remedy(*code)));
    let lines: Vec<_> = lines.collect();
    let examples = codes.iter().map(|code| {
        let name = code.as_str();
        (name.to_owned(), json!({ "$ref": format!("#/components/examples/{name}") }))
    });
    let schema = json!({
        "allOf": [
            schemas::named("Problem"),
            { "properties": { "code": { "enum": names }, "type": { "enum": urns }, "status": { "const": status } } },
        ],
    });
    let content = json!({ "schema": schema, "examples": examples.collect::<Map<_, _>>() });
    json!({
        "description": lines.join("\n"),
        "headers": headers::of_problem(status),
        "content": { MEDIA: content },
    })
}

/// One of each, for the document's components.
pub(super) fn all_examples() -> Value {
    let examples = ProblemCode::ALL.map(|code| {
        let example = json!({ "summary": code.title(), "value": examples::problem(code) });
        (code.as_str().to_owned(), example)
    });
    Map::from_iter(examples).into()
}

/// What a client does about a problem.
pub(super) const fn remedy(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::UnreadableJson => "send JSON in UTF-8; `detail` names line and column",
        ProblemCode::InvalidRequest => "send the request as HTTP wants it, and its body whole",
        ProblemCode::Unauthenticated => {
            "send a proof of identity, of the kind that WWW-Authenticate names"
        }
        ProblemCode::InvalidIdentity => "send each identity header once and well formed",
        ProblemCode::ForbiddenRole => "ask with a role that may do this",
        ProblemCode::OriginNotAllowed => "use a page of the service, or have its origin allowed",
        ProblemCode::UnknownTenant => "have an operator make the tenant first",
        ProblemCode::TenantSuspended => "have an operator lift the suspension; reading goes on",
        ProblemCode::NotFound => "look at the address; what is another tenant's is not found, too",
        ProblemCode::MethodNotAllowed => "use a method that Allow names",
        ProblemCode::NotAcceptable => "ask for a format that there is",
        ProblemCode::BodyTooLarge => "send less at once",
        ProblemCode::UnsupportedMediaType => "send a Content-Type that the route takes",
        ProblemCode::UnsupportedEncoding => "send the body plain, as gzip or as zstd",
        ProblemCode::InvalidEntry => "mend what `errors` names; nothing was written",
        ProblemCode::InvalidTenant => "mend what `errors` names; nothing was changed",
        ProblemCode::EmptyBatch => "send at least one entry",
        ProblemCode::TooManyEntries => "send fewer entries at once",
        ProblemCode::UnknownParameter => "leave out the parameter that `detail` names",
        ProblemCode::InvalidParameter => "mend the parameter that `detail` names",
        ProblemCode::InvalidQuery => "mend `q` at the column that `detail` names",
        ProblemCode::InvalidCursor => {
            "use a cursor of this tenant, list and filter as it came, or none"
        }
        ProblemCode::CursorExpired => "go on from `oldest_cursor`, or start anew",
        ProblemCode::HistoryChanged => {
            "start without a cursor: the log was restored to an earlier state"
        }
        ProblemCode::SearchSourceChanged => "start the search without a cursor",
        ProblemCode::IdempotencyKeyReused => "use a new key for each request",
        ProblemCode::InvalidIdempotencyKey => "send one key of visible characters",
        ProblemCode::TenantExists => "change the tenant with PATCH, or take another id",
        ProblemCode::LegalHold => "lift the hold first; nothing expired",
        ProblemCode::ConfirmRequired => {
            "see what would go with dry_run=true, then send its `confirm`"
        }
        ProblemCode::ConfirmMismatch => "make a new dry run",
        ProblemCode::RateLimited => "wait as long as Retry-After says",
        ProblemCode::Overloaded => "wait as long as Retry-After says; nothing was written",
        ProblemCode::ClockSkew => "have an operator set the clocks right; nothing was written",
        ProblemCode::LogBusy | ProblemCode::DatabaseUnavailable => "try again; nothing was written",
        ProblemCode::OutcomeUnknown => "try again with the same Idempotency-Key, or look first",
        ProblemCode::ShuttingDown => "try again, on another replica",
        ProblemCode::Internal => "report the `error_id`",
    }
}
