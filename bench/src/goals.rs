//! What is compared with what, and what must come out.

use std::fmt;

use crate::report::thousands;
use crate::subject::{Kind, Subject};

/// A ratio of two subjects, or a subject's rate itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    pub(crate) of: Subject,
    pub(crate) with: Option<Subject>,
    pub(crate) measure: Measure,
    pub(crate) goal: Option<Goal>,
}

/// What of a subject is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Entries a second.
    Rate,
    /// The slowest hundredth begins here.
    P99,
}

/// Where a number should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

const NULL_GOAL: f64 = 0.50;
const BULK_GOAL: f64 = 0.75;
const SUSTAINED_GOAL: f64 = 20_000.0;

/// Every comparison, in the order of the table.
pub(crate) const COMPARISONS: [Comparison; 15] = [
    rates(Kind::Single, 1, Kind::Null),
    rates(Kind::Single, 1, Kind::Insert),
    Comparison {
        of: Kind::Single.at(1),
        with: Some(Kind::Commit.at(1)),
        measure: Measure::P99,
        goal: Some(Goal::AtMost(2.0)),
    },
    rates(Kind::Single, 32, Kind::Null),
    rates(Kind::Single, 32, Kind::Insert).at_least(2.5),
    rates(Kind::Single, 32, Kind::Pgbench).at_least(1.0),
    rates(Kind::Single, 256, Kind::Null).at_least(NULL_GOAL),
    rates(Kind::Single, 256, Kind::Insert).at_least(3.5),
    rates(Kind::Single, 256, Kind::Pgbench).at_least(2.0),
    Comparison {
        of: Subject::SUSTAINED,
        with: None,
        measure: Measure::Rate,
        goal: Some(Goal::AtLeast(SUSTAINED_GOAL)),
    },
    rates(Kind::Keyed, 1, Kind::Single),
    rates(Kind::Keyed, 32, Kind::Single),
    rates(Kind::Keyed, 256, Kind::Single),
    rates(Kind::Bulk, 1, Kind::Copy).at_least(BULK_GOAL),
    // Four COPYs use every core; a replica has one writer, so this shows the price and has no goal.
    rates(Kind::Bulk, 4, Kind::Copy),
];

const fn rates(of: Kind, connections: usize, with: Kind) -> Comparison {
    Comparison {
        of: of.at(connections),
        with: Some(with.at(connections)),
        measure: Measure::Rate,
        goal: None,
    }
}

impl Comparison {
    const fn at_least(self, bound: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(bound)), ..self }
    }
}

impl Goal {
    pub(crate) fn is_met_by(self, number: f64) -> bool {
        match self {
            Self::AtLeast(bound) => number >= bound,
            Self::AtMost(bound) => number <= bound,
        }
    }

    /// By which part of the goal a number is on its wrong side.
    pub(crate) fn missed_by(self, number: f64) -> f64 {
        match self {
            Self::AtLeast(bound) => 1.0 - number / bound,
            Self::AtMost(bound) => number / bound - 1.0,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, bound) = match self {
            Self::AtLeast(bound) => ('≥', bound),
            Self::AtMost(bound) => ('≤', bound),
        };
        if *bound < 1_000.0 {
            write!(f, "{sign} {bound:.2}")
        } else {
            write!(f, "{sign} {}", thousands(*bound))
        }
    }
}
