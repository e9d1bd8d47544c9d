//! A first look at an entry for many filters: a few bits, and most of what a filter leaves behind
//! never has its texts compared.

use crate::{Action, Filter, Ident, ResourceId, ResourceType, StoredEntry};

/// Fields of which a filter may name values.
const FIELDS: usize = 6;

/// Marks that a field may have: with a hundred values asked for, nine in ten others differ.
const MARKS: usize = 1 << MARK_BITS;
const MARK_BITS: u32 = 10;

/// What is known of an entry's fields at a glance: equal texts have equal marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks([u16; FIELDS]);

/// What a filter says of its fields, one after the other; those it does not name have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sieve(Vec<Mesh>);

/// The marks that one field may have, a bit for each.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mesh {
    field: usize,
    bits: [u64; MARKS / 64],
}

impl Marks {
    /// Of an entry's fields, in the order of the sieve's.
    pub fn of(entry: &StoredEntry<'_>) -> Self {
        let StoredEntry { user_id, session_id, request_id, action, resource_type, .. } = *entry;
        // A field that is not there is none of any values; that it looks like an empty one is
        // for the filter to see.
        let texts = [
            Some(user_id),
            session_id,
            request_id,
            Some(action),
            Some(resource_type),
            entry.resource_id,
        ];
        Self(texts.map(|text| mark(text.unwrap_or_default())))
    }
}

impl Sieve {
    /// Lets through whatever a filter does, and some more.
    pub fn of(filter: &Filter) -> Self {
        let meshes = [
            Mesh::of(0, &filter.user_id, Ident::as_str),
            Mesh::of(1, &filter.session_id, Ident::as_str),
            Mesh::of(2, &filter.request_id, Ident::as_str),
            Mesh::of(3, &filter.action, Action::as_str),
            Mesh::of(4, &filter.resource_type, ResourceType::as_str),
            Mesh::of(5, &filter.resource_id, ResourceId::as_str),
        ];
        Self(meshes.into_iter().flatten().collect())
    }

    /// Whether an entry with these marks may pass.
    pub fn lets_through(&self, marks: Marks) -> bool {
        self.0.iter().all(|mesh| {
            let (word, bit) = place_of(marks.0[mesh.field]);
            mesh.bits[word] & bit != 0
        })
    }
}

impl Mesh {
    /// `None` where a field may have any value.
    fn of<T>(field: usize, values: &[T], text: fn(&T) -> &str) -> Option<Self> {
        let mut bits = [0; MARKS / 64];
        for mark in values.iter().map(|value| mark(text(value))) {
            let (word, bit) = place_of(mark);
            bits[word] |= bit;
        }
        (!values.is_empty()).then_some(Self { field, bits })
    }
}

/// The word that a mark's bit is in, and the bit.
fn place_of(mark: u16) -> (usize, u64) {
    (usize::from(mark / 64), 1 << (mark % 64))
}

/// Spreads texts that differ in a digit, as ids do.
fn mark(text: &str) -> u16 {
    let mixed = text.bytes().fold(0_u32, |mixed, byte| {
        (mixed ^ u32::from(byte)).wrapping_mul(0x9e37_79b1).rotate_left(15)
    });
    (mixed.wrapping_mul(0x85eb_ca6b) >> (u32::BITS - MARK_BITS)) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Place, Seq, Timestamp};

    fn entry<'a>(user_id: &'a str, resource_id: Option<&'a str>) -> StoredEntry<'a> {
        let place = Place { recorded_at: Timestamp::from_millis(7), seq: Seq::new(3).unwrap() };
        StoredEntry { resource_id, ..StoredEntry::bare(place, user_id, "UPDATE", "user") }
    }

    fn filter(users: &[String], resources: &[String]) -> Filter {
        let of = |name: &'static str, values: &[String]| {
            values.iter().map(|value| (name, value.clone())).collect::<Vec<_>>()
        };
        let pairs = [of("user_id", users), of("resource_id", resources)].concat();
        Filter::read(pairs.iter().map(|(name, value)| (*name, value.as_str()))).unwrap()
    }

    proptest! {
        #[test]
        fn whatever_a_filter_lets_pass_a_sieve_lets_through(
            users in prop::collection::vec("[a-c]{1,2}", 0..4),
            resources in prop::collection::vec("[a-c]{1,2}", 0..4),
            user in "[a-c]{1,2}",
            resource in proptest::option::of("[a-c]{1,2}"),
        ) {
            let entry = entry(&user, resource.as_deref());
            let filter = filter(&users, &resources);
            if filter.matches(&entry) {
                prop_assert!(Sieve::of(&filter).lets_through(Marks::of(&entry)));
            }
        }
    }

    #[test]
    fn of_a_hundred_values_a_sieve_leaves_most_others_behind() {
        let asked: Vec<_> = (0..100).map(|n| format!("u-{}", n * 41)).collect();
        let sieve = Sieve::of(&filter(&asked, &[]));
        let through = |n: &usize| sieve.lets_through(Marks::of(&entry(&format!("u-{n}"), None)));
        let through = (0..4_100).filter(through).count();
        assert!((100..700).contains(&through), "{through} of 4,100");
    }
}
