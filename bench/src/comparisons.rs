//! What `bench write` compares, and what must come out.

use crate::goals::{Comparison, Goal, Measure};
use crate::subject::{Kind, Subject};

const NULL_GOAL: f64 = 0.50;
const BULK_GOAL: f64 = 0.75;
const SUSTAINED_GOAL: f64 = 20_000.0;

/// Every comparison, in the order of the table.
pub(crate) const COMPARISONS: [Comparison<Subject>; 15] = [
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

const fn rates(of: Kind, connections: usize, with: Kind) -> Comparison<Subject> {
    Comparison {
        of: of.at(connections),
        with: Some(with.at(connections)),
        measure: Measure::Rate,
        goal: None,
    }
}
