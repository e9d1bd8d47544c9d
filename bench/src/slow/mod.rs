//! `bench export-slow`: what a long export to a slow reader costs everybody else.
//!
//! Windows with the export take turns with windows without: there its reader pauses, and the
//! service reads nothing for it. Nothing of the export exists before the first windows without,
//! in which the memory is measured that it is compared with.

mod reader;
mod steady;
mod subject;
mod watch;

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;

use self::reader::SlowReader;
use self::subject::{COMPARISONS, Kind, Subject};
use self::watch::Watch;
use crate::args::ExportSlowArgs;
use crate::cpu::{self, Meter};
use crate::database::Database;
use crate::goals::Goal;
use crate::load::{self, Plan};
use crate::read::log::Log;
use crate::report::{Report, Samples};
use crate::rounds::posters;
use crate::server::Server;
use crate::table::thousands;

/// Entries that the export has.
const EXPORTED: i64 = 2_000_000;

/// Connections that record as fast as they can.
const CONNECTIONS: usize = 32;

/// How often the windows of one kind of load begin again, but for a reader that goes on to the end.
const TURNS: u64 = 4;

const MEMORY_GOAL: f64 = 16.0;
const STATEMENT_GOAL: f64 = 5.0;

/// Runs all windows and prints the table; whether every goal was met.
pub(crate) async fn run(args: &ExportSlowArgs) -> anyhow::Result<bool> {
    let bench = Bench::start(args).await?;
    let mut samples = Samples::new();
    // Once for connections and caches, once for the memory that this takes without an export.
    bench.turn(None, &mut Samples::new()).await?;
    cpu::forget_peak(bench.pid)?;
    bench.turn(None, &mut samples).await?;
    let mut turns = 1;
    let before = bench.peak_mib()?;

    let watch = Watch::start(&bench.database).await?;
    let (address, log) = (bench.service.address, &bench.log);
    let exported = EXPORTED.min(log.entries);
    let mut export = SlowReader::begin(address, log.tenant_id, exported).await?;
    cpu::forget_peak(bench.pid)?;
    let mut left = TURNS;
    while args.full || left > 0 {
        left = left.saturating_sub(1);
        bench.turn(Some(&export), &mut samples).await?;
        if export.has_ended().await? {
            break;
        }
        bench.turn(None, &mut samples).await?;
        turns += 1;
    }
    let (after, megabytes) = (bench.peak_mib()?, export.bytes() as f64 / 1e6);
    drop(export);
    let oldest = watch.end().await?;

    let heading = bench.database.heading(turns, &format!(" of {} s", bench.window.as_secs()))?;
    let mut report = Report::new(heading, Subject::ALL, &COMPARISONS, &samples);
    let grown = after - before;
    report.judge_fact(
        "memory: growth over its peak before",
        &format!("{grown:.1} MiB (from {before:.1})"),
        grown,
        Goal::AtMost(MEMORY_GOAL),
    );
    report.judge_fact(
        "the oldest statement",
        &format!("{:.2} s", oldest.statement),
        oldest.statement,
        Goal::AtMost(STATEMENT_GOAL),
    );
    report.add_fact("the oldest transaction", &format!("{:.2} s", oldest.transaction), "");
    let mut table = report.into_table();
    table.extend_footnotes([format!(
        "An export of {} entries, of which {megabytes:.0} MB were read at 1 MB/s.",
        thousands(exported as f64)
    )]);
    write!(std::io::stdout(), "{table}")?;
    Ok(table.all_met())
}

struct Bench {
    database: Database,
    service: Server,
    pid: u32,
    log: Log,
    window: Duration,
}

impl Bench {
    async fn start(args: &ExportSlowArgs) -> anyhow::Result<Self> {
        let program = args.programs.service()?;
        let database = Database::prepare(&args.database).await?;
        let log = Log::find_or_load(&database, args.log.entries).await?;
        let service = Server::service(&program, &database.url).await?;
        let pid = service.pid().context("the service has ended")?;
        let window = Duration::from_secs(args.seconds / (2 * TURNS)).max(Duration::from_secs(1));
        Ok(Self { database, service, pid, log, window })
    }

    fn peak_mib(&self) -> anyhow::Result<f64> {
        let bytes = cpu::peak_memory(self.pid).context("/proc does not show the memory")?;
        Ok(bytes as f64 / 1_048_576.0)
    }

    /// A window of each kind of load.
    async fn turn(
        &self,
        export: Option<&SlowReader>,
        samples: &mut Samples<Subject>,
    ) -> anyhow::Result<()> {
        if let Some(export) = export {
            export.run(true);
        }
        let beside = export.is_some();
        let seen = steady::ask(self.service.address, self.log.tenant_id, self.window).await?;
        let kinds = [Kind::Page, Kind::Post, Kind::Both];
        for (kind, sample) in kinds.into_iter().zip(seen.samples(self.window)) {
            keep(samples, kind.beside(beside), sample);
        }
        let of_load = crate::subject::Kind::Single.at(CONNECTIONS);
        let plan = Plan { warm_up: Duration::from_millis(200), measured: self.window };
        let meter = Meter {
            server: Some(self.pid),
            load: Some(std::process::id()),
            postmaster: self.database.postmaster,
            ..Meter::default()
        };
        let sample = load::measure(posters(&self.service, of_load).await?, plan, meter).await?;
        keep(samples, Kind::Record.beside(beside), sample);
        if let Some(export) = export {
            export.run(false);
        }
        Ok(())
    }
}

fn keep(samples: &mut Samples<Subject>, subject: Subject, sample: load::Sample) {
    sample.say(&subject.to_string());
    samples.entry(subject).or_default().push(sample);
}
