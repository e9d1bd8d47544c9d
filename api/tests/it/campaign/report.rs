//! What a campaign found, as Markdown; written anew after each seed, so that a run that ends early
//! has told what it knew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::faults::Struck;
use super::recovery::Recovery;
use crate::support::service::Service;

/// The file; the replicas' logs of seeds with violations go beside it.
const REPORT: &str = "AUDIT_TEST_CAMPAIGN_REPORT";

/// One of the times of a recovery.
type TimeOf = fn(&Recovery) -> Duration;

/// What one seed was and found.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) seed: u64,
    pub(super) plan: String,
    pub(super) struck: Vec<Struck>,
    /// Acknowledged entries, entries walked, exported and streamed.
    pub(super) counts: [usize; 4],
    pub(super) recovery: Option<Recovery>,
    pub(super) violations: Vec<String>,
}

impl Outcome {
    /// In one line.
    pub(super) fn line(&self) -> String {
        let [acknowledged, walked, exported, streamed] = self.counts;
        let recovery = self.recovery.map_or_else(|| "no recovery".to_owned(), |r| r.to_string());
        format!(
            "{} faults; {acknowledged} acknowledged, {walked} walked, {exported} exported, {streamed} streamed; {recovery}; {} violations",
            self.struck.len(),
            self.violations.len()
        )
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Report {
    outcomes: Vec<Outcome>,
}

impl Report {
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
        if let Some(path) = path() {
            std::fs::write(path, self.text()).unwrap();
        }
    }

    /// Whether no seed has been run yet.
    pub(super) fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// Each violation, with its seed.
    pub(super) fn violations(&self) -> Vec<String> {
        let of = |outcome: &Outcome| {
            let seed = outcome.seed;
            let told = outcome.violations.iter().map(move |what| format!("seed {seed}: {what}"));
            told.collect::<Vec<_>>()
        };
        self.outcomes.iter().flat_map(of).collect()
    }

    fn text(&self) -> String {
        let mut text = String::from("# Fault campaign\n\n");
        let bad = self.outcomes.iter().filter(|outcome| !outcome.violations.is_empty()).count();
        let faults: usize = self.outcomes.iter().map(|outcome| outcome.struck.len()).sum();
        let acknowledged: usize = self.outcomes.iter().map(|outcome| outcome.counts[0]).sum();
        let seeds = self.outcomes.len();
        let _ = writeln!(
            text,
            "{seeds} seeds, {faults} faults, {acknowledged} entries acknowledged; {bad} seeds with violations.\n"
        );
        self.write_recovery(&mut text);
        for outcome in self.outcomes.iter().filter(|outcome| !outcome.violations.is_empty()) {
            write_violations(&mut text, outcome);
        }
        text.push_str("## Seeds\n\n");
        for outcome in &self.outcomes {
            let _ = writeln!(text, "- `{}`: {}", outcome.seed, outcome.line());
        }
        text
    }

    fn write_recovery(&self, text: &mut String) {
        text.push_str("| after the last fault | median | max |\n|---|---|---|\n");
        let rows: [(&str, TimeOf); 5] = [
            ("each replica serves each tenant", |r| r.served),
            ("all requests answered", |r| r.answered),
            ("all streams complete", |r| r.watched),
            ("the index is the log", |r| r.indexed),
            ("all of it", Recovery::all),
        ];
        for (what, of) in rows {
            let mut times: Vec<_> = self
                .outcomes
                .iter()
                .filter_map(|outcome| outcome.recovery.as_ref().map(of))
                .collect();
            times.sort();
            let Some(max) = times.last() else { continue };
            let median = times[times.len() / 2].as_secs_f32();
            let _ = writeln!(text, "| {what} | {median:.1} s | {:.1} s |", max.as_secs_f32());
        }
        text.push('\n');
    }
}

fn write_violations(text: &mut String, outcome: &Outcome) {
    let _ = writeln!(text, "## Seed {}\n", outcome.seed);
    for violation in &outcome.violations {
        let _ = writeln!(text, "- {}", violation.replace('\n', " "));
    }
    let _ = writeln!(text, "\n```\n{}", outcome.plan);
    for Struck { at, took, fault } in &outcome.struck {
        let (at, took) = (at.as_secs_f32(), took.as_secs_f32());
        let _ = writeln!(text, "  at {at:.2} s for {took:.2} s: {fault:?}");
    }
    let _ = writeln!(text, "```\n\nThe replicas' logs: `seed-{}-replica-*.log`.\n", outcome.seed);
}

/// Keeps what the replicas said.
pub(super) fn keep_logs(seed: u64, services: &[Service]) {
    let Some(path) = path() else { return };
    let folder = path.parent().unwrap_or(Path::new("."));
    for (number, service) in services.iter().enumerate() {
        let log = folder.join(format!("seed-{seed}-replica-{number}.log"));
        std::fs::write(log, service.said()).unwrap();
    }
}

fn path() -> Option<PathBuf> {
    std::env::var_os(REPORT).map(PathBuf::from)
}
