//! Finds the parts of a range that the index counts wrongly, by counting ever smaller ones.

use search::Fault;

/// So few numbers are looked at one by one.
pub const RANGE_LEN_MAX: i64 = 1_000;

/// Parts that a range is split into.
const PARTS_MAX: i64 = 16;

/// Ranges that are counted at once.
const COUNTS_MAX: usize = 96;

/// Ranges that one search for them gives.
const SUSPECTS_MAX: usize = 64;

/// Counts that one search for them asks for.
const ASKED_MAX: u32 = 64;

/// A range of numbers, both ends inclusive.
pub type Range = (i64, i64);

/// A range that the index has too few or too many documents of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// Which.
    pub range: Range,
    /// Whether it has none at all; else the range has at most [`RANGE_LEN_MAX`] numbers.
    pub is_empty: bool,
}

/// What was found, from low to high.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Suspects {
    /// The ranges.
    pub found: Vec<Suspect>,
    /// The first number that has not been looked at; `None`: all have.
    pub next_seq: Option<i64>,
}

/// Looks for wrong parts of a range that is known to be wrong, until they hold so many numbers.
pub async fn suspects<F>(
    range: Range,
    entries_max: i64,
    mut count: impl FnMut(Vec<Range>) -> F,
) -> Result<Suspects, Fault>
where
    F: Future<Output = Result<Vec<u64>, Fault>>,
{
    let mut suspects = Suspects::default();
    let mut numbers = 0;
    // The lowest is on top.
    let mut wrong = vec![Suspect { range, is_empty: false }];
    for _ in 0..ASKED_MAX {
        while let Some(top) = wrong.pop_if(|top| top.is_empty || len(top.range) <= RANGE_LEN_MAX) {
            let room = entries_max - numbers;
            if room <= 0 || suspects.found.len() == SUSPECTS_MAX {
                suspects.next_seq = Some(top.range.0);
                return Ok(suspects);
            }
            let taken = (top.range.0, top.range.1.min(top.range.0 + room - 1));
            numbers += len(taken);
            suspects.found.push(Suspect { range: taken, ..top });
            if taken.1 < top.range.1 {
                suspects.next_seq = Some(taken.1 + 1);
                return Ok(suspects);
            }
        }
        if wrong.is_empty() {
            return Ok(suspects);
        }
        let parts = lowest_parts(&mut wrong);
        let counts = count(parts.clone()).await?;
        let bad = parts.iter().zip(counts).rev().filter(|(part, n)| !is_right(**part, *n));
        wrong.extend(bad.map(|(range, n)| Suspect { range: *range, is_empty: n == 0 }));
    }
    suspects.next_seq = wrong.last().map(|top| top.range.0);
    Ok(suspects)
}

/// Whether the index has as many documents as there are numbers.
pub fn is_right(range: Range, documents: u64) -> bool {
    u64::try_from(len(range)) == Ok(documents)
}

/// How many numbers.
pub fn len(range: Range) -> i64 {
    (range.1 - range.0 + 1).max(0)
}

/// Takes ranges that can be split off the top, in their order, as long as their parts fit.
fn lowest_parts(wrong: &mut Vec<Suspect>) -> Vec<Range> {
    let mut parts = Vec::new();
    while let Some(top) = wrong.pop_if(|top| !top.is_empty && len(top.range) > RANGE_LEN_MAX) {
        parts.extend(split(top.range));
        if parts.len() + usize::try_from(PARTS_MAX).unwrap_or(0) > COUNTS_MAX {
            break;
        }
    }
    parts
}

fn split(range: Range) -> impl Iterator<Item = Range> {
    let step = (len(range) / PARTS_MAX + 1).max(RANGE_LEN_MAX / 2);
    let begins = (0..PARTS_MAX).map(move |n| range.0 + n * step);
    begins
        .take_while(move |begin| *begin <= range.1)
        .map(move |begin| (begin, range.1.min(begin + step - 1)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Searches until all has been looked at, as the worker does over its rounds.
    fn search(range: Range, documents: &[i64], entries_max: i64) -> (Vec<Suspect>, u32) {
        let count = |range: &Range| {
            let below = |seq: i64| documents.partition_point(|document| *document < seq);
            (below(range.1 + 1) - below(range.0)) as u64
        };
        let (mut found, mut asked, mut next) = (Vec::new(), 0, Some(range.0));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        while let Some(first) = next {
            let searching = suspects((first, range.1), entries_max, |ranges: Vec<Range>| {
                asked += 1;
                assert!(ranges.len() <= 100, "{}", ranges.len());
                std::future::ready(Ok(ranges.iter().map(count).collect()))
            });
            let part = runtime.block_on(searching).expect("counts");
            assert!(part.next_seq.is_none_or(|next| next > first), "it gets on");
            found.extend(part.found);
            next = part.next_seq;
        }
        (found, asked)
    }

    #[test]
    fn one_missing_among_a_hundred_million_is_found_by_a_few_counts() {
        let model = |ranges: Vec<Range>| {
            let has = |range: &Range| u64::from((range.0..=range.1).contains(&77_777_777));
            let count = |range: &Range| len(*range).unsigned_abs() - has(range);
            std::future::ready(Ok(ranges.iter().map(count).collect()))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let found = runtime.block_on(suspects((1, 100_000_000), 10_000, model)).expect("counts");
        let [one] = found.found[..] else { panic!("{found:?}") };
        assert!((one.range.0..=one.range.1).contains(&77_777_777) && len(one.range) <= 1_000);
        assert_eq!(found.next_seq, None);
    }

    #[test]
    fn an_empty_index_is_one_suspect_after_the_other_of_the_size_asked_for() {
        let (found, _) = search((1, 100_000), &[], 30_000);
        assert!(found.iter().all(|suspect| suspect.is_empty || len(suspect.range) <= 1_000));
        assert_eq!(found.iter().map(|suspect| len(suspect.range)).sum::<i64>(), 100_000);
    }

    proptest! {
        #[test]
        fn each_number_that_is_missing_or_double_where_counts_show_it_is_in_a_suspect(
            first in 1..1_000_i64,
            entries in 1..60_000_i64,
            missing in proptest::collection::btree_set(1..60_000_i64, 0..40),
            doubled in proptest::collection::vec(1..60_000_i64, 0..10),
            entries_max in 500..20_000_i64,
        ) {
            let range = (first, first + entries - 1);
            let missing: BTreeSet<i64> =
                missing.into_iter().filter(|seq| (range.0..=range.1).contains(seq)).collect();
            // One too many and one too few in one part hide each other from counts.
            let is_there = |seq: &i64| missing.is_empty() && *seq <= range.1 && *seq >= range.0;
            let doubled: Vec<i64> = doubled.into_iter().filter(is_there).collect();
            let mut documents: Vec<i64> =
                (range.0..=range.1).filter(|seq| !missing.contains(seq)).collect();
            documents.extend(&doubled);
            documents.sort_unstable();
            let (found, _) = search(range, &documents, entries_max);
            prop_assert!(found.is_sorted_by_key(|suspect| suspect.range.0));
            for seq in missing.iter().chain(&doubled) {
                let holds = |suspect: &&Suspect| (suspect.range.0..=suspect.range.1).contains(seq);
                prop_assert_eq!(found.iter().filter(holds).count(), 1);
            }
        }
    }
}
