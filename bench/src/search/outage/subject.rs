//! What `bench search-outage` measures, and when.

use std::fmt;

use crate::goals::{Comparison, Goal, Measure};

/// Some load in some part of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) when: When,
}

/// What clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Write,
    Search,
}

/// How OpenSearch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum When {
    /// There, and the index up to date.
    Without,
    /// Away.
    During,
    /// There again, and the index behind.
    CatchingUp,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Write, Self::Search];
}

impl Subject {
    /// In the order of the table.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let whens = [When::Without, When::During, When::CatchingUp];
        Kind::ALL.into_iter().flat_map(move |kind| whens.map(|when| Self { kind, when }))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Write => "POST, fixed rate",
            Kind::Search => "search, fixed rate",
        };
        let when = match self.when {
            When::Without => "",
            When::During => ", OpenSearch away",
            When::CatchingUp => ", catching up",
        };
        write!(f, "{kind}{when}")
    }
}

const WRITE: Subject = Subject { kind: Kind::Write, when: When::Without };
const SEARCH: Subject = Subject { kind: Kind::Search, when: When::Without };

/// Every comparison, in the order of the table.
pub(super) const COMPARISONS: [Comparison<Subject>; 4] = [
    p99(WRITE, When::During, Some(Goal::AtMost(1.2))),
    p99(WRITE, When::CatchingUp, None),
    p99(SEARCH, When::During, None),
    p99(SEARCH, When::CatchingUp, None),
];

const fn p99(with: Subject, when: When, goal: Option<Goal>) -> Comparison<Subject> {
    let of = Subject { kind: with.kind, when };
    Comparison { of, with: Some(with), measure: Measure::P99, goal }
}
