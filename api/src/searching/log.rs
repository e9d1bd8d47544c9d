//! The part of a search that the log answers: what matches in a range, and how often which values.

use std::collections::HashMap;
use std::ops::ControlFlow;

use domain::StoredEntry;
use search::{FacetField, Hit, Sort};

use super::turns::{Need, Turns};
use super::{Refusal, TAIL_SHORT, Wanted};
use crate::store::Store;
use crate::store::matches::{self, LOOKED_AT_MAX, Looked, Reach};
use crate::store::range::{Edge, Range};

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
    /// The turn that this is worth where the newest entries are not all.
    pub(super) totals: Option<Need>,
}

/// What a look at the log has brought; by default, at a range without a single entry.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// From new to old.
    pub(super) matches: Vec<Hit>,
    /// Of all that was looked at, kept or not.
    pub(super) tally: Tally,
    /// How far it went.
    pub(super) looked: Looked,
}

/// Looks at a range of the log: at its newest entries, and, where these are not enough, at more of
/// them in turn. What must be whole is looked at in one go, in turn when it is long.
pub(super) async fn look(
    (store, turns): (&Store, &Turns),
    wanted: &Wanted<'_>,
    range: &Range,
    keep: Keep,
    is_whole: bool,
) -> Result<Part, Refusal> {
    let mut part = Part::default();
    if range.first.seq > range.last.seq {
        return Ok(part);
    }
    let entries = range.last.seq - range.first.seq + 1;
    let lasts = (!is_whole).then_some(matches::TIME_MAX);
    let mut rest = *range;
    if is_begun_at_once(entries, is_whole) {
        let reach = Reach { entries: TAIL_SHORT, lasts };
        part.go_on(store, wanted, range, keep, reach).await?;
        match part.looked.last {
            Some(last) if part.wants_more(keep) => rest.last = Edge::below(last),
            _ => return Ok(part),
        }
    }
    let need = match keep.totals {
        _ if is_whole => Need::Whole,
        _ if part.matches.len() < keep.most => Need::Page,
        Some(need) => need,
        None => return Ok(part),
    };
    let Some(_turn) = turns.take(wanted.tenant_id, need).await? else { return Ok(part) };
    part.go_on(store, wanted, &rest, keep, Reach { entries: LOOKED_AT_MAX, lasts }).await?;
    Ok(part)
}

/// Whether a look over so many entries needs no turn to begin: it is short, or may be cut short.
fn is_begun_at_once(entries: i64, is_whole: bool) -> bool {
    !is_whole || entries <= TAIL_SHORT
}

impl Part {
    async fn go_on(
        &mut self,
        store: &Store,
        wanted: &Wanted<'_>,
        range: &Range,
        keep: Keep,
        reach: Reach,
    ) -> sqlx::Result<()> {
        let take = |entry: &StoredEntry<'_>| {
            self.tally.add(entry, wanted.facets);
            if entry.place.seq.get() <= keep.up_to && self.matches.len() < keep.most {
                self.matches.push(Hit { place: entry.place, score: score(wanted, entry) });
            }
            if self.is_full(keep) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let looking = store.read(wanted.tenant_id, async |db| {
            matches::look(db, wanted.tenant_id, wanted.selection, range, reach, take).await
        });
        let looked = looking.await?;
        self.looked = Looked { last: looked.last.or(self.looked.last), ..looked };
        Ok(())
    }

    fn is_full(&self, keep: Keep) -> bool {
        self.matches.len() >= keep.most && self.tally.entries >= keep.count_to
    }

    fn wants_more(&self, keep: Keep) -> bool {
        !self.looked.is_done && !self.looked.has_moved && !self.is_full(keep)
    }
}

fn score(wanted: &Wanted<'_>, entry: &StoredEntry<'_>) -> f32 {
    match (wanted.sort, wanted.selection.query()) {
        (Sort::Relevance, Some(query)) => query.score(entry),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_window_that_must_be_whole_waits_before_it_begins() {
        for (entries, is_whole, at_once) in [
            (1, true, true),
            (TAIL_SHORT, true, true),
            (TAIL_SHORT + 1, true, false),
            (TAIL_SHORT + 1, false, true),
        ] {
            assert_eq!(is_begun_at_once(entries, is_whole), at_once, "{entries} {is_whole}");
        }
    }
}
