//! Every subject's medians, what they are compared with, and whether it is enough.
//!
//! Subjects are compared round by round, and the median of these ratios counts: both had the same
//! neighbours in a round, and the next round may be twice as fast for everybody.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use crate::cpu::Shares;
use crate::goals::{Comparison, Goal, Measure};
use crate::load::Sample;
use crate::table::{Table, dash, thousands};

const HEADINGS: [&str; 11] = [
    "measured",
    "entries/s",
    "p50 ms",
    "p99 ms",
    "entries a commit",
    "CPU %: server, PostgreSQL, load, others, idle",
    "OpenSearch, SQS and Lambda",
    "compared with",
    "ratio",
    "goal",
    "",
];

/// What was seen of each subject, round by round.
pub(crate) type Samples<S> = HashMap<S, Vec<Sample>>;

/// Where the columns begin that say what a subject is compared with.
const COMPARED_AT: usize = 7;

/// See the module.
#[derive(Debug)]
pub(crate) struct Report<'s, S> {
    table: Table,
    medians: HashMap<S, Medians>,
    samples: &'s Samples<S>,
}

/// Medians of a subject's rounds.
#[derive(Debug, Clone, Copy)]
struct Medians {
    rate: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    batch: Option<f64>,
    cpu: Option<Shares>,
}

impl Medians {
    fn of(samples: &[Sample]) -> Self {
        let shares = |share: fn(Shares) -> f64| median(samples.iter().map(|s| s.cpu.map(share)));
        Self {
            rate: median(samples.iter().map(|sample| sample.rate)),
            p50_ms: median(samples.iter().map(|sample| sample.p50_ms)),
            p99_ms: median(samples.iter().map(|sample| sample.p99_ms)),
            batch: median(samples.iter().map(|sample| sample.batch)),
            cpu: shares(|cpu| cpu.server).map(|server| Shares {
                server,
                postgres: shares(|cpu| cpu.postgres).unwrap_or_default(),
                load: shares(|cpu| cpu.load).unwrap_or_default(),
                search: shares(|cpu| cpu.search).unwrap_or_default(),
                queue: shares(|cpu| cpu.queue).unwrap_or_default(),
                others: shares(|cpu| cpu.others).unwrap_or_default(),
                idle: shares(|cpu| cpu.idle).unwrap_or_default(),
            }),
        }
    }
}

/// `None` when any number is missing, or all are.
pub(crate) fn median(numbers: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut numbers: Vec<_> = numbers.collect::<Option<_>>()?;
    numbers.sort_unstable_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    let upper = *numbers.get(middle)?;
    Some(if numbers.len() % 2 == 1 { upper } else { f64::midpoint(numbers[middle - 1], upper) })
}

impl Sample {
    fn get(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Rate => self.rate,
            Measure::P50 => self.p50_ms,
            Measure::P99 => self.p99_ms,
        }
    }
}

impl<'s, S: Copy + Eq + Hash + Display> Report<'s, S> {
    /// A row for each subject that was measured, in this order, and one more for each further
    /// comparison of it.
    pub(crate) fn new(
        heading: String,
        order: impl IntoIterator<Item = S>,
        comparisons: &[Comparison<S>],
        samples: &'s Samples<S>,
    ) -> Self {
        let medians = samples.iter().map(|(subject, samples)| (*subject, Medians::of(samples)));
        let table = Table::new(heading, &HEADINGS);
        let mut report = Self { table, medians: medians.collect(), samples };
        for subject in order {
            report.add(subject, comparisons);
        }
        report
    }

    /// Adds what is measured once, and a note on it.
    pub(crate) fn add_fact(&mut self, what: &str, value: &str, note: &str) {
        let mut cells = vec![String::new(); HEADINGS.len()];
        what.clone_into(&mut cells[0]);
        value.clone_into(&mut cells[1]);
        note.clone_into(&mut cells[COMPARED_AT]);
        self.table.push(cells);
    }

    /// The same with a goal that the number must meet.
    pub(crate) fn judge_fact(&mut self, what: &str, value: &str, number: f64, goal: Goal) {
        let mut cells = vec![String::new(); HEADINGS.len()];
        what.clone_into(&mut cells[0]);
        value.clone_into(&mut cells[1]);
        cells[COMPARED_AT + 2] = goal.to_string();
        cells[COMPARED_AT + 3] = self.table.judge(goal, number);
        self.table.push(cells);
    }

    /// The table, to be printed.
    pub(crate) fn into_table(self) -> Table {
        self.table
    }

    fn add(&mut self, subject: S, comparisons: &[Comparison<S>]) {
        let Some(measured) = self.medians.get(&subject).copied() else { return };
        self.table.note_others(measured.cpu.map_or(0.0, |cpu| cpu.others));
        let number = |number: Option<f64>, show: fn(f64) -> String| number.map_or_else(dash, show);
        let mut first = vec![
            subject.to_string(),
            number(measured.rate, thousands),
            number(measured.p50_ms, |ms| format!("{ms:.2}")),
            number(measured.p99_ms, |ms| format!("{ms:.2}")),
            measured.batch.map_or_else(String::new, |batch| format!("{batch:.1}")),
            measured.cpu.map_or_else(dash, cpu_cell),
            measured.cpu.map_or_else(String::new, parts_cell),
        ];
        let compared = comparisons.iter().filter(|comparison| comparison.of == subject);
        let compared: Vec<_> = compared.filter_map(|comparison| self.compare(comparison)).collect();
        if compared.is_empty() {
            self.table.push(std::mem::take(&mut first));
        }
        for cells in compared {
            first.resize(COMPARED_AT, String::new());
            let mut row = std::mem::take(&mut first);
            row.extend(cells);
            self.table.push(row);
        }
    }

    /// The last four cells; nothing when one side was not measured.
    fn compare(&mut self, comparison: &Comparison<S>) -> Option<[String; 4]> {
        let Comparison { of, with, measure, goal } = *comparison;
        let (with, number, shown) = if let Some(with) = with {
            let pairs = self.pairs(of, with, measure)?;
            let ratio = median_of(&pairs, |own, other| own / other)?;
            let judged = |goal: Goal| median_of(&pairs, |own, other| goal.judged(own, other));
            let number = goal.map_or(Some(ratio), judged)?;
            (format!("{with}{}", measure.note()), number, format!("{ratio:.2}"))
        } else {
            let own = middle(&self.rounds(of, measure)?)?;
            (measure.note().trim_start_matches(", ").to_owned(), own, String::new())
        };
        let verdict = goal.map_or_else(String::new, |goal| self.table.judge(goal, number));
        let goal = goal.map_or_else(String::new, |goal| goal.to_string());
        Some([with, shown, goal, verdict])
    }

    /// Both sides, round by round; their medians where one has more rounds than the other.
    fn pairs(&self, of: S, with: S, measure: Measure) -> Option<Vec<(f64, f64)>> {
        let (own, other) = (self.rounds(of, measure)?, self.rounds(with, measure)?);
        if own.len() == other.len() {
            return Some(own.into_iter().zip(other).collect());
        }
        Some(vec![(middle(&own)?, middle(&other)?)])
    }

    /// What was measured of a subject; `None` when any number is missing.
    fn rounds(&self, subject: S, measure: Measure) -> Option<Vec<f64>> {
        self.samples.get(&subject)?.iter().map(|sample| sample.get(measure)).collect()
    }
}

fn middle(numbers: &[f64]) -> Option<f64> {
    median(numbers.iter().copied().map(Some))
}

fn median_of(pairs: &[(f64, f64)], number: impl Fn(f64, f64) -> f64) -> Option<f64> {
    median(pairs.iter().map(|(own, other)| Some(number(*own, *other))))
}

fn cpu_cell(cpu: Shares) -> String {
    let Shares { server, postgres, load, others, idle, .. } = cpu;
    percents([server, postgres, load, others, idle])
}

/// Nothing where they have no part in it.
fn parts_cell(cpu: Shares) -> String {
    let Shares { search, queue, .. } = cpu;
    if search + queue > 0.0 { percents([search, queue]) } else { String::new() }
}

fn percents<const N: usize>(parts: [f64; N]) -> String {
    parts.map(|part| format!("{:.0}", 100.0 * part)).join(", ")
}

#[cfg(test)]
mod tests {
    use super::{median, median_of};

    #[test]
    fn a_round_is_compared_with_itself() {
        // Every round is twice as slow as the one before, for both.
        let pairs = [(9.0, 10.0), (4.5, 5.0), (2.0, 2.5), (1.2, 1.25)];
        let ratio = median_of(&pairs, |own, other| own / other);
        assert!(ratio.is_some_and(|ratio| (ratio - 0.9).abs() < 1e-9), "{ratio:?}");
    }

    #[test]
    fn a_median_needs_every_number() {
        assert_eq!(median([3.0, 1.0, 2.0].map(Some).into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].map(Some).into_iter()), Some(2.5));
        assert_eq!(median([Some(1.0), None].into_iter()), None);
        assert_eq!(median(std::iter::empty()), None);
    }
}
