//! What `bench write` measures once: a load that lasts, memory, what an entry takes on disk.

use api::store::migrations::Profile;

use crate::report::Report;
use crate::size::Size;
use crate::subject::Subject;
use crate::table::{dash, thousands};

/// Circumstances and what was measured once.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) profile: Profile,
    pub(crate) memory_at_start: Option<u64>,
    pub(crate) memory_peak: Option<u64>,
    pub(crate) size: Size,
}

/// A load that lasts is told apart into stretches of this length.
const STRETCH_SECONDS: usize = 10;

/// Of a load that lasts: its slowest 10 s, and all of them.
pub(crate) fn add_stretches(report: &mut Report<'_, Subject>, by_second: &[u64]) {
    let stretches = by_second.chunks(STRETCH_SECONDS);
    let rate = |stretch: &[u64]| stretch.iter().sum::<u64>() as f64 / stretch.len() as f64;
    let rates: Vec<_> = stretches.map(rate).collect();
    let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let all: Vec<_> = rates.into_iter().map(thousands).collect();
    report.add_fact("  its slowest 10 s", &thousands(slowest), &all.join(" "));
}

impl Facts {
    pub(crate) fn add_to(&self, report: &mut Report<'_, Subject>) {
        report.add_fact("memory of the service, ready", &mib(self.memory_at_start), "");
        report.add_fact("memory of the service, peak", &mib(self.memory_peak), "");
        let raw = format!("{:.0} bytes", self.size.bytes_each());
        report.add_fact("an entry on disk, with its index", &raw, "");
        let compressed = match self.profile {
            Profile::Native => "not measured here (native profile)",
            Profile::Timescale => "not measured here: `bench size` does",
        };
        report.add_fact("an entry on disk, compressed", &dash(), compressed);
    }
}

fn mib(bytes: Option<u64>) -> String {
    bytes.map_or_else(dash, |bytes| format!("{:.0} MiB", bytes as f64 / 1_048_576.0))
}
