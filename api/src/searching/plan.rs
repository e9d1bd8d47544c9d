//! What a search has before it: the log's bounds, and how far its cursor has come.

use domain::{Place, Progress, Rank, SearchCursor, Seq};
use search::{SearchAfter, Sort, TOTAL_EXACT_MAX};

use super::log::Keep;
use super::turns::Need;
use super::{Refusal, Wanted};
use crate::app::App;
use crate::store::bounds::{self, Bounds};
use crate::store::range::{self, Edge, Lost, Range};
use crate::store::{Plans, index_marks, matches};

/// See the module.
#[derive(Debug)]
pub(super) struct Plan<'w> {
    pub(super) wanted: Wanted<'w>,
    pub(super) bounds: Bounds,
    /// The head that the first page saw.
    pub(super) until: Place,
    /// The first entry that the filter can let pass.
    first: Edge,
    /// The mark that the database keeps.
    pub(super) stored_mark: i64,
    pub(super) stage: Stage,
    /// Matches found by the pages before.
    pub(super) before: u64,
    /// Up to where the index answers, by a cursor; `None` without one, 0 when it has no part.
    settled: Option<i64>,
    /// Whether the bounds are those of a while ago, and nobody has looked since.
    pub(super) is_guess: bool,
}

/// How far the search has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stage {
    /// By place: this entry comes next.
    Newest { next: Edge },
    /// By relevance: the window of the log that begins here.
    Window { top: Edge },
    /// By relevance: in this window, behind this rank.
    Within { top: Place, bottom: Place, after: Rank },
    /// By relevance: in the index, behind this rank.
    Ranked { after: Option<Rank> },
}

impl<'w> Plan<'w> {
    /// The plan for a log that seems to rest and to be all in the index, made without looking: what
    /// reads the entries for the page sees whether it was so.
    pub(super) fn at_rest(app: &App, wanted: Wanted<'w>) -> Option<Self> {
        if wanted.cursor.is_some() {
            return None;
        }
        let bounds = app.searches.resting(wanted.tenant_id)?;
        let first = Edge { at: bounds.floor_at, seq: bounds.floor_seq };
        let plan = Self::new(wanted, bounds, bounds.head?, first);
        Some(Self { is_guess: true, ..plan })
    }

    /// Reads the bounds and looks whether the cursor still stands. Without a single entry there are
    /// the bounds alone.
    pub(super) async fn make(
        app: &App,
        wanted: Wanted<'w>,
    ) -> Result<Result<Self, Bounds>, Refusal> {
        let until = wanted.cursor.map(|cursor| cursor.until);
        let tenant_id = wanted.tenant_id;
        // A cursor's entry and the first since a time are looked up among the partitions, and
        // nothing else here is.
        let by_time = until.is_some() || wanted.selection.filter.from.is_some();
        let plans = if by_time { Plans::Fresh } else { Plans::Kept };
        let reading = app.store.read_by(plans, tenant_id, async |db| {
            let (bounds, held) = bounds::get_with(&mut *db, tenant_id, until).await?;
            let first =
                range::first(&mut *db, tenant_id, &wanted.selection.filter, &bounds).await?;
            let mut stored_mark = 0;
            if app.searches.wants_stored_mark(tenant_id) {
                stored_mark = index_marks::get(&mut *db, tenant_id).await?;
            }
            Ok((bounds, held, first, stored_mark))
        });
        let (bounds, held, first, stored_mark) = reading.await?;
        if let Some(refusal) = wanted.cursor.and_then(|cursor| look(&bounds, cursor, held)) {
            return Err(refusal);
        }
        let Some(until) = until.or(bounds.head).filter(|head| head.seq.get() >= bounds.floor_seq)
        else {
            return Ok(Err(bounds));
        };
        let mut plan = Self { stored_mark, ..Self::new(wanted, bounds, until, first) };
        plan.go_on()?;
        Ok(Ok(plan))
    }

    /// From the beginning of the search.
    fn new(wanted: Wanted<'w>, bounds: Bounds, until: Place, first: Edge) -> Self {
        Self {
            wanted,
            bounds,
            until,
            first,
            stored_mark: 0,
            stage: start(wanted.sort, until),
            before: 0,
            settled: None,
            is_guess: false,
        }
    }

    /// Whether the page that was planned is not the one that these bounds ask for.
    pub(super) fn is_outdated(&self, bounds: &Bounds) -> bool {
        let has_grown = self.is_guess && bounds.head != self.bounds.head;
        has_grown || bounds.floor_seq != self.bounds.floor_seq
    }

    /// Takes the cursor's place.
    fn go_on(&mut self) -> Result<(), Refusal> {
        let Some(cursor) = self.wanted.cursor else { return Ok(()) };
        let floor_seq = self.bounds.floor_seq;
        self.before = cursor.counted;
        self.settled = (self.wanted.sort == Sort::Relevance).then_some(cursor.settled);
        self.stage = match cursor.progress {
            Progress::Newest { below } | Progress::Below { below }
                if below.seq.get() < floor_seq - 1 =>
            {
                let oldest = self.bounds.below_floor();
                return Err(oldest.map_or(Refusal::SourceChanged, |oldest| {
                    Refusal::Expired(cursor.expired(oldest))
                }));
            }
            Progress::Newest { below } => Stage::Newest { next: Edge::below(below) },
            Progress::Below { below } => Stage::Window { top: Edge::below(below) },
            Progress::Within { top, bottom, after } => Stage::Within { top, bottom, after },
            Progress::Ranked { after } => Stage::Ranked { after },
        };
        Ok(())
    }

    /// Whether the search may be the index's at all.
    pub(super) fn may_use_index(&self) -> bool {
        self.settled != Some(0)
    }

    /// Whether it goes on with a ranking that the index has made.
    pub(super) fn needs_index(&self) -> bool {
        self.needed_mark().is_some()
    }

    /// Up to where the index answers, if that was decided on the first page.
    pub(super) fn needed_mark(&self) -> Option<i64> {
        self.settled.filter(|settled| *settled > 0)
    }

    /// Whether the floor has moved since this was made.
    pub(super) async fn has_moved(&self, app: &App) -> sqlx::Result<bool> {
        let tenant_id = self.wanted.tenant_id;
        let reading = app.store.read(tenant_id, async |db| bounds::get(&mut *db, tenant_id).await);
        Ok(reading.await?.floor_seq != self.bounds.floor_seq)
    }

    /// Where the index goes on.
    pub(super) fn after_in_index(&self, settled: i64) -> Option<SearchAfter> {
        match self.stage {
            Stage::Newest { next } if next.seq < settled => {
                Some(SearchAfter { score: 0.0, seq: next.seq + 1 })
            }
            Stage::Ranked { after: Some(after) } => {
                Some(SearchAfter { score: after.score, seq: after.seq.get() })
            }
            _ => None,
        }
    }

    /// What the log is looked at for, above the mark.
    ///
    /// Where all of that was given already, it is looked at once more for the totals.
    pub(super) fn log_range(&self, settled: i64) -> Range {
        let until = Edge::of(self.until);
        let last = match self.stage {
            Stage::Newest { next } if next.seq > settled => next,
            Stage::Newest { .. } | Stage::Ranked { .. } => until,
            Stage::Window { top } => top,
            Stage::Within { top, .. } => Edge::of(top),
        };
        let first = self.log_first(settled);
        let first = match self.stage {
            Stage::Within { bottom, .. } if bottom.seq.get() >= first.seq => Edge::of(bottom),
            _ => first,
        };
        Range { first, last, bounds: self.bounds, until: Some(self.until) }
    }

    /// The first entry of the log's part.
    pub(super) fn log_first(&self, settled: i64) -> Edge {
        Edge { at: self.first.at, seq: self.first.seq.max(settled + 1) }
    }

    /// Whether pages before have given all of the log's part.
    pub(super) fn is_below(&self, settled: i64) -> bool {
        match self.stage {
            Stage::Newest { next } => next.seq <= settled,
            Stage::Window { .. } | Stage::Within { .. } => false,
            Stage::Ranked { .. } => true,
        }
    }

    /// Which matches of that are kept.
    pub(super) fn keep(&self, settled: i64, has_index: bool) -> Keep {
        let has_facets = !self.wanted.facets.is_empty();
        // Beyond that no total is exact.
        let count_to = if has_facets { u64::MAX } else { TOTAL_EXACT_MAX + 1 };
        let totals = match settled {
            // Nobody else counts.
            _ if !has_index => Some(Need::Page),
            // The index is away, and who writes needs the processors.
            0 if !has_facets => None,
            _ => Some(Need::Totals),
        };
        let all = usize::MAX;
        match self.stage {
            Stage::Newest { next } => Keep {
                up_to: next.seq,
                // One more, to know whether there is more.
                most: self.wanted.limit + 1,
                count_to,
                totals,
            },
            Stage::Window { .. } | Stage::Within { .. } => {
                Keep { up_to: i64::MAX, most: all, count_to, totals }
            }
            Stage::Ranked { .. } => Keep { up_to: 0, most: 0, count_to, totals },
        }
    }
}

fn start(sort: Sort, until: Place) -> Stage {
    match sort {
        Sort::Newest => Stage::Newest { next: Edge::of(until) },
        Sort::Relevance => Stage::Window { top: Edge::of(until) },
    }
}

/// What is wrong with the head that a cursor's first page saw: all below it is as it was then, as
/// long as it is itself.
fn look(bounds: &Bounds, cursor: SearchCursor, held: bool) -> Option<Refusal> {
    if cursor.until.seq.get() > bounds.head_seq() {
        return Some(Refusal::Lost(Lost::HistoryChanged));
    }
    match bounds.below_floor() {
        Some(oldest) if cursor.until.seq <= oldest.seq => {
            let end = cursor.expired(oldest);
            (cursor != end).then_some(Refusal::Expired(end))
        }
        _ => (!held).then_some(Refusal::Lost(Lost::HistoryChanged)),
    }
}

/// Whether a cursor is one that a search can have given out: it is not signed.
pub fn is_sound(cursor: &SearchCursor, sort: Sort) -> bool {
    let SearchCursor { until, progress, settled, .. } = *cursor;
    let below_until = |place: Place| place <= until;
    let sound_rank = |rank: Rank| rank.score.is_finite() && rank.seq <= until.seq;
    let (sort_fits, place_fits) = match progress {
        Progress::Newest { below } => (sort == Sort::Newest, below_until(below)),
        Progress::Below { below } => (sort == Sort::Relevance, below_until(below)),
        Progress::Within { top, bottom, after } => {
            let entries = top.seq.get() - bottom.seq.get() + 1;
            let is_one_look = bottom <= top && entries <= matches::LOOKED_AT_MAX;
            (sort == Sort::Relevance, below_until(top) && is_one_look && sound_rank(after))
        }
        Progress::Ranked { after } => {
            let by_index = Seq::new(settled).is_some();
            (sort == Sort::Relevance, by_index && after.is_none_or(sound_rank))
        }
    };
    sort_fits && place_fits && settled <= until.seq.get()
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    #[test]
    fn where_an_expired_search_ends_stands_as_long_as_its_head_does() {
        let at = Timestamp::from_millis(9);
        let place = |seq| Place { recorded_at: at, seq: Seq::new(seq).expect("a number") };
        let bounds = |floor_seq| Bounds { head: Some(place(10)), floor_seq, floor_at: at };
        let progress = Progress::Newest { below: place(5) };
        let cursor = SearchCursor { until: place(10), progress, settled: 0, counted: 0 };
        let end = cursor.expired(place(7));
        assert!(look(&bounds(8), end, true).is_none());
        let undone = look(&bounds(8), end, false);
        assert!(matches!(undone, Some(Refusal::Lost(Lost::HistoryChanged))), "{undone:?}");

        // Its head has expired as well.
        let expired = look(&bounds(11), end, false);
        let Some(Refusal::Expired(end)) = expired else { panic!("{expired:?}") };
        assert!(look(&bounds(11), end, false).is_none());
    }
}
