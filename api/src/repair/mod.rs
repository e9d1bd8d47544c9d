//! Keeps the search index equal to the logs: compares by counting, and mends what differs.
//!
//! Numbers have no gaps, so a range of a log is in the index when as many documents are. Where they
//! are not, ever smaller parts are counted, and at last ids compared one by one. What is missing is
//! sent again from the log, what is foreign deleted; nothing depends on what the queue has lost.

pub mod bisect;
pub mod closer;
pub mod diff;
pub mod direct;
pub mod log_side;
pub mod mender;
pub mod months;
pub mod queued;
pub mod strangers;
pub mod verify;
pub mod watch;
pub mod worker;

use search::Fault;
use thiserror::Error;

pub use self::worker::Repair;

/// Why the index was not compared or mended.
#[derive(Debug, Error)]
pub enum RepairError {
    /// The database failed.
    #[error("the log cannot be read")]
    Store(#[from] sqlx::Error),
    /// The index failed.
    #[error("the index cannot be compared or mended")]
    Index(#[from] Fault),
    /// The queue failed.
    #[error("entries cannot be sent again: {0}")]
    Queue(String),
    /// Entries expired while they were read, again and again, or the log has a gap.
    #[error("entries that should be there could not be read")]
    Moved,
}
