//! What can go wrong between a client and the service, told so that one knows what to do.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use thiserror::Error;

use super::tail::Closing;

/// A refusal is read so far and no further: a proxy's page may be long.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// How long the text of a refusal may take to come.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no answer to work with.
#[derive(Debug, Error)]
pub enum Fault {
    /// Nobody listens there, or the way is blocked.
    #[error(
        "cannot reach {url}: {why}; is the service running, and is AUDIT_URL (or --url) its address?"
    )]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What the system says.
        why: String,
    },
    /// The connection ended or fell silent.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The service, or a proxy before it, said no.
    #[error("{0}")]
    Refused(Refusal),
    /// A stream was closed.
    #[error("{0}")]
    Closed(Closing),
}

/// A problem that the service answered with.
#[derive(Debug, Error)]
#[error("the service refused with {status}: {detail}{}", self.advice())]
pub struct Refusal {
    /// The status code.
    pub status: StatusCode,
    /// The stable code; empty when something else answered.
    pub code: String,
    /// What it says about it.
    pub detail: String,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

/// The members of a problem that a client needs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
    errors: Vec<FieldError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FieldError {
    field: String,
    detail: String,
}

impl Fault {
    /// What broke when no answer came, without the query, which may say more than a log should.
    pub fn of(url: &str, error: reqwest::Error) -> Self {
        let is_connect = error.is_connect();
        let why = innermost(&error.without_url());
        if is_connect { Self::Unreachable { url: url.to_owned(), why } } else { Self::Broken(why) }
    }

    /// Whether it may be gone if the same is sent again.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken(_) => true,
            Self::Refused(refusal) => matches!(refusal.status.as_u16(), 429 | 502 | 503 | 504),
            Self::Closed(closing) => closing.may_pass(),
        }
    }

    /// Whether the place to go on from is no more: expired, undone, or never there.
    pub fn is_for_good(&self) -> bool {
        matches!(self, Self::Refused(refusal) if matches!(refusal.status.as_u16(), 400 | 409 | 410))
    }

    /// Whether the service cannot make sense of what it was asked for.
    pub fn is_wrong_value(&self) -> bool {
        matches!(self, Self::Refused(refusal) if matches!(refusal.status.as_u16(), 400 | 422))
    }

    /// When to come back, as far as the service has said.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Closed(closing) => closing.retry_after(),
            Self::Unreachable { .. } | Self::Broken(_) => None,
        }
    }
}

impl Refusal {
    /// Reads the answer that is no success.
    pub async fn read(answer: Response) -> Self {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let retry_after = retry_after(&headers);
        if status.is_redirection() {
            return Self { status, code: String::new(), detail: moved(&headers), retry_after };
        }
        let body = tokio::time::timeout(REFUSAL_TIMEOUT, beginning(answer)).await;
        let body = body.unwrap_or_default();
        let is_json = headers
            .get(CONTENT_TYPE)
            .is_some_and(|media| media.as_bytes().starts_with(b"application/problem+json"));
        let problem: Option<Problem> =
            is_json.then(|| serde_json::from_slice(&body).ok()).flatten();
        let Some(Problem { code, mut detail, errors }) = problem else {
            let detail =
                "what answered is not the service; is there a proxy in between?".to_owned();
            return Self { status, code: String::new(), detail, retry_after };
        };
        for FieldError { field, detail: wrong } in errors.iter().take(3) {
            detail.push_str("; ");
            detail.push_str(field);
            detail.push_str(": ");
            detail.push_str(wrong);
        }
        Self { status, code, detail, retry_after }
    }

    fn advice(&self) -> &'static str {
        match self.status.as_u16() {
            401 => {
                "; set AUDIT_TOKEN (`audit-log token` makes one for trying), or behind a gateway \
                 its headers with --header"
            }
            403 => "; emit-sample needs the role admin or user, export and tail admin or auditor",
            _ => "",
        }
    }
}

/// The first bytes of a body, however it ends.
async fn beginning(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > REFUSAL_BYTES_MAX {
            break;
        }
    }
    body
}

fn moved(headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.and_then(|location| location.split(['?', '#']).next());
    let location = location.unwrap_or("somewhere else");
    format!("it points to {location}; a proof is not carried to another place: set AUDIT_URL to it")
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The last cause, which says what happened; those around it say only where.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
