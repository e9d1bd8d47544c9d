//! What a failed call of `append` means for the requests in it.

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use tracing::{error, warn};

use super::AppendError;
use crate::store::append::{CLOCKS_APART, MARK_MOVED};

/// Why a call wrote nothing, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A value that the table does not take: one of the requests is at fault.
    Refused,
    /// A head could not be locked in time.
    HeadHeld,
    /// All of it took too long: most likely several heads were waited for, one after the other.
    TookLong,
    /// The clocks are too far apart.
    ClocksApart,
    /// There is no partition for the time of the entries.
    NoPartition,
    /// The database said no for a reason that is not in the data.
    Failed,
    /// There was no connection to send it on.
    Unreachable,
    /// It was sent, and no answer came.
    Lost,
}

impl Fault {
    /// Every fault.
    pub(crate) const ALL: [Self; 8] = [
        Self::Refused,
        Self::HeadHeld,
        Self::TookLong,
        Self::ClocksApart,
        Self::NoPartition,
        Self::Failed,
        Self::Unreachable,
        Self::Lost,
    ];

    /// Its word, for metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::HeadHeld => "head_held",
            Self::TookLong => "took_long",
            Self::ClocksApart => "clocks_apart",
            Self::NoPartition => "no_partition",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
        }
    }

    /// An error *answer* means that the transaction was rolled back; anything else leaves it open.
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(inner) => match inner.try_downcast_ref::<PgDatabaseError>() {
                Some(answer) => Self::of_answer(answer),
                None => Self::Lost,
            },
            // The value was refused on this side, before anything was sent.
            sqlx::Error::Encode(_) => Self::Refused,
            _ => Self::Lost,
        }
    }

    fn of_answer(answer: &PgDatabaseError) -> Self {
        if matches!(answer.severity(), PgSeverity::Fatal | PgSeverity::Panic) {
            return Self::Lost;
        }
        match answer.code() {
            "55P03" => Self::HeadHeld,
            "57014" => Self::TookLong,
            CLOCKS_APART => Self::ClocksApart,
            MARK_MOVED => Self::Lost,
            code if code.starts_with("22") => Self::Refused,
            "23514" if is_own_check(answer.constraint()) => Self::Refused,
            // The same code, without a constraint's name.
            "23514" if answer.constraint().is_none() => Self::NoPartition,
            _ => Self::Failed,
        }
    }

    pub(super) fn unreachable(error: &sqlx::Error) -> Self {
        warn!(error = %error, "cannot reach the database");
        Self::Unreachable
    }

    /// Whether the connection can be used again.
    pub(super) fn leaves_session_whole(self) -> bool {
        match self {
            Self::Refused
            | Self::HeadHeld
            | Self::TookLong
            | Self::ClocksApart
            | Self::NoPartition
            | Self::Failed => true,
            Self::Unreachable | Self::Lost => false,
        }
    }

    /// What the caller of a request that was in it is told.
    pub(crate) fn answer(self) -> AppendError {
        match self {
            Self::Refused => AppendError::Refused,
            Self::HeadHeld => AppendError::LogBusy,
            Self::ClocksApart => AppendError::ClockSkew,
            Self::TookLong | Self::NoPartition | Self::Failed | Self::Unreachable => {
                AppendError::Unavailable
            }
            Self::Lost => AppendError::OutcomeUnknown,
        }
    }

    /// Once for each fault. The text of a database's error may quote what was to be written, so
    /// only its code and the names in it are logged.
    pub(crate) fn log(self, error: &sqlx::Error) {
        let answer = error.as_database_error();
        let code = answer.and_then(DatabaseError::code).unwrap_or_default();
        let constraint = answer.and_then(|answer| answer.constraint()).unwrap_or_default();
        match self {
            Self::HeadHeld => warn!(db.code = %code, "a log's head is held by somebody else"),
            Self::TookLong => warn!(db.code = %code, "a batch took too long"),
            Self::ClocksApart => error!(db.code = %code, "the clocks are too far apart"),
            Self::Lost if answer.is_none() => warn!(error = %error, "a batch's answer was lost"),
            Self::Refused | Self::NoPartition | Self::Failed | Self::Unreachable | Self::Lost => {
                error!(db.code = %code, db.constraint = constraint, fault = ?self, "a batch failed");
            }
        }
    }
}

fn is_own_check(constraint: Option<&str>) -> bool {
    constraint.is_some_and(|name| name.starts_with("audit_log_"))
}

/// Whether trying again shortly may find the database back.
pub(super) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(answer) => {
            // Starting up, shutting down, too many connections.
            answer.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("53"))
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
