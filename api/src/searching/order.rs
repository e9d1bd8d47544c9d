//! In which order what was found goes on pages, and where the next page begins.

use domain::{Place, Progress, Rank, SearchCursor};
use search::Hit;

/// An entry for a page, and how far a search has come with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Item {
    /// Where it stands.
    pub(super) place: Place,
    /// As a cursor behind it says.
    pub(super) progress: Progress,
}

/// What goes on a page, if it has room for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sequence {
    /// In their order.
    pub(super) items: Vec<Item>,
    /// Behind all of them; `None` at the end of the search.
    pub(super) end: Option<Progress>,
    /// Matches of a window of the log that `end` leaves behind.
    pub(super) window: u64,
}

impl Sequence {
    /// Where to go on behind so many of the items, of a search that had counted some before.
    pub(super) fn next(
        &self,
        used: usize,
        until: Place,
        settled: i64,
        before: u64,
    ) -> Option<SearchCursor> {
        let progress = match used.checked_sub(1) {
            _ if used == self.items.len() => self.end?,
            Some(last) => self.items[last].progress,
            None => return None,
        };
        let counted = match progress {
            Progress::Newest { .. } => before + used as u64,
            Progress::Below { .. } | Progress::Ranked { .. } => before + self.window,
            Progress::Within { .. } => before,
        };
        Some(SearchCursor { until, progress, settled, counted })
    }
}

/// By place: what the log has found, then what the index has, which lies below.
///
/// `cut_at` is where the look at the log ended, if that was before the index's part. Both have one
/// more than a page, unless that is all.
pub(super) fn newest(
    matches: &[Hit],
    cut_at: Option<Place>,
    indexed: Option<&[Hit]>,
    limit: usize,
) -> Sequence {
    let newest = |found: &Hit| Item {
        place: found.place,
        progress: Progress::Newest { below: found.place },
    };
    let mut items: Vec<Item> = matches.iter().take(limit).map(newest).collect();
    if let Some(below) = cut_at
        && matches.len() <= limit
    {
        // Between here and the index's part there may be more.
        return Sequence { items, end: Some(Progress::Newest { below }), window: 0 };
    }
    let room = limit - items.len();
    let indexed = indexed.unwrap_or_default();
    items.extend(indexed.iter().take(room).map(newest));
    let is_all = matches.len() <= limit && indexed.len() <= room;
    let end = items.last().map(|item| item.progress).filter(|_| !is_all);
    Sequence { items, end, window: 0 }
}

/// A window of the log that is ranked by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Its highest entry.
    pub(super) top: Place,
    /// Its lowest.
    pub(super) bottom: Place,
    /// Whether the log's part of the search ends with it.
    pub(super) is_last: bool,
}

/// By relevance, in the log: the best of a window behind a rank. The second says whether that is
/// all of the log's part, so that the index's may follow.
pub(super) fn ranked_window(
    matches: &[Hit],
    window: Window,
    after: Option<Rank>,
    limit: usize,
) -> (Sequence, bool) {
    let Window { top, bottom, is_last } = window;
    let mut rest: Vec<&Hit> = matches
        .iter()
        .filter(|found| after.is_none_or(|after| follows(found.rank(), after)))
        .collect();
    rest.sort_unstable_by(|one, other| order(one.rank(), other.rank()));
    let within = |found: &&Hit| Item {
        place: found.place,
        progress: Progress::Within { top, bottom, after: found.rank() },
    };
    let items: Vec<Item> = rest.iter().take(limit).map(within).collect();
    let is_all = items.len() == rest.len();
    let end = match (is_all, items.last()) {
        (false, Some(last)) => Some(last.progress),
        _ if is_last => None,
        _ => Some(Progress::Below { below: bottom }),
    };
    (Sequence { items, end, window: matches.len() as u64 }, is_all && is_last)
}

/// By relevance, in the index; puts them behind what the log has found.
pub(super) fn ranked(sequence: &mut Sequence, indexed: &[Hit], before: Option<Rank>, limit: usize) {
    let room = limit - sequence.items.len();
    let ranked = |found: &Hit| Item {
        place: found.place,
        progress: Progress::Ranked { after: Some(found.rank()) },
    };
    sequence.items.extend(indexed.iter().take(room).map(ranked));
    let is_all = indexed.len() <= room;
    let last = indexed[..indexed.len().min(room)].last().map(Hit::rank).or(before);
    sequence.end = (!is_all).then_some(Progress::Ranked { after: last });
}

/// Whether a rank comes behind another.
fn follows(rank: Rank, other: Rank) -> bool {
    order(rank, other).is_gt()
}

/// The better first, of equal ones the newer.
fn order(one: Rank, other: Rank) -> std::cmp::Ordering {
    other.score.total_cmp(&one.score).then(other.seq.cmp(&one.seq))
}

#[cfg(test)]
mod tests {
    use domain::{Seq, Timestamp};

    use super::*;

    fn at(seq: i64) -> Place {
        let seq = Seq::new(seq).expect("from 1 on");
        Place { recorded_at: Timestamp::from_millis(seq.get()), seq }
    }

    fn found(seq: i64, score: f32) -> Hit {
        Hit { place: at(seq), score }
    }

    fn seqs(sequence: &Sequence) -> Vec<i64> {
        sequence.items.iter().map(|item| item.place.seq.get()).collect()
    }

    #[test]
    fn the_tail_comes_first_and_a_cut_tail_ends_the_page() {
        let indexed = [found(5, 0.0), found(3, 0.0)];
        let tail = [found(9, 0.0), found(7, 0.0)];
        let whole = newest(&tail, None, Some(&indexed), 10);
        assert_eq!((seqs(&whole), whole.end), (vec![9, 7, 5, 3], None));
        let full = newest(&tail, None, Some(&indexed), 3);
        assert_eq!(seqs(&full), [9, 7, 5]);
        assert_eq!(full.end, Some(Progress::Newest { below: at(5) }));
        let cut = newest(&tail[..1], Some(at(8)), Some(&indexed), 10);
        assert_eq!((seqs(&cut), cut.end), (vec![9], Some(Progress::Newest { below: at(8) })));
    }

    #[test]
    fn a_page_that_is_just_full_goes_on_only_if_there_is_more() {
        let indexed = [found(5, 0.0), found(3, 0.0)];
        assert_eq!(newest(&[], None, Some(&indexed), 2).end, None);
        let more = newest(&[], None, Some(&indexed), 1);
        assert_eq!(more.end, Some(Progress::Newest { below: at(5) }));
        let tail = [found(9, 0.0), found(7, 0.0)];
        let more = newest(&tail, None, Some(&[]), 1);
        assert_eq!((seqs(&more), more.end), (vec![9], Some(Progress::Newest { below: at(9) })));
        assert_eq!(newest(&tail, None, None, 2).end, None);
        let tail_alone = newest(&[found(9, 0.0), found(7, 0.0)], None, Some(&indexed), 2);
        assert_eq!(tail_alone.end, Some(Progress::Newest { below: at(7) }));
    }

    #[test]
    fn a_window_is_ranked_and_gone_through_without_repeat() {
        let matches = [found(9, 1.0), found(8, 2.0), found(7, 2.0), found(6, 0.5)];
        let window = Window { top: at(9), bottom: at(5), is_last: true };
        let (all, at_end) = ranked_window(&matches, window, None, 10);
        assert_eq!((seqs(&all), all.end, at_end), (vec![8, 7, 9, 6], None, true));
        let (mut walked, mut after) = (Vec::new(), None);
        for _ in 0..4 {
            let (one, _) = ranked_window(&matches, window, after, 1);
            walked.extend(seqs(&one));
            let Progress::Within { after: rank, .. } = one.items[0].progress else {
                panic!("within the window")
            };
            after = Some(rank);
        }
        assert_eq!(walked, seqs(&all));
        let more = Window { is_last: false, ..window };
        let (all, at_end) = ranked_window(&matches, more, None, 10);
        assert_eq!((all.end, at_end), (Some(Progress::Below { below: at(5) }), false));
    }

    #[test]
    fn the_index_follows_the_window() {
        let window = Window { top: at(9), bottom: at(8), is_last: true };
        let indexed = [found(3, 7.0), found(5, 1.0)];
        let of = |limit| {
            let (mut sequence, _) = ranked_window(&[found(9, 1.0)], window, None, limit);
            ranked(&mut sequence, &indexed, None, limit);
            (seqs(&sequence), sequence.end)
        };
        assert_eq!(of(9), (vec![9, 3, 5], None));
        let rank = |found: Hit| Some(Progress::Ranked { after: Some(found.rank()) });
        assert_eq!(of(2), (vec![9, 3], rank(indexed[0])));
        assert_eq!(of(1), (vec![9], Some(Progress::Ranked { after: None })));
    }
}
