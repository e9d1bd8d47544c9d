//! Everything that can be wrong, by stable code. Statuses belong to HTTP and are not here.

use std::fmt::{self, Display, Write};

use serde::{Serialize, Serializer};

/// What went wrong with a request, as a client's program reads it. A code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the title of each says it")]
pub enum ProblemCode {
    UnreadableJson,
    InvalidRequest,
    Unauthenticated,
    InvalidIdentity,
    ForbiddenRole,
    OriginNotAllowed,
    UnknownTenant,
    TenantSuspended,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    BodyTooLarge,
    UnsupportedMediaType,
    UnsupportedEncoding,
    InvalidEntry,
    InvalidTenant,
    EmptyBatch,
    TooManyEntries,
    UnknownParameter,
    InvalidParameter,
    InvalidQuery,
    InvalidCursor,
    CursorExpired,
    HistoryChanged,
    SearchSourceChanged,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    TenantExists,
    LegalHold,
    ConfirmRequired,
    ConfirmMismatch,
    RateLimited,
    Overloaded,
    LogBusy,
    ClockSkew,
    DatabaseUnavailable,
    OutcomeUnknown,
    ShuttingDown,
    Internal,
}

impl ProblemCode {
    /// All of them.
    pub const ALL: [Self; 39] = [
        Self::UnreadableJson,
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::InvalidIdentity,
        Self::ForbiddenRole,
        Self::OriginNotAllowed,
        Self::UnknownTenant,
        Self::TenantSuspended,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::UnsupportedEncoding,
        Self::InvalidEntry,
        Self::InvalidTenant,
        Self::EmptyBatch,
        Self::TooManyEntries,
        Self::UnknownParameter,
        Self::InvalidParameter,
        Self::InvalidQuery,
        Self::InvalidCursor,
        Self::CursorExpired,
        Self::HistoryChanged,
        Self::SearchSourceChanged,
        Self::IdempotencyKeyReused,
        Self::InvalidIdempotencyKey,
        Self::TenantExists,
        Self::LegalHold,
        Self::ConfirmRequired,
        Self::ConfirmMismatch,
        Self::RateLimited,
        Self::Overloaded,
        Self::LogBusy,
        Self::ClockSkew,
        Self::DatabaseUnavailable,
        Self::OutcomeUnknown,
        Self::ShuttingDown,
        Self::Internal,
    ];

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        self.words().0
    }

    /// The problem in a few words for people.
    pub const fn title(self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::UnreadableJson => ("unreadable_json", "The body is not readable JSON"),
            Self::InvalidRequest => ("invalid_request", "The request is malformed"),
            Self::Unauthenticated => ("unauthenticated", "No valid proof of identity"),
            Self::InvalidIdentity => ("invalid_identity", "The caller's identity is malformed"),
            Self::ForbiddenRole => ("forbidden_role", "The role may not do this"),
            Self::OriginNotAllowed => ("origin_not_allowed", "The origin is not allowed"),
            Self::UnknownTenant => ("unknown_tenant", "The tenant is not known"),
            Self::TenantSuspended => ("tenant_suspended", "The tenant is suspended"),
            Self::NotFound => ("not_found", "Not found"),
            Self::MethodNotAllowed => ("method_not_allowed", "The method is not allowed here"),
            Self::NotAcceptable => ("not_acceptable", "No acceptable format"),
            Self::BodyTooLarge => ("body_too_large", "The body is too large"),
            Self::UnsupportedMediaType => ("unsupported_media_type", "Unsupported media type"),
            Self::UnsupportedEncoding => ("unsupported_encoding", "Unsupported content encoding"),
            Self::InvalidEntry => ("invalid_entry", "An entry was refused"),
            Self::InvalidTenant => ("invalid_tenant", "What was said of a tenant was refused"),
            Self::EmptyBatch => ("empty_batch", "The batch has no entries"),
            Self::TooManyEntries => ("too_many_entries", "The batch has too many entries"),
            Self::UnknownParameter => ("unknown_parameter", "A parameter is not known"),
            Self::InvalidParameter => ("invalid_parameter", "A parameter is not valid"),
            Self::InvalidQuery => ("invalid_query", "The search query is not valid"),
            Self::InvalidCursor => ("invalid_cursor", "The cursor is not valid here"),
            Self::CursorExpired => ("cursor_expired", "The cursor lies below the log's floor"),
            Self::HistoryChanged => ("history_changed", "The cursor's place was undone"),
            Self::SearchSourceChanged => ("search_source_changed", "The search source changed"),
            Self::IdempotencyKeyReused => ("idempotency_key_reused", "The key was used before"),
            Self::InvalidIdempotencyKey => ("invalid_idempotency_key", "The key is not valid"),
            Self::TenantExists => ("tenant_exists", "The tenant exists already"),
            Self::LegalHold => ("legal_hold", "A legal hold keeps the log"),
            Self::ConfirmRequired => ("confirm_required", "A confirmation is required"),
            Self::ConfirmMismatch => ("confirm_mismatch", "The confirmation does not match"),
            Self::RateLimited => ("rate_limited", "Too many requests"),
            Self::Overloaded => ("overloaded", "The service is overloaded"),
            Self::LogBusy => ("log_busy", "The tenant's log is busy"),
            Self::ClockSkew => ("clock_skew", "The clocks disagree"),
            Self::DatabaseUnavailable => ("database_unavailable", "The database is unavailable"),
            Self::OutcomeUnknown => ("outcome_unknown", "The outcome is unknown"),
            Self::ShuttingDown => ("shutting_down", "The service is shutting down"),
            Self::Internal => ("internal", "Internal error"),
        }
    }
}

impl Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ProblemCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What is wrong with one field. A code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FieldCode {
    Required,
    UnknownField,
    DuplicateField,
    WrongType,
    TooShort,
    TooLong,
    InvalidCharacters,
    NulCharacter,
    UnknownValue,
    InvalidTime,
    TimeOutOfRange,
    InvalidIp,
    TooDeep,
    KeyTooLong,
    NumberTooLong,
    DuplicateKey,
    EntryTooLarge,
    UnreadableJson,
}

impl FieldCode {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Required,
        Self::UnknownField,
        Self::DuplicateField,
        Self::WrongType,
        Self::TooShort,
        Self::TooLong,
        Self::InvalidCharacters,
        Self::NulCharacter,
        Self::UnknownValue,
        Self::InvalidTime,
        Self::TimeOutOfRange,
        Self::InvalidIp,
        Self::TooDeep,
        Self::KeyTooLong,
        Self::NumberTooLong,
        Self::DuplicateKey,
        Self::EntryTooLarge,
        Self::UnreadableJson,
    ];

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::UnknownField => "unknown_field",
            Self::DuplicateField => "duplicate_field",
            Self::WrongType => "wrong_type",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::InvalidCharacters => "invalid_characters",
            Self::NulCharacter => "nul_character",
            Self::UnknownValue => "unknown_value",
            Self::InvalidTime => "invalid_time",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::InvalidIp => "invalid_ip",
            Self::TooDeep => "too_deep",
            Self::KeyTooLong => "key_too_long",
            Self::NumberTooLong => "number_too_long",
            Self::DuplicateKey => "duplicate_key",
            Self::EntryTooLarge => "entry_too_large",
            Self::UnreadableJson => "unreadable_json",
        }
    }
}

impl Serialize for FieldCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One thing that is wrong with one entry. Never holds a value that a client sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// Which entry of a batch, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Which field, as a dotted path; empty for the entry as a whole.
    pub field: String,
    /// What is wrong with it.
    pub code: FieldCode,
    /// What to do about it.
    pub detail: String,
}

impl FieldProblem {
    /// Where the path of a field is cut, so that an answer stays short.
    pub const FIELD_CHARS_MAX: usize = 200;

    /// A problem of an entry that stands alone.
    pub fn new(field: impl Display, code: FieldCode, detail: impl Display) -> Self {
        let field = Echo::path(&field.to_string()).to_string();
        Self { index: None, field, code, detail: detail.to_string() }
    }

    /// The same, as the problem of entry `index` of a batch.
    #[must_use]
    pub fn at_index(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }
}

/// More problems than this of one entry help nobody; the rest is left out.
pub const PROBLEMS_MAX: usize = 32;

/// The problems of one entry, at most [`PROBLEMS_MAX`] of them.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<FieldProblem>);

impl Problems {
    /// Notes a problem. The texts are made only if there is room for it.
    pub(crate) fn note(&mut self, field: impl Display, code: FieldCode, detail: impl Display) {
        if !self.is_full() {
            self.0.push(FieldProblem::new(field, code, detail));
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= PROBLEMS_MAX
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<FieldProblem> {
        self.0
    }
}

/// A client's name for something, fit for an answer: cut, and without control characters.
pub(crate) struct Echo<'a> {
    text: &'a str,
    chars_max: usize,
}

impl<'a> Echo<'a> {
    const NAME_CHARS_MAX: usize = 64;

    /// One name.
    pub(crate) fn name(text: &'a str) -> Self {
        Self { text, chars_max: Self::NAME_CHARS_MAX }
    }

    /// The names that lead to a field.
    fn path(text: &'a str) -> Self {
        Self { text, chars_max: FieldProblem::FIELD_CHARS_MAX }
    }
}

impl Display for Echo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.text.chars();
        for char in chars.by_ref().take(self.chars_max) {
            f.write_char(if char.is_control() { char::REPLACEMENT_CHARACTER } else { char })?;
        }
        if chars.as_str().is_empty() { Ok(()) } else { f.write_char('…') }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_echoed_short_and_without_control_characters() {
        assert_eq!(Echo::name("user_id").to_string(), "user_id");
        assert_eq!(Echo::name("a\0b\n").to_string(), "a\u{fffd}b\u{fffd}");
        assert_eq!(Echo::name(&"é".repeat(64)).to_string(), "é".repeat(64));
        assert_eq!(Echo::name(&"é".repeat(65)).to_string(), format!("{}…", "é".repeat(64)));
    }

    #[test]
    fn all_codes_are_all_of_them_in_their_order() {
        assert!((0..).zip(ProblemCode::ALL).all(|(n, code)| code as usize == n));
        assert_eq!(ProblemCode::ALL.last(), Some(&ProblemCode::Internal), "the last of the enum");
        assert!((0..).zip(FieldCode::ALL).all(|(n, code)| code as usize == n));
        assert_eq!(FieldCode::ALL.last(), Some(&FieldCode::UnreadableJson), "the last of the enum");
    }

    #[test]
    fn a_problem_says_its_index_only_in_a_batch() {
        let problem = FieldProblem::new("action", FieldCode::Required, "give this field");
        assert_eq!(
            serde_json::to_string(&problem).unwrap(),
            r#"{"field":"action","code":"required","detail":"give this field"}"#
        );
        assert_eq!(
            serde_json::to_string(&problem.at_index(3)).unwrap(),
            r#"{"index":3,"field":"action","code":"required","detail":"give this field"}"#
        );
    }

    #[test]
    fn problems_are_bounded() {
        let mut problems = Problems::default();
        for _ in 0..100 {
            problems.note("x".repeat(1_000), FieldCode::TooDeep, "");
        }
        let problems = problems.into_vec();
        assert_eq!(problems.len(), PROBLEMS_MAX);
        assert_eq!(problems[0].field.chars().count(), FieldProblem::FIELD_CHARS_MAX + 1);
    }
}
