//! What can go wrong with OpenSearch, by what to do about it.

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
    /// The answer is not what it should be.
    #[error("OpenSearch gave an answer that cannot be read: {0}")]
    Unreadable(String),
}
