//! Where an entry stands in its tenant's log.

use serde::Serialize;

use crate::Timestamp;

/// An entry's number in its log: 1, 2, 3 … without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Seq(i64);

impl Seq {
    /// The number of the first entry of every log.
    pub const FIRST: Self = Self(1);
    /// As many entries as 40 bits can count; ids and cursors give a number no more.
    pub const MAX: Self = Self((1 << 40) - 1);

    /// The number, if an entry can have it.
    pub const fn new(number: i64) -> Option<Self> {
        if number >= Self::FIRST.0 && number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for Seq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An entry's place: when it was recorded, and its number.
///
/// Within one log both grow together, so ordering by the pair is ordering by
/// number; the pair is the primary key of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The database's time when the entry was appended.
    pub recorded_at: Timestamp,
    /// The entry's number.
    pub seq: Seq,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_from_one_to_the_greatest_of_40_bits() {
        assert_eq!(Seq::new(0), None);
        assert_eq!(Seq::new(-1), None);
        assert_eq!(Seq::new(1), Some(Seq::FIRST));
        assert_eq!(Seq::new(1_099_511_627_775), Some(Seq::MAX));
        assert_eq!(Seq::new(1_099_511_627_776), None);
    }
}
