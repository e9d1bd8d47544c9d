//! A range of a log held against what the index has of it, one by one. No input or output.

use std::collections::HashMap;

use domain::{EntryId, Place, TenantId};

/// A document of a tenant, as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is found by; an entry's id, unless somebody else has written it.
    pub id: String,
    /// Which entry it says it is.
    pub seq: i64,
}

/// What is wrong with a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Entries without a document.
    pub missing: Vec<Place>,
    /// Documents without an entry, or a second one of the same; once each.
    pub foreign: Vec<Document>,
}

impl Difference {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.foreign.is_empty()
    }

    /// The first number that something is wrong with.
    pub fn lowest(&self) -> Option<i64> {
        let missing = self.missing.first().map(|place| place.seq.get());
        let foreign = self.foreign.first().map(|document| document.seq);
        missing.into_iter().chain(foreign).min()
    }

    /// Of a range's documents and its places, each in any order.
    pub fn of(tenant_id: TenantId, documents: Vec<Document>, places: &[Place]) -> Self {
        let mut unseen: HashMap<Place, bool> = places.iter().map(|place| (*place, false)).collect();
        let mut foreign: Vec<Document> = Vec::new();
        for document in documents {
            match entry_of(tenant_id, &document).and_then(|place| unseen.get_mut(&place)) {
                Some(seen) if !*seen => *seen = true,
                // Of two with one id, neither can be told from the other: both go, one comes back.
                Some(seen) => {
                    *seen = false;
                    foreign.push(document);
                }
                None => foreign.push(document),
            }
        }
        foreign.sort_by(|one, other| (one.seq, &one.id).cmp(&(other.seq, &other.id)));
        foreign.dedup();
        let missing = places.iter().filter(|place| !unseen[place]).copied().collect();
        Self { missing, foreign }
    }
}

/// The place that a document stands for, if its id and its number say the same.
fn entry_of(tenant_id: TenantId, document: &Document) -> Option<Place> {
    let place = EntryId::parse(&document.id).ok()?.place_in(tenant_id)?;
    (place.seq.get() == document.seq).then_some(place)
}

/// Numbers as ranges, both ends inclusive, that lie as close as they can.
pub fn ranges(missing: &[Place]) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for seq in missing.iter().map(|place| place.seq.get()) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => ranges.push((seq, seq)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use domain::{Seq, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId::new(Uuid::from_u128(n))
    }

    fn place(ms: i64, seq: i64) -> Place {
        let seq = Seq::new(seq).expect("a number");
        Place { recorded_at: Timestamp::from_millis(ms), seq }
    }

    fn document(tenant_id: TenantId, place: Place) -> Document {
        let id = EntryId::of(place, tenant_id).to_string();
        Document { id, seq: place.seq.get() }
    }

    #[test]
    fn what_is_the_same_on_both_sides_is_no_difference() {
        let places: Vec<_> = (1..=5).map(|seq| place(1_000 + seq / 2, seq)).collect();
        let documents = places.iter().rev().map(|place| document(tenant(1), *place)).collect();
        assert!(Difference::of(tenant(1), documents, &places).is_empty());
    }

    #[test]
    fn missing_foreign_and_misplaced_documents_are_told_apart() {
        let places: Vec<_> = (1..=4).map(|seq| place(1_000, seq)).collect();
        let good = document(tenant(1), places[0]);
        let strangers = document(tenant(2), places[1]);
        let undone = document(tenant(1), place(1_001, 3));
        let renumbered = Document { seq: 4, ..document(tenant(1), places[2]) };
        let nonsense = Document { id: "x".to_owned(), seq: 4 };
        let documents =
            vec![strangers.clone(), good, undone.clone(), renumbered.clone(), nonsense.clone()];
        let found = Difference::of(tenant(1), documents, &places);
        assert_eq!(found.missing, places[1..]);
        assert_eq!(found.foreign, [strangers, undone, renumbered, nonsense]);
        assert_eq!(found.lowest(), Some(2));
    }

    #[test]
    fn of_a_document_that_is_there_twice_both_go_and_the_entry_is_missing() {
        let places = [place(1_000, 1), place(1_000, 2)];
        let twice = document(tenant(1), places[0]);
        let documents = vec![twice.clone(), document(tenant(1), places[1]), twice.clone()];
        let found = Difference::of(tenant(1), documents, &places);
        assert_eq!((found.missing, found.foreign), (vec![places[0]], vec![twice]));
    }

    #[test]
    fn numbers_become_the_fewest_ranges() {
        let places = [1, 2, 3, 7, 9, 10].map(|seq| place(1, seq));
        assert_eq!(ranges(&places), [(1, 3), (7, 7), (9, 10)]);
        assert_eq!(ranges(&[]), []);
    }
}
