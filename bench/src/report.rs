//! The one table: every subject's medians, what they are compared with, and whether it is enough.

use std::collections::HashMap;
use std::fmt;

use api::store::migrations::Profile;

use crate::cpu::Shares;
use crate::goals::{COMPARISONS, Comparison, Goal, Measure};
use crate::load::Sample;
use crate::size::Size;
use crate::subject::Subject;

/// Circumstances and what was measured once.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) cores: usize,
    pub(crate) postgres: String,
    pub(crate) profile: Profile,
    pub(crate) rounds: u32,
    pub(crate) seconds: u64,
    pub(crate) memory_at_start: Option<u64>,
    pub(crate) memory_peak: Option<u64>,
    pub(crate) size: Size,
}

const HEADINGS: [&str; 10] = [
    "measured",
    "entries/s",
    "p50 ms",
    "p99 ms",
    "entries a commit",
    "CPU %: server, PostgreSQL, load, others, idle",
    "compared with",
    "ratio",
    "goal",
    "",
];

/// With more of the processors in other hands, the numbers say little.
const OTHERS_MAX: f64 = 0.10;

/// A load that lasts is told apart into stretches of this length.
const STRETCH_SECONDS: usize = 10;

type Cells = [String; HEADINGS.len()];

/// See the module.
#[derive(Debug)]
pub(crate) struct Report {
    heading: String,
    rows: Vec<Cells>,
    goals: usize,
    missed: usize,
    /// The largest part of the processors that others had while a subject was measured.
    others: f64,
}

/// Medians of a subject's rounds.
#[derive(Debug, Clone, Copy)]
struct Medians {
    rate: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    batch: Option<f64>,
    cpu: Option<Shares>,
}

impl Medians {
    fn of(samples: &[Sample]) -> Option<Self> {
        let shares = |share: fn(Shares) -> f64| median(samples.iter().map(|s| s.cpu.map(share)));
        Some(Self {
            rate: median(samples.iter().map(|sample| Some(sample.rate)))?,
            p50_ms: median(samples.iter().map(|sample| sample.p50_ms)),
            p99_ms: median(samples.iter().map(|sample| sample.p99_ms)),
            batch: median(samples.iter().map(|sample| sample.batch)),
            cpu: shares(|cpu| cpu.server).map(|server| Shares {
                server,
                postgres: shares(|cpu| cpu.postgres).unwrap_or_default(),
                load: shares(|cpu| cpu.load).unwrap_or_default(),
                others: shares(|cpu| cpu.others).unwrap_or_default(),
                idle: shares(|cpu| cpu.idle).unwrap_or_default(),
            }),
        })
    }

    fn get(self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Rate => Some(self.rate),
            Measure::P99 => self.p99_ms,
        }
    }
}

/// `None` when any number is missing, or all are.
fn median(numbers: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut numbers: Vec<_> = numbers.collect::<Option<_>>()?;
    numbers.sort_unstable_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    let upper = *numbers.get(middle)?;
    Some(if numbers.len() % 2 == 1 { upper } else { f64::midpoint(numbers[middle - 1], upper) })
}

impl Report {
    pub(crate) fn new(facts: &Facts, samples: &HashMap<Subject, Vec<Sample>>) -> Self {
        let heading = format!(
            "{} cores, PostgreSQL {}, profile {}; medians of {} rounds of {} s",
            facts.cores,
            facts.postgres,
            facts.profile.as_str(),
            facts.rounds,
            facts.seconds
        );
        let mut report = Self { heading, rows: Vec::new(), goals: 0, missed: 0, others: 0.0 };
        let medians: HashMap<_, _> = samples
            .iter()
            .filter_map(|(subject, samples)| Some((*subject, Medians::of(samples)?)))
            .collect();
        for subject in Subject::ROUND.into_iter().chain([Subject::SUSTAINED]) {
            report.add(subject, &medians);
        }
        if let Some([sustained]) = samples.get(&Subject::SUSTAINED).map(Vec::as_slice) {
            report.add_stretches(&sustained.by_second);
        }
        report.add_once(facts);
        report
    }

    pub(crate) fn all_met(&self) -> bool {
        self.missed == 0
    }

    /// A subject's row, and one more for each further comparison.
    fn add(&mut self, subject: Subject, medians: &HashMap<Subject, Medians>) {
        let Some(measured) = medians.get(&subject) else { return };
        self.others = self.others.max(measured.cpu.map_or(0.0, |cpu| cpu.others));
        let ms = |ms: Option<f64>| ms.map_or_else(dash, |ms| format!("{ms:.2}"));
        let mut first = [
            subject.to_string(),
            thousands(measured.rate),
            ms(measured.p50_ms),
            ms(measured.p99_ms),
            measured.batch.map_or_else(dash, |batch| format!("{batch:.1}")),
            measured.cpu.map_or_else(dash, cpu_cell),
        ];
        let comparisons = COMPARISONS.iter().filter(|comparison| comparison.of == subject);
        let mut compared: Vec<_> =
            comparisons.filter_map(|comparison| self.compare(comparison, medians)).collect();
        if compared.is_empty() {
            compared.push(Default::default());
        }
        for [with, ratio, goal, verdict] in compared {
            let [name, rate, p50, p99, batch, cpu] = std::mem::take(&mut first);
            self.rows.push([name, rate, p50, p99, batch, cpu, with, ratio, goal, verdict]);
        }
    }

    /// The last four cells; nothing when one side was not measured.
    fn compare(
        &mut self,
        comparison: &Comparison,
        medians: &HashMap<Subject, Medians>,
    ) -> Option<[String; 4]> {
        let Comparison { of, with, measure, goal } = *comparison;
        let own = medians.get(&of)?.get(measure)?;
        let (with, number, shown) = match with {
            Some(with) => {
                let ratio = own / medians.get(&with)?.get(measure)?;
                let p99 = if measure == Measure::P99 { ", p99" } else { "" };
                (format!("{with}{p99}"), ratio, format!("{ratio:.2}"))
            }
            None => (String::new(), own, String::new()),
        };
        let verdict = goal.map_or_else(String::new, |goal| self.judge(goal, number));
        let goal = goal.map_or_else(String::new, |goal| goal.to_string());
        Some([with, shown, goal, verdict])
    }

    fn judge(&mut self, goal: Goal, number: f64) -> String {
        self.goals += 1;
        if goal.is_met_by(number) {
            return "ok".to_owned();
        }
        self.missed += 1;
        format!("**missed by {:.1} %**", 100.0 * goal.missed_by(number))
    }

    /// Of a load that lasts: its slowest 10 s, and all of them.
    fn add_stretches(&mut self, by_second: &[u64]) {
        let stretches = by_second.chunks(STRETCH_SECONDS);
        let rate = |stretch: &[u64]| stretch.iter().sum::<u64>() as f64 / stretch.len() as f64;
        let rates: Vec<_> = stretches.map(rate).collect();
        let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let all: Vec<_> = rates.into_iter().map(thousands).collect();
        self.add_fact("  its slowest 10 s", &thousands(slowest), &all.join(" "));
    }

    fn add_once(&mut self, facts: &Facts) {
        let mib = |bytes: Option<u64>| {
            bytes.map_or_else(dash, |bytes| format!("{:.0} MiB", bytes as f64 / 1_048_576.0))
        };
        self.add_fact("memory of the service, ready", &mib(facts.memory_at_start), "");
        self.add_fact("memory of the service, peak", &mib(facts.memory_peak), "");
        let raw = format!("{:.0} bytes", facts.size.bytes_each());
        self.add_fact("an entry on disk, with its index", &raw, "");
        let compressed = match facts.profile {
            Profile::Native => "not measured here (native profile)",
            Profile::Timescale => "not measured here: `bench size` does",
        };
        self.add_fact("an entry on disk, compressed", &dash(), compressed);
    }

    fn add_fact(&mut self, what: &str, value: &str, note: &str) {
        let mut cells = Cells::default();
        what.clone_into(&mut cells[0]);
        value.clone_into(&mut cells[1]);
        note.clone_into(&mut cells[6]);
        self.rows.push(cells);
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn cpu_cell(cpu: Shares) -> String {
    let Shares { server, postgres, load, others, idle } = cpu;
    let percents =
        [server, postgres, load, others, idle].map(|part| format!("{:.0}", 100.0 * part));
    percents.join(", ")
}

/// `12345.6` as `12,346`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.heading)?;
        let headings = HEADINGS.map(str::to_owned);
        let rows = || std::iter::once(&headings).chain(&self.rows);
        let widths: [usize; HEADINGS.len()] = std::array::from_fn(|column| {
            rows().map(|cells| cells[column].chars().count()).max().unwrap_or_default()
        });
        for (index, cells) in rows().enumerate() {
            for (cell, width) in cells.iter().zip(widths) {
                write!(f, "| {cell:<width$} ")?;
            }
            writeln!(f, "|")?;
            if index == 0 {
                let lines = widths.map(|width| "-".repeat(width + 2));
                writeln!(f, "|{}|", lines.join("|"))?;
            }
        }
        writeln!(f, "\nNo request failed; what was acknowledged is in the log, and nothing else.")?;
        if self.others > OTHERS_MAX {
            let percent = 100.0 * self.others;
            writeln!(f, "DISTURBED: others had up to {percent:.0} % of the CPU; measure again.")?;
        }
        writeln!(f, "{} of {} goals met", self.goals - self.missed, self.goals)
    }
}

#[cfg(test)]
mod tests {
    use super::{median, thousands};

    #[test]
    fn a_median_needs_every_number() {
        assert_eq!(median([3.0, 1.0, 2.0].map(Some).into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].map(Some).into_iter()), Some(2.5));
        assert_eq!(median([Some(1.0), None].into_iter()), None);
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0.4, 999.0, 1_000.0, 20_000.4, 1_234_567.0].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "20,000", "1,234,567"]);
    }
}
