//! What `bench read` measures, and what must come out.

use std::fmt;

use crate::goals::{Comparison, Measure};

/// Something that reads, or takes away what nobody is to read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    PageDesc,
    PageDescDeep,
    PageAsc,
    PageAscDeep,
    Ndjson,
    Csv,
    /// `psql -c 'copy (…) to stdout'` of the same entries in the same order.
    Copy,
    /// The same in whatever order.
    CopyUnordered,
    /// The first answer to a list with a filter that matches one entry in 100,000.
    RareFirst,
    /// All answers to it.
    RareWalk,
    /// The same by one statement without bounds.
    RareScan,
    /// The same by as many processes as PostgreSQL likes.
    RareScanParallel,
    Stats,
    /// A week's partition detached and dropped.
    Drop,
    /// The same entries deleted.
    Delete,
    /// The same, 5,000 a transaction.
    DeleteInPieces,
}

impl Subject {
    /// In the order of a round and of the table.
    pub(crate) const ROUND: [Self; 13] = [
        Self::PageDesc,
        Self::PageDescDeep,
        Self::PageAsc,
        Self::PageAscDeep,
        Self::Ndjson,
        Self::Csv,
        Self::Copy,
        Self::CopyUnordered,
        Self::RareFirst,
        Self::RareWalk,
        Self::RareScan,
        Self::RareScanParallel,
        Self::Stats,
    ];

    /// Once, after the rounds and without the service.
    pub(crate) const EXPIRY: [Self; 3] = [Self::Drop, Self::Delete, Self::DeleteInPieces];

    /// For `--only`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PageDesc => "page-desc-first",
            Self::PageDescDeep => "page-desc-deep",
            Self::PageAsc => "page-asc-first",
            Self::PageAscDeep => "page-asc-deep",
            Self::Ndjson => "export-ndjson",
            Self::Csv => "export-csv",
            Self::Copy => "export-psql",
            Self::CopyUnordered => "export-psql-unordered",
            Self::RareFirst => "rare-first",
            Self::RareWalk => "rare-walk",
            Self::RareScan => "rare-scan",
            Self::RareScanParallel => "rare-scan-parallel",
            Self::Stats => "stats",
            Self::Drop => "expiry-drop",
            Self::Delete => "expiry-delete",
            Self::DeleteInPieces => "expiry-delete-in-pieces",
        }
    }

    /// Whether `--only` asks for it; nothing asked is everything.
    pub(crate) fn is_among(self, only: &[String]) -> bool {
        only.is_empty() || only.iter().any(|part| self.name().contains(part.as_str()))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PageDesc => "the first page, newest first",
            Self::PageDescDeep => "a deep page, newest first",
            Self::PageAsc => "the first page, oldest first",
            Self::PageAscDeep => "a deep page, oldest first",
            Self::Ndjson => "export as NDJSON",
            Self::Csv => "export as CSV",
            Self::Copy => "psql COPY, in order",
            Self::CopyUnordered => "psql COPY, in any order",
            Self::RareFirst => "a rare filter, first answer",
            Self::RareWalk => "a rare filter, all pages",
            Self::RareScan => "one scan",
            Self::RareScanParallel => "one scan, in parallel",
            Self::Stats => "stats by action and day",
            Self::Drop => "a week: DETACH, DROP",
            Self::Delete => "a week: DELETE",
            Self::DeleteInPieces => "a week: DELETE of 5,000",
        })
    }
}

/// Every comparison, in the order of the table.
pub(crate) const COMPARISONS: [Comparison<Subject>; 12] = [
    with(Subject::PageDescDeep, Subject::PageDesc, Measure::P50).at_most(1.3),
    with(Subject::PageAscDeep, Subject::PageAsc, Measure::P50).at_most(1.3),
    with(Subject::Ndjson, Subject::Copy, Measure::Rate).at_least(1.0),
    with(Subject::Ndjson, Subject::CopyUnordered, Measure::Rate),
    with(Subject::Csv, Subject::Copy, Measure::Rate).at_least(0.8),
    with(Subject::Csv, Subject::CopyUnordered, Measure::Rate),
    alone(Subject::RareFirst, Measure::P50).at_most(400.0),
    with(Subject::RareWalk, Subject::RareScan, Measure::P50).at_most(1.5),
    // Several processes for one answer is more than a service with other clients would take.
    with(Subject::RareWalk, Subject::RareScanParallel, Measure::P50),
    alone(Subject::Stats, Measure::P50).at_most(50.0),
    with(Subject::Drop, Subject::Delete, Measure::P50),
    with(Subject::DeleteInPieces, Subject::Delete, Measure::P50),
];

const fn with(of: Subject, with: Subject, measure: Measure) -> Comparison<Subject> {
    Comparison { of, with: Some(with), measure, goal: None }
}

const fn alone(of: Subject, measure: Measure) -> Comparison<Subject> {
    Comparison { of, with: None, measure, goal: None }
}
