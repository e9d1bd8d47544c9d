//! What `bench stream` measures, and what must come out.

use std::fmt;

use crate::goals::{Comparison, Goal, Measure};

/// Something that is measured in rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// From commit to client.
    Live,
    /// The same bytes over bare TCP.
    Bare,
    /// Entries as fast as they are taken, nobody watching.
    IngestAlone,
    /// The same, watched.
    IngestWatched,
    /// From a commit in one replica to a client of another, little to do.
    OtherAtRest,
    /// The same with much to do.
    OtherLoaded,
}

impl Subject {
    /// In the order of the table.
    pub(super) const ALL: [Self; 6] = [
        Self::Live,
        Self::Bare,
        Self::IngestAlone,
        Self::IngestWatched,
        Self::OtherAtRest,
        Self::OtherLoaded,
    ];
}

impl Subject {
    /// For `--only`.
    pub(super) fn part(self) -> &'static str {
        match self {
            Self::Live | Self::Bare => "live",
            Self::IngestAlone | Self::IngestWatched => "ingest",
            Self::OtherAtRest | Self::OtherLoaded => "replicas",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "commit → client, 50 subscribers, fixed rate",
            Self::Bare => "bare TCP fan-out → client, the same load beside",
            Self::IngestAlone => "POST, 256 connections, nobody watches",
            Self::IngestWatched => "POST, 256 connections, 200 subscribers",
            Self::OtherAtRest => "commit → client of another replica, at rest",
            Self::OtherLoaded => "commit → client of another replica, fixed rate",
        })
    }
}

/// Every comparison, in the order of the table.
pub(super) const COMPARISONS: [Comparison<Subject>; 5] = [
    of_bare(Measure::P50),
    of_bare(Measure::P99),
    Comparison {
        of: Subject::IngestWatched,
        with: Some(Subject::IngestAlone),
        measure: Measure::Rate,
        goal: Some(Goal::AtLeast(0.9)),
    },
    within_300_ms(Subject::OtherAtRest),
    within_300_ms(Subject::OtherLoaded),
];

const fn of_bare(measure: Measure) -> Comparison<Subject> {
    Comparison {
        of: Subject::Live,
        with: Some(Subject::Bare),
        measure,
        goal: Some(Goal::AtMost(1.5)),
    }
}

const fn within_300_ms(of: Subject) -> Comparison<Subject> {
    Comparison { of, with: None, measure: Measure::P99, goal: Some(Goal::AtMost(300.0)) }
}
