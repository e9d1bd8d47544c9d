//! The part of a search that the log answers: what matches in a range, and how often which values.

use std::collections::HashMap;
use std::ops::ControlFlow;

use domain::{Place, Rank, StoredEntry};
use search::{FacetField, Sort};

use super::{Refusal, Wanted};
use crate::store::Store;
use crate::store::matches::{self, Looked, Reach};
use crate::store::range::Range;

/// An entry that matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Match {
    /// Where it stands.
    pub(super) place: Place,
    /// How well it matches; 0 when nobody asked.
    pub(super) score: f32,
}

impl Match {
    /// What a ranking goes by.
    pub(super) fn rank(&self) -> Rank {
        Rank { score: self.score, seq: self.place.seq }
    }
}

/// What matches, counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tally {
    /// Entries.
    pub(super) entries: u64,
    /// How often each value was there, by field.
    pub(super) facets: HashMap<FacetField, HashMap<String, u64>>,
}

impl Tally {
    fn add(&mut self, entry: &StoredEntry<'_>, fields: &[FacetField]) {
        self.entries += 1;
        for field in fields {
            let value = match field {
                FacetField::Action => entry.action,
                FacetField::Severity => entry.severity.as_str(),
                FacetField::ResourceType => entry.resource_type,
                FacetField::UserId => entry.user_id,
            };
            let counts = self.facets.entry(*field).or_default();
            match counts.get_mut(value) {
                Some(count) => *count += 1,
                None => drop(counts.insert(value.to_owned(), 1)),
            }
        }
    }
}

/// Which of the matches are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    /// Those with this number or a lower one.
    pub(super) up_to: i64,
    /// So many.
    pub(super) most: usize,
    /// When they are, it goes on and counts up to this.
    pub(super) count_to: u64,
}

/// What a look at the log has brought; by default, at a range without a single entry.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// From new to old.
    pub(super) matches: Vec<Match>,
    /// Of all that was looked at, kept or not.
    pub(super) tally: Tally,
    /// How far it went.
    pub(super) looked: Looked,
}

/// Looks at a range of the log.
pub(super) async fn look(
    store: &Store,
    wanted: &Wanted<'_>,
    range: &Range,
    keep: Keep,
    reach: Reach,
) -> Result<Part, Refusal> {
    if range.first.seq > range.last.seq {
        return Ok(Part::default());
    }
    let (mut matches, mut tally) = (Vec::new(), Tally::default());
    let take = |entry: &StoredEntry<'_>| {
        tally.add(entry, wanted.facets);
        if entry.place.seq.get() <= keep.up_to && matches.len() < keep.most {
            matches.push(Match { place: entry.place, score: score(wanted, entry) });
        }
        let full = matches.len() >= keep.most && tally.entries >= keep.count_to;
        if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let looking = store.read(wanted.tenant_id, async |db| {
        matches::look(db, wanted.tenant_id, wanted.selection, range, reach, take).await
    });
    let looked = looking.await?;
    Ok(Part { matches, tally, looked })
}

fn score(wanted: &Wanted<'_>, entry: &StoredEntry<'_>) -> f32 {
    match (wanted.sort, wanted.selection.query()) {
        (Sort::Relevance, Some(query)) => query.score(entry),
        _ => 0.0,
    }
}
