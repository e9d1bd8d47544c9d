//! `bench read`: pages, exports, rare filters, statistics and expiry over a large log.

mod expiry;
pub(crate) mod export;
pub(crate) mod log;
mod pages;
mod rare;
pub(crate) mod stats;
mod subject;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use domain::Order;

use self::export::Psql;
use self::log::Log;
use self::subject::{COMPARISONS, Subject};
use crate::args::ReadArgs;
use crate::cpu::{Meter, timed};
use crate::database::Database;
use crate::http::Getter;
use crate::load::{self, Plan, Sample};
use crate::programs;
use crate::report::{Report, Samples};
use crate::server::Server;
use crate::table::thousands;

/// How deep a deep page lies, where the log is long enough.
const DEPTH: i64 = 1_000_000;

/// Entries of an export, where the log has as many.
const EXPORTED: i64 = 1_000_000;

/// How long the same page, or the same statistics, are asked for in a round.
const PLAN: Plan =
    Plan { warm_up: Duration::from_millis(200), measured: Duration::from_millis(1_500) };

/// Runs all rounds and prints the table; whether every goal was met.
pub(crate) async fn run(args: &ReadArgs) -> anyhow::Result<bool> {
    let wanted = |subject: &Subject| subject.is_among(&args.only);
    let mut subjects: Vec<_> = Subject::ROUND.into_iter().filter(wanted).collect();
    let expiry = Subject::EXPIRY.iter().any(wanted);
    anyhow::ensure!(
        expiry || !subjects.is_empty(),
        "--only names no subject; they are {}",
        Subject::ROUND
            .into_iter()
            .chain(Subject::EXPIRY)
            .map(Subject::name)
            .collect::<Vec<_>>()
            .join(", ")
    );
    let mut bench = Bench::start(args).await?;
    let skipped = bench.prepare(&mut subjects).await?;
    let mut samples = bench.rounds(args.rounds(), &subjects).await?;
    let Bench { service, database, log, .. } = bench;
    let peak = service.peak_memory();
    service.end().await?;
    if expiry {
        for (subject, sample) in expiry::measure(&database, &log, meter(&database, None)).await? {
            sample.say(&format!("once: {:<22}", subject.name()));
            samples.insert(subject, vec![sample]);
        }
    }
    let of_what = format!(", a log of {} entries", thousands(log.entries as f64));
    let heading = database.heading(args.rounds(), &of_what)?;
    let order = Subject::ROUND.into_iter().chain(Subject::EXPIRY);
    let mut report = Report::new(heading, order, &COMPARISONS, &samples);
    if let Some(peak) = peak {
        let mib = format!("{:.0} MiB", peak as f64 / 1_048_576.0);
        report.add_fact("memory of the service, peak", &mib, "");
    }
    let mut table = report.into_table();
    table.extend_footnotes(skipped);
    write!(std::io::stdout(), "{table}")?;
    Ok(table.all_met())
}

struct Bench {
    database: Database,
    service: Server,
    psql: PathBuf,
    log: Log,
    depth: i64,
    exported: i64,
}

fn meter(database: &Database, service: Option<&Server>) -> Meter {
    Meter {
        server: service.and_then(Server::pid),
        load: Some(std::process::id()),
        postmaster: database.postmaster,
        ..Meter::default()
    }
}

impl Bench {
    async fn start(args: &ReadArgs) -> anyhow::Result<Self> {
        let program = args.programs.service()?;
        let psql = programs::find("psql", args.programs.pg_bin.as_deref()).await?;
        let database = Database::prepare(&args.database).await?;
        let log = Log::find_or_load(&database, args.log.entries).await?;
        let service = Server::service(&program, &database.url).await?;
        let depth = DEPTH.min(log.entries / 2);
        let exported = EXPORTED.min(log.entries);
        Ok(Self { database, service, psql, log, depth, exported })
    }

    /// Leaves out what the service cannot do, and says so; waits until it has counted.
    async fn prepare(&mut self, subjects: &mut Vec<Subject>) -> anyhow::Result<Vec<String>> {
        if !subjects.contains(&Subject::Stats) {
            return Ok(Vec::new());
        }
        let Self { database, service, log, .. } = self;
        if stats::getter(service.address, log.tenant_id).await?.is_none() {
            subjects.retain(|subject| *subject != Subject::Stats);
            return Ok(vec!["SKIPPED: stats, this service has no GET /logs/stats".to_owned()]);
        }
        stats::until_counted(database, log.tenant_id).await?;
        Ok(Vec::new())
    }

    async fn rounds(&self, rounds: u32, subjects: &[Subject]) -> anyhow::Result<Samples<Subject>> {
        let mut samples = Samples::new();
        for round in 1..=rounds {
            // There and back, so that nobody always comes after the same neighbour.
            let mut order = subjects.to_vec();
            if round % 2 == 0 {
                order.reverse();
            }
            for subject in order {
                let sample = self.measure(subject).await?;
                sample.say(&format!("round {round} of {rounds}: {:<22}", subject.name()));
                samples.entry(subject).or_insert_with(Vec::new).push(sample);
            }
        }
        Ok(samples)
    }

    async fn measure(&self, subject: Subject) -> anyhow::Result<Sample> {
        let (address, log) = (self.service.address, &self.log);
        let tenant_id = log.tenant_id;
        match subject {
            Subject::PageDesc => self.page(Order::Desc, 0).await,
            Subject::PageDescDeep => self.page(Order::Desc, self.depth).await,
            Subject::PageAsc => self.page(Order::Asc, 0).await,
            Subject::PageAscDeep => self.page(Order::Asc, self.depth).await,
            Subject::Stats => match stats::getter(address, tenant_id).await? {
                Some(getter) => Ok(Sample { rate: None, ..self.closed_loop(getter).await? }),
                None => anyhow::bail!("the service had statistics a moment ago"),
            },
            Subject::Ndjson | Subject::Csv => {
                let format = if subject == Subject::Csv { "csv" } else { "ndjson" };
                let reading = export::read(address, tenant_id, format, self.exported);
                self.once(self.exported, reading).await
            }
            Subject::Copy | Subject::CopyUnordered => {
                let psql = Psql::new(&self.psql, &self.database, log, self.exported).await?;
                self.once(self.exported, psql.copy(subject == Subject::Copy)).await
            }
            Subject::RareFirst => {
                let sample = self.once(0, rare::first(address, tenant_id)).await?;
                Ok(Sample { rate: None, ..sample })
            }
            Subject::RareWalk => self.once(log.entries, rare::walk(address, log)).await,
            Subject::RareScan | Subject::RareScanParallel => {
                let parallel = subject == Subject::RareScanParallel;
                self.once(log.entries, rare::scan(&self.database, log, parallel)).await
            }
            Subject::Drop | Subject::Delete | Subject::DeleteInPieces => {
                anyhow::bail!("{subject} is not for rounds")
            }
        }
    }

    async fn page(&self, order: Order, depth: i64) -> anyhow::Result<Sample> {
        let depth = depth.unsigned_abs();
        let getter =
            pages::at_depth(self.service.address, self.log.tenant_id, order, depth).await?;
        self.closed_loop(getter).await
    }

    async fn closed_loop(&self, getter: Getter) -> anyhow::Result<Sample> {
        load::measure(vec![getter], PLAN, meter(&self.database, Some(&self.service))).await
    }

    async fn once(
        &self,
        entries: i64,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Sample> {
        let meter = meter(&self.database, Some(&self.service));
        let ((), elapsed, cpu) = timed(meter, work).await?;
        Ok(Sample::once(entries, (elapsed, cpu)))
    }
}
