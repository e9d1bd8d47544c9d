//! What `bench overload` measures.

use std::fmt;

use crate::goals::{Comparison, Measure};

/// Some load, and what stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// As many entries as can be recorded.
    Maximum,
    /// Three times as many are sent.
    Overload,
    /// One tenant, at a low fixed rate.
    Quiet { beside: Beside },
}

/// Who else is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Beside {
    /// Nobody, in turns with a noisy tenant.
    NoNoise,
    /// A tenant that asks for several times what it may.
    Noise,
    /// Nobody, in turns with silent connections.
    NoSilence,
    /// Connections that say nothing, or a byte now and then.
    Silence,
}

impl Subject {
    /// In the order of the table.
    pub(super) const ALL: [Self; 6] = [
        Self::Maximum,
        Self::Overload,
        Self::Quiet { beside: Beside::NoNoise },
        Self::Quiet { beside: Beside::Noise },
        Self::Quiet { beside: Beside::NoSilence },
        Self::Quiet { beside: Beside::Silence },
    ];
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Maximum => "bulk, as much as can be done",
            Self::Overload => "bulk, three times as much sent",
            Self::Quiet { beside: Beside::NoNoise } => "a quiet tenant, alone",
            Self::Quiet { beside: Beside::Noise } => "a quiet tenant, beside a noisy one",
            Self::Quiet { beside: Beside::NoSilence } => "a client, alone",
            Self::Quiet { beside: Beside::Silence } => "a client, beside silent connections",
        })
    }
}

/// Every comparison, in the order of the table.
pub(super) const COMPARISONS: [Comparison<Subject>; 3] = [
    Comparison {
        of: Subject::Overload,
        with: Some(Subject::Maximum),
        measure: Measure::Rate,
        goal: None,
    }
    .at_least(0.8),
    quiet(Beside::Noise, Beside::NoNoise).at_most(1.5),
    quiet(Beside::Silence, Beside::NoSilence).at_most(2.0),
];

const fn quiet(beside: Beside, alone: Beside) -> Comparison<Subject> {
    Comparison {
        of: Subject::Quiet { beside },
        with: Some(Subject::Quiet { beside: alone }),
        measure: Measure::P99,
        goal: None,
    }
}
