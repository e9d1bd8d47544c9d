//! What is compared with what, and what must come out.

use std::fmt;

use crate::table::thousands;

/// A ratio of two subjects, or a subject's number itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison<S> {
    pub(crate) of: S,
    pub(crate) with: Option<S>,
    pub(crate) measure: Measure,
    pub(crate) goal: Option<Goal>,
}

/// What of a subject is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Entries a second.
    Rate,
    /// Half of the answers come within.
    P50,
    /// The slowest hundredth begins here.
    P99,
}

impl Measure {
    /// Behind the name of what is compared with; nothing where it goes without saying.
    pub(crate) fn note(self) -> &'static str {
        match self {
            Self::Rate => "",
            Self::P50 => ", p50",
            Self::P99 => ", p99",
        }
    }
}

/// Where a number should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// At most so many times the other number and so many milliseconds more.
    Within {
        times: f64,
        more_ms: f64,
    },
}

impl<S: Copy> Comparison<S> {
    pub(crate) const fn at_least(self, bound: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(bound)), ..self }
    }

    pub(crate) const fn at_most(self, bound: f64) -> Self {
        Self { goal: Some(Goal::AtMost(bound)), ..self }
    }
}

impl Goal {
    /// What of two numbers is held against the bound.
    pub(crate) fn judged(self, own: f64, other: f64) -> f64 {
        match self {
            Self::AtLeast(_) | Self::AtMost(_) => own / other,
            Self::Within { more_ms, .. } => (own - more_ms) / other,
        }
    }

    pub(crate) fn is_met_by(self, number: f64) -> bool {
        match self {
            Self::AtLeast(bound) => number >= bound,
            Self::AtMost(bound) | Self::Within { times: bound, .. } => number <= bound,
        }
    }

    /// By which part of the goal a number is on its wrong side.
    pub(crate) fn missed_by(self, number: f64) -> f64 {
        match self {
            Self::AtLeast(bound) => 1.0 - number / bound,
            Self::AtMost(bound) | Self::Within { times: bound, .. } => number / bound - 1.0,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, bound) = match self {
            Self::AtLeast(bound) => ('≥', bound),
            Self::AtMost(bound) => ('≤', bound),
            Self::Within { times, more_ms } => return write!(f, "≤ {times:.2} × + {more_ms} ms"),
        };
        if *bound < 1_000.0 {
            write!(f, "{sign} {bound:.2}")
        } else {
            write!(f, "{sign} {}", thousands(*bound))
        }
    }
}
