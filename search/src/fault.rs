//! What can go wrong with OpenSearch, by what to do about it.

use serde::Deserialize;
use thiserror::Error;

/// Why OpenSearch has not done what it was asked.
#[derive(Debug, Error)]
pub enum Fault {
    /// No answer: not there, or the connection broke.
    #[error("OpenSearch cannot be reached")]
    Unreachable(#[source] opensearch::Error),
    /// No answer in time.
    #[error("OpenSearch did not answer in time")]
    TimedOut,
    /// It has too much to do, or parts of it are missing: the same may work later.
    #[error("OpenSearch is not able to answer now (status {status}): {reason}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// What it says, without anything of an entry.
        reason: String,
    },
    /// It will not do this, however often it is asked.
    #[error("OpenSearch refused a request (status {status}): {reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it says, without anything of an entry.
        reason: String,
    },
    /// What the names of our indices begin with is another installation's.
    #[error("the indices of this prefix belong to another installation, {installation}")]
    Foreign {
        /// Which.
        installation: String,
    },
    /// The answer is not what it should be.
    #[error("OpenSearch gave an answer that cannot be read: {0}")]
    Unreadable(String),
}

impl Fault {
    /// What an error status means.
    pub(crate) fn of_status(status: u16, reason: String) -> Self {
        if is_passing(status) {
            Self::Unavailable { status, reason }
        } else {
            Self::Refused { status, reason }
        }
    }

    /// What an error of a search means. OpenSearch says 500 when more words begin as the end of a
    /// phrase does than it was told to look at; that is the query's fault and not its own.
    pub(crate) fn of_search(status: u16, reason: String) -> Self {
        if status == 500 && reason.contains("illegal_state_exception") {
            return Self::Refused { status, reason };
        }
        Self::of_status(status, reason)
    }

    pub(crate) fn of_client(error: opensearch::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Unreachable(error) }
    }

    pub(crate) fn of_json(error: &serde_json::Error) -> Self {
        // Its text would name what was found there instead.
        Self::Unreadable(format!("line {}, column {}", error.line(), error.column()))
    }

    /// Whether the same request may work later.
    pub fn is_passing(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::Foreign { .. })
    }

    /// The status, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unavailable { status, .. } | Self::Refused { status, .. } => Some(*status),
            Self::Unreachable(_) | Self::TimedOut | Self::Foreign { .. } | Self::Unreadable(_) => {
                None
            }
        }
    }
}

/// Whether what got this status may get another one later.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429) || status >= 500
}

/// An error as OpenSearch writes it. Its `reason` often quotes the document, so that is not read:
/// the type of an error, and of what caused it, says enough.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorCause {
    #[serde(rename = "type", default)]
    kind: String,
    caused_by: Option<Box<ErrorCause>>,
}

impl ErrorCause {
    /// Types that are named at most, from the outside to the inside.
    const DEPTH_MAX: usize = 4;

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn reason(&self) -> String {
        let mut reason = plain(&self.kind);
        let mut cause = self.caused_by.as_deref();
        for _ in 1..Self::DEPTH_MAX {
            let Some(inner) = cause else { break };
            reason.push_str(": ");
            reason.push_str(&plain(&inner.kind));
            cause = inner.caused_by.as_deref();
        }
        reason
    }
}

/// A type's name, and nothing that has sneaked in instead of one.
fn plain(kind: &str) -> String {
    const LEN_MAX: usize = 80;
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let name: String = kind.chars().filter(is_plain).take(LEN_MAX).collect();
    if name.is_empty() { "no reason given".to_owned() } else { name }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorCause,
}

/// What the body of an answer with an error status says.
pub(crate) fn reason_of(body: &[u8]) -> String {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => body.error.reason(),
        Err(_) => "no reason given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_types_and_quotes_nothing() {
        let body = br#"{"error":{"type":"mapper_parsing_exception","reason":"Preview: 'secret'",
            "caused_by":{"type":"number_format_exception","reason":"For input: secret"}},"status":400}"#;
        let fault = Fault::of_status(400, reason_of(body));
        let text = fault.to_string();
        assert!(text.ends_with("(status 400): mapper_parsing_exception: number_format_exception"));
        assert!(!fault.is_passing());
        assert_eq!(reason_of(br#"{"error":"secret text"}"#), "no reason given");
        assert_eq!(reason_of(br#"{"error":{"type":"a secret!"}}"#), "asecret");
    }

    #[test]
    fn what_may_work_later_is_told_from_what_will_not() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(Fault::of_status(status, String::new()).is_passing(), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 413] {
            assert!(!Fault::of_status(status, String::new()).is_passing(), "{status}");
        }
    }
}
