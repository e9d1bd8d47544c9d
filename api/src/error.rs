//! The one error that handlers answer with, as `application/problem+json`.
//!
//! Named by what the client should do next. The text of an error is public; its cause is not:
//! it goes to the log, once, with the request's event.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::{BatchRefusal, FieldCode, FieldProblem, ProblemCode, Unreadable};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::identity::{InvalidIdentity, Unproved};
use crate::store::turns::is_crowded;
use crate::writer::AppendError;

/// Problems of single fields that one answer lists: one for each entry of the greatest bulk.
pub(crate) const ERRORS_MAX: usize = 1_000;

/// Why a request was not done.
#[derive(Debug)]
pub struct ApiError {
    code: ProblemCode,
    detail: Cow<'static, str>,
    errors: Vec<FieldProblem>,
    retry_after_s: Option<u32>,
    challenge: Option<&'static str>,
    oldest_cursor: Option<Box<str>>,
    cause: Option<String>,
}

/// What the request's event says of a problem; travels as an extension of the response.
#[derive(Debug, Clone)]
pub struct ProblemNote {
    /// The stable code.
    pub code: &'static str,
    /// For the log alone.
    pub cause: Option<Arc<str>>,
}

/// Why a request was not done (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// A URN that ends with the code.
    r#type: String,
    /// The problem in a few words.
    title: &'static str,
    /// The answer's status once more.
    status: u16,
    /// What is wrong here, and what to do about it; for people, may change.
    detail: &'a str,
    /// What a program looks at; never changes its meaning.
    code: &'static str,
    /// What is wrong with single fields, at most 1,000 of them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<Object>)]
    errors: &'a [FieldProblem],
    /// With `cursor_expired`: where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_cursor: Option<&'a str>,
    /// With `internal`: what to report.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<String>,
}

impl ApiError {
    /// A problem and what to do about it.
    pub fn new(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
            challenge: None,
            oldest_cursor: None,
            cause: None,
        }
    }

    /// Entries that were checked and refused, with each field's problem.
    pub fn invalid(errors: Vec<FieldProblem>) -> Self {
        Self::refused(ProblemCode::InvalidEntry, errors)
    }

    /// Something else that was checked and refused, with each field's problem.
    pub fn refused(code: ProblemCode, errors: Vec<FieldProblem>) -> Self {
        let detail = match &errors[..] {
            [only] if only.field.is_empty() => only.detail.clone(),
            [only] => format!("{}: {}", only.field, only.detail),
            several if several.len() > ERRORS_MAX => {
                format!("{} problems, the first {ERRORS_MAX} listed in `errors`", several.len())
            }
            several => format!("{} problems, listed in `errors`", several.len()),
        };
        Self { errors, ..Self::new(code, detail) }
    }

    /// A defect of ours: the client gets an id to report, the log gets the cause.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let detail = "this is our fault: report the error id";
        Self { cause: Some(cause.to_string()), ..Self::new(ProblemCode::Internal, detail) }
    }

    /// Try again after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The oldest cursor that can still be used instead.
    #[must_use]
    pub fn with_oldest_cursor(mut self, cursor: String) -> Self {
        self.oldest_cursor = Some(cursor.into_boxed_str());
        self
    }

    /// No proof of identity; the challenge says which kind counts here.
    pub fn unproved(unproved: &Unproved, challenge: &'static str) -> Self {
        let error = Self::new(ProblemCode::Unauthenticated, unproved.0);
        Self { challenge: Some(challenge), ..error }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code.as_str()
    }

    /// What to do, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The URN of a problem.
    pub fn type_of(code: ProblemCode) -> String {
        format!("urn:audit-log:problem:{}", code.as_str())
    }

    /// The status of a problem's answer.
    pub fn status_of(code: ProblemCode) -> StatusCode {
        match code {
            ProblemCode::UnreadableJson
            | ProblemCode::InvalidRequest
            | ProblemCode::InvalidIdentity
            | ProblemCode::UnknownParameter
            | ProblemCode::InvalidParameter
            | ProblemCode::InvalidQuery
            | ProblemCode::InvalidCursor
            | ProblemCode::InvalidIdempotencyKey
            | ProblemCode::ConfirmRequired => StatusCode::BAD_REQUEST,
            ProblemCode::Unauthenticated => StatusCode::UNAUTHORIZED,
            ProblemCode::ForbiddenRole
            | ProblemCode::OriginNotAllowed
            | ProblemCode::UnknownTenant
            | ProblemCode::TenantSuspended => StatusCode::FORBIDDEN,
            ProblemCode::NotFound => StatusCode::NOT_FOUND,
            ProblemCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ProblemCode::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            ProblemCode::HistoryChanged
            | ProblemCode::SearchSourceChanged
            | ProblemCode::IdempotencyKeyReused
            | ProblemCode::TenantExists
            | ProblemCode::LegalHold
            | ProblemCode::ConfirmMismatch => StatusCode::CONFLICT,
            ProblemCode::CursorExpired => StatusCode::GONE,
            ProblemCode::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ProblemCode::UnsupportedMediaType | ProblemCode::UnsupportedEncoding => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            ProblemCode::InvalidEntry
            | ProblemCode::InvalidTenant
            | ProblemCode::EmptyBatch
            | ProblemCode::TooManyEntries => StatusCode::UNPROCESSABLE_ENTITY,
            ProblemCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ProblemCode::Overloaded
            | ProblemCode::LogBusy
            | ProblemCode::ClockSkew
            | ProblemCode::DatabaseUnavailable
            | ProblemCode::OutcomeUnknown
            | ProblemCode::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            ProblemCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let status = Self::status_of(self.code);
        let error_id = (self.code == ProblemCode::Internal).then(|| Uuid::new_v4().to_string());
        let cause = self.cause.take().map(|cause| match &error_id {
            Some(id) => format!("{id}: {cause}"),
            None => cause,
        });
        self.errors.truncate(ERRORS_MAX);
        let problem = Problem {
            r#type: Self::type_of(self.code),
            title: self.code.title(),
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            errors: &self.errors,
            oldest_cursor: self.oldest_cursor.as_deref(),
            error_id,
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        let note = ProblemNote { code: self.code.as_str(), cause: cause.map(Arc::from) };
        response.extensions_mut().insert(note);
        response
    }
}

impl From<Unreadable> for ApiError {
    fn from(unreadable: Unreadable) -> Self {
        Self::new(ProblemCode::UnreadableJson, unreadable.to_string())
    }
}

impl From<BatchRefusal> for ApiError {
    fn from(refusal: BatchRefusal) -> Self {
        match refusal {
            BatchRefusal::Unreadable(unreadable) => unreadable.into(),
            BatchRefusal::Shape(errors) => Self::invalid(errors),
            BatchRefusal::Empty | BatchRefusal::TooMany => {
                Self::new(refusal.code(), refusal.to_string())
            }
        }
    }
}

impl From<InvalidIdentity> for ApiError {
    fn from(invalid: InvalidIdentity) -> Self {
        Self::new(ProblemCode::InvalidIdentity, invalid.0)
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::KeyReused => Self::new(
                ProblemCode::IdempotencyKeyReused,
                "this Idempotency-Key stood for another request: use a new key for each request",
            ),
            AppendError::LogBusy => Self::new(
                ProblemCode::LogBusy,
                "somebody holds the end of this log; nothing was written: try again",
            )
            .retry_after(5),
            AppendError::ClockSkew => Self::new(
                ProblemCode::ClockSkew,
                "the clocks of the database and the service disagree by more than 5 minutes; \
                 nothing was written: an operator must set the clock right",
            )
            .retry_after(60),
            AppendError::SettingsChanged => Self::new(
                ProblemCode::LogBusy,
                "the tenant's settings keep changing; nothing was written: try again",
            )
            .retry_after(1),
            AppendError::UnknownTenant => unknown_tenant(),
            AppendError::Refused => Self::invalid(vec![FieldProblem::new(
                "",
                FieldCode::UnknownValue,
                "the database refused this request; nothing was written",
            )]),
            AppendError::Unavailable => database_unavailable(),
            AppendError::OutcomeUnknown => Self::new(
                ProblemCode::OutcomeUnknown,
                "the database was lost before it answered: what was sent may be recorded or not; \
                 try again with the same Idempotency-Key, or look first if there was none",
            )
            .retry_after(2),
            AppendError::Stopping => shutting_down(),
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Encode(_) => {
                Self::internal(error)
            }
            error if is_crowded(&error) => {
                let detail = "too many read at this moment; nothing was done: try again";
                Self::new(ProblemCode::Overloaded, detail).retry_after(1)
            }
            // The text of a database's error may quote values; its code does not.
            sqlx::Error::Database(answer) => {
                let code = answer.code().unwrap_or_default();
                Self { cause: Some(format!("SQLSTATE {code}")), ..database_unavailable() }
            }
            error => Self { cause: Some(error.to_string()), ..database_unavailable() },
        }
    }
}

/// The identity names a tenant that is not here.
pub fn unknown_tenant() -> ApiError {
    ApiError::new(ProblemCode::UnknownTenant, "an operator must create this tenant first")
}

/// Nothing was done.
pub fn database_unavailable() -> ApiError {
    let detail = "the database is not available; nothing was written: try again";
    ApiError::new(ProblemCode::DatabaseUnavailable, detail).retry_after(1)
}

/// The replica takes no more.
pub fn shutting_down() -> ApiError {
    let detail = "this replica is stopping; nothing was written: try again on another";
    ApiError::new(ProblemCode::ShuttingDown, detail).retry_after(1)
}
