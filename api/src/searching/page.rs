//! A page of what a search has found: the entries as the log has them, totals, facets, words.

use std::collections::HashMap;

use domain::{EntryId, Highlight, Place, Progress, SearchCursor, StoredEntry};
use search::{FacetField, Sort};
use time::OffsetDateTime;

use super::index;
use super::order::{self, Item, Sequence, Window};
use super::plan::{Plan, Stage};
use super::{Findings, Refusal};
use crate::app::App;
use crate::store::bounds::Bounds;
use crate::store::places::{self, Recent};

/// JSON on a page, unless a single entry has more.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// Values of one facet that are told.
const FACET_VALUES_MAX: usize = 50;

/// Who has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// The index, completed by the log.
    Index,
    /// The log alone.
    #[default]
    Log,
}

/// Some entries, and what is known of the others.
#[derive(Debug, Default)]
pub struct Page {
    /// The entries' JSON, with commas between.
    pub data: Vec<u8>,
    /// How many there are.
    pub count: usize,
    /// Where to go on.
    pub next: Option<SearchCursor>,
    /// The head that the search ends at.
    pub until: Option<Place>,
    /// The first number that has not expired.
    pub floor_seq: i64,
    /// By place: the number of the last entry looked at.
    pub scanned_to: Option<i64>,
    /// Who has answered.
    pub source: Source,
    /// Entries from the floor to the head, and documents in the index, when it was counted.
    pub indexed: Option<(u64, u64)>,
    /// Matches.
    pub total: u64,
    /// Whether these are all.
    pub total_is_exact: bool,
    /// Values and how often they were found, most often first.
    pub facets: Vec<(FacetField, Vec<(String, u64)>)>,
    /// Where the words are, of the entries that have some.
    pub highlights: Vec<(EntryId, Vec<Highlight>)>,
}

impl Page {
    /// Of a log that has no entry, or none any more.
    pub(super) fn empty(bounds: &Bounds, facets: &[FacetField]) -> Self {
        Self {
            until: bounds.head,
            floor_seq: bounds.floor_seq,
            total_is_exact: true,
            facets: facets.iter().map(|field| (*field, Vec::new())).collect(),
            ..Self::default()
        }
    }
}

/// An entry that was read.
#[derive(Debug)]
struct Read {
    json: Vec<u8>,
    highlights: Vec<Highlight>,
}

/// What was read for a page.
#[derive(Debug, Default)]
struct Entries {
    data: Vec<u8>,
    count: usize,
    /// Items that the page has gone over.
    used: usize,
    /// Items that the log does not have.
    missing: Vec<Place>,
    highlights: Vec<(EntryId, Vec<Highlight>)>,
}

/// Reads the entries; no page when some are not there, unless this is the last try.
pub(super) async fn make(
    app: &App,
    plan: &Plan<'_>,
    findings: &Findings,
    is_last: bool,
) -> Result<Option<Page>, Refusal> {
    let sequence = sequence(plan, findings);
    let (entries, bounds) = read(app, plan, &sequence.items).await?;
    let tenant_id = plan.wanted.tenant_id;
    if plan.is_outdated(&bounds) {
        app.searches.indexed.iter().for_each(|it| it.marks.stir(tenant_id));
        return Ok(None);
    }
    if let Some(missing) = entries.missing.iter().min() {
        // Documents of entries that the log does not have: what it counted is not what it holds.
        let below = missing.seq.get() - 1;
        app.searches.indexed.iter().for_each(|it| it.marks.lower(tenant_id, below));
        if !is_last && !plan.needs_index() {
            return Ok(None);
        }
    }
    Ok(Some(compose(plan, findings, &sequence, entries)))
}

fn compose(plan: &Plan<'_>, findings: &Findings, sequence: &Sequence, entries: Entries) -> Page {
    let (total, total_is_exact) = total(plan, findings);
    let next = sequence.next(entries.used, plan.until, findings.settled, plan.before);
    let scanned_to = match (plan.wanted.sort, next.map(|next| next.progress)) {
        (Sort::Newest, Some(Progress::Newest { below })) => Some(below.seq.get()),
        (Sort::Newest, _) => Some(plan.bounds.floor_seq),
        (Sort::Relevance, _) => None,
    };
    Page {
        count: entries.count,
        next,
        until: Some(plan.until),
        floor_seq: plan.bounds.floor_seq,
        scanned_to,
        source: if findings.settled > 0 { Source::Index } else { Source::Log },
        indexed: findings.counted.map(|counted| (counted.expected(), counted.indexed)),
        total,
        total_is_exact: total_is_exact && entries.missing.is_empty(),
        facets: facets(plan, findings),
        data: entries.data,
        highlights: entries.highlights,
    }
}

/// What goes on the page, in its order.
fn sequence(plan: &Plan<'_>, findings: &Findings) -> Sequence {
    let limit = plan.wanted.limit;
    let found = findings.found.as_ref();
    let indexed = found.map(|found| &found.hits[..]);
    let part = &findings.part;
    let (window, after) = match plan.stage {
        Stage::Newest { .. } if plan.is_below(findings.settled) => {
            return order::newest(&[], None, indexed, limit);
        }
        Stage::Newest { .. } => {
            let cut_at = part.looked.last.filter(|_| !part.looked.is_done);
            return order::newest(&part.matches, cut_at, indexed, limit);
        }
        Stage::Ranked { after } => {
            let mut sequence = Sequence::default();
            order::ranked(&mut sequence, indexed.unwrap_or_default(), after, limit);
            return sequence;
        }
        Stage::Window { .. } => (window(plan, findings), None),
        Stage::Within { after, .. } => (window(plan, findings), Some(after)),
    };
    // Without a window, nothing lies above the mark.
    let (mut sequence, at_end) = window.map_or_else(
        || (Sequence::default(), true),
        |window| order::ranked_window(&part.matches, window, after, limit),
    );
    if at_end && let Some(indexed) = indexed {
        order::ranked(&mut sequence, indexed, None, limit);
    }
    sequence
}

/// The window that was looked at; none when it has no entry.
fn window(plan: &Plan<'_>, findings: &Findings) -> Option<Window> {
    let looked = findings.part.looked;
    let all = plan.log_range(findings.settled);
    let bottom = looked.last?;
    let top = match plan.stage {
        Stage::Within { top, .. } => top,
        _ => Place { recorded_at: all.last.at, seq: domain::Seq::new(all.last.seq)? },
    };
    let is_last = bottom.seq.get() <= plan.log_first(findings.settled).seq;
    Some(Window { top, bottom, is_last })
}

/// Matches in all, and whether that is exact.
fn total(plan: &Plan<'_>, findings: &Findings) -> (u64, bool) {
    let part = &findings.part;
    let at_end = match plan.stage {
        Stage::Newest { .. } | Stage::Ranked { .. } => part.looked.is_done,
        Stage::Window { .. } | Stage::Within { .. } => {
            window(plan, findings).is_none_or(|window| window.is_last)
        }
    };
    let before = if plan.is_below(findings.settled) { 0 } else { plan.before };
    let by_log = before + part.tally.entries;
    match &findings.found {
        Some(found) => (by_log + found.total.count, at_end && found.total.is_exact),
        None => (by_log, at_end),
    }
}

/// Sums of what both have counted, in the order in which they were asked for.
fn facets(plan: &Plan<'_>, findings: &Findings) -> Vec<(FacetField, Vec<(String, u64)>)> {
    let sum = |field: &FacetField| {
        let mut counts: HashMap<String, u64> =
            findings.part.tally.facets.get(field).cloned().unwrap_or_default();
        let found = findings.found.iter().flat_map(|found| &found.facets);
        for facet in found.filter(|facet| facet.field == *field) {
            for (value, count) in &facet.values {
                *counts.entry(index::facet_value(*field, value)).or_default() += count;
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
        counts.truncate(FACET_VALUES_MAX);
        (*field, counts)
    };
    plan.wanted.facets.iter().map(sum).collect()
}

/// Reads entries in the order of the page until it is full, and the log's bounds with them.
async fn read(app: &App, plan: &Plan<'_>, items: &[Item]) -> sqlx::Result<(Entries, Bounds)> {
    let tenant_id = plan.wanted.tenant_id;
    let places: Vec<Place> = items.iter().map(|item| item.place).collect();
    let recent = Recent::of(&places, OffsetDateTime::now_utc());
    let reading = app.store.read_by(recent.plans(), tenant_id, async |db| {
        let mut entries = Entries::default();
        let mut chunks = places.chunks(places::PLACES_MAX);
        // Of no place at all there are still the bounds.
        let mut chunk = chunks.next().unwrap_or_default();
        loop {
            let mut found = HashMap::with_capacity(chunk.len());
            let keep = |entry: &StoredEntry<'_>| {
                found.insert(entry.place, entry_of(plan, entry));
            };
            let bounds = places::read(&mut *db, tenant_id, chunk, recent, keep).await?;
            let is_full = !entries.add(plan, chunk, &mut found);
            match chunks.next() {
                Some(next) if !is_full => chunk = next,
                _ => return Ok((entries, bounds)),
            }
        }
    });
    reading.await
}

fn entry_of(plan: &Plan<'_>, entry: &StoredEntry<'_>) -> Read {
    let mut json = Vec::new();
    entry.write_json(plan.wanted.owner, &mut json);
    let query = plan.wanted.selection.query().filter(|_| plan.wanted.highlight);
    let highlights = query.map(|query| query.highlights(entry)).unwrap_or_default();
    Read { json, highlights }
}

impl Entries {
    /// Whether all of them had room.
    fn add(&mut self, plan: &Plan<'_>, chunk: &[Place], found: &mut HashMap<Place, Read>) -> bool {
        for place in chunk {
            let Some(read) = found.remove(place) else {
                self.missing.push(*place);
                self.used += 1;
                continue;
            };
            if self.count > 0 {
                if self.data.len() + read.json.len() >= PAGE_BYTES_MAX {
                    return false;
                }
                self.data.push(b',');
            }
            self.data.extend_from_slice(&read.json);
            if !read.highlights.is_empty() {
                self.highlights.push((plan.wanted.owner.id(*place), read.highlights));
            }
            self.count += 1;
            self.used += 1;
        }
        true
    }
}

/// Whether the index holds exactly what the log does.
pub fn is_complete((expected, indexed): (u64, u64)) -> bool {
    expected == indexed
}
