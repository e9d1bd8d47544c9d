//! How grave an entry is.

use serde::{Serialize, Serializer};

/// From routine to alarming; the order is the rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Severity {
    /// Routine.
    #[default]
    Info,
    /// Worth a look.
    Warning,
    /// Something failed.
    Error,
    /// Somebody should be woken.
    Critical,
}

impl Severity {
    /// All of them, each at the index that is its rank.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The word, as clients write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }

    /// Reads the word, in upper case only.
    pub fn parse(text: &str) -> Result<Self, InvalidSeverity> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == text).ok_or(InvalidSeverity)
    }

    /// The number the table holds: 0 for INFO up to 3 for CRITICAL.
    pub const fn rank(self) -> i16 {
        self as i16
    }

    /// The severity with this rank.
    pub fn from_rank(rank: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.rank() == rank)
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The text is none of the four words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use one of INFO, WARNING, ERROR, CRITICAL")]
pub struct InvalidSeverity;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_ranks_lead_back() {
        for (rank, severity) in (0..).zip(Severity::ALL) {
            assert_eq!(severity.rank(), rank);
            assert_eq!(Severity::from_rank(rank), Some(severity));
            assert_eq!(Severity::parse(severity.as_str()), Ok(severity));
        }
        assert!(Severity::ALL.is_sorted());
    }

    #[test]
    fn nothing_else_is_a_severity() {
        assert_eq!(Severity::from_rank(-1), None);
        assert_eq!(Severity::from_rank(4), None);
        for text in ["", "info", "Info", "WARN", "INFO "] {
            assert_eq!(Severity::parse(text), Err(InvalidSeverity), "{text:?}");
        }
    }
}
