//! `bench write`: every subject in every round, so that whatever drifts hits all of them.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::args::WriteArgs;
use crate::comparisons::COMPARISONS;
use crate::copy::Copier;
use crate::cpu::Meter;
use crate::database::{Database, rival_tenants, service_tenants};
use crate::facts::{self, Facts};
use crate::http::{Connection, Poster, Request};
use crate::insert::Committer;
use crate::load::{self, Plan, Sample};
use crate::report::{Report, Samples};
use crate::server::Server;
use crate::subject::{Kind, Subject};
use crate::{entries, pgbench, programs, size};

/// Before each measurement: connections open, caches fill, batches find their size.
const WARM_UP: Duration = Duration::from_millis(500);

/// Different entries that a connection sends in turn.
const ENTRIES_EACH: u64 = 16;

/// Entries of a bulk request or a COPY.
const BULK_ENTRIES: u64 = 1_000;

const HONEST: &str = "No request failed; what was acknowledged is in the log, and nothing else.";

/// Runs all rounds and prints the table; whether every goal was met.
pub(crate) async fn run(args: &WriteArgs) -> anyhow::Result<bool> {
    let subjects: Vec<_> =
        Subject::ROUND.into_iter().filter(|subject| subject.is_among(&args.only)).collect();
    let sustained = Subject::SUSTAINED.is_among(&args.only);
    anyhow::ensure!(
        sustained || !subjects.is_empty(),
        "--only names no subject; they are {}, {}",
        Subject::ROUND.map(Subject::name).join(", "),
        Subject::SUSTAINED.name()
    );
    let bench = Bench::start(args, &subjects).await?;
    let memory_at_start = bench.service.peak_memory();
    let plan = Plan { warm_up: WARM_UP, measured: args.measured() };
    let mut samples: Samples<Subject> = Samples::new();
    for round in 1..=args.rounds() {
        // There and back, so that nobody always comes after the same neighbour.
        let mut order = subjects.clone();
        if round % 2 == 0 {
            order.reverse();
        }
        for subject in order {
            let sample = bench.measure(subject, plan).await?;
            progress(&format!("round {round} of {}", args.rounds()), subject, &sample);
            samples.entry(subject).or_default().push(sample);
        }
    }
    if sustained {
        let plan = Plan { measured: args.sustained(), ..plan };
        let sample = bench.measure(Subject::SUSTAINED, plan).await?;
        progress("sustained", Subject::SUSTAINED, &sample);
        samples.entry(Subject::SUSTAINED).or_default().push(sample);
    }
    let facts = Facts {
        profile: bench.database.profile,
        memory_at_start,
        memory_peak: bench.service.peak_memory(),
        size: size::raw(&bench.database).await?,
    };
    bench.service.end().await?;
    let seconds = args.measured().as_secs();
    let heading = bench.database.heading(args.rounds(), &format!(" of {seconds} s"))?;
    let order = Subject::ROUND.into_iter().chain([Subject::SUSTAINED]);
    let mut report = Report::new(heading, order, &COMPARISONS, &samples);
    if let Some([sustained]) = samples.get(&Subject::SUSTAINED).map(Vec::as_slice) {
        facts::add_stretches(&mut report, &sustained.by_second);
    }
    facts.add_to(&mut report);
    let mut table = report.into_table();
    table.extend_footnotes([HONEST.to_owned()]);
    write!(std::io::stdout(), "{table}")?;
    Ok(table.all_met())
}

fn progress(when: &str, subject: Subject, sample: &Sample) {
    sample.say(&format!("{when}: {:<12}", subject.name()));
}

struct Bench {
    database: Database,
    service: Server,
    pgbench: Option<PathBuf>,
}

impl Bench {
    async fn start(args: &WriteArgs, subjects: &[Subject]) -> anyhow::Result<Self> {
        let program = args.programs.service()?;
        let pgbench = if subjects.iter().any(|subject| subject.kind == Kind::Pgbench) {
            Some(programs::find("pgbench", args.programs.pg_bin.as_deref()).await?)
        } else {
            None
        };
        let database = Database::prepare(&args.database).await?;
        let service = Server::service(&program, &database.url).await?;
        Ok(Self { database, service, pgbench })
    }

    async fn measure(&self, subject: Subject, plan: Plan) -> anyhow::Result<Sample> {
        let Subject { kind, connections } = subject;
        let sample = match kind {
            Kind::Single | Kind::Keyed | Kind::Bulk | Kind::Sustained => {
                self.measure_service(subject, plan).await?
            }
            // A rival lives for its measurement only, and takes its connections with it.
            Kind::Null | Kind::Insert => {
                let rival = Server::rival(kind, &self.database.url).await?;
                let posters = posters(&rival, subject).await?;
                let sample = load::measure(posters, plan, self.meter(Some(&rival))).await?;
                rival.end().await?;
                sample
            }
            Kind::Commit => {
                load::measure(self.committers(connections).await?, plan, self.meter(None)).await?
            }
            Kind::Copy => {
                load::measure(self.copiers(connections).await?, plan, self.meter(None)).await?
            }
            Kind::Pgbench => {
                let program = self.pgbench.as_deref().context("pgbench was not looked for")?;
                let (url, tenants) = (&self.database.url, rival_tenants());
                let (measured, meter) = (plan.measured, self.meter(None));
                self.database.until_free(connections).await?;
                pgbench::measure(program, url, tenants, connections, measured, meter).await?
            }
        };
        Ok(sample)
    }

    /// What was acknowledged must be in the log, and nothing else.
    async fn measure_service(&self, subject: Subject, plan: Plan) -> anyhow::Result<Sample> {
        let posters = posters(&self.service, subject).await?;
        let before = self.database.written().await?;
        let sample = load::measure(posters, plan, self.meter(Some(&self.service))).await?;
        let after = self.database.written().await?;
        let entries = after.entries - before.entries;
        anyhow::ensure!(
            u64::try_from(entries)? == sample.acknowledged,
            "{} entries were acknowledged, {entries} are in the log",
            sample.acknowledged
        );
        let batches = (after.batches - before.batches).max(1);
        Ok(Sample { batch: Some(entries as f64 / batches as f64), ..sample })
    }

    fn meter(&self, server: Option<&Server>) -> Meter {
        Meter {
            server: server.and_then(Server::pid),
            load: Some(std::process::id()),
            postmaster: self.database.postmaster,
            ..Meter::default()
        }
    }

    async fn committers(&self, connections: usize) -> anyhow::Result<Vec<Committer>> {
        let mut committers = Vec::new();
        for (number, tenant_id) in (0..connections).zip(rival_tenants().into_iter().cycle()) {
            let connection = self.database.connect().await?;
            let entries = numbers(number, ENTRIES_EACH).map(entries::checked);
            let entries = entries.collect::<anyhow::Result<_>>()?;
            committers.push(Committer { connection, tenant_id, entries, turn: 0 });
        }
        Ok(committers)
    }

    async fn copiers(&self, connections: usize) -> anyhow::Result<Vec<Copier>> {
        let mut copiers = Vec::new();
        for (number, tenant_id) in (0..connections).zip(rival_tenants().into_iter().cycle()) {
            let connection = self.database.connect().await?;
            copiers.push(Copier::new(connection, tenant_id, numbers(number, BULK_ENTRIES))?);
        }
        Ok(copiers)
    }
}

/// The numbers of a connection's entries.
fn numbers(connection: usize, each: u64) -> std::ops::Range<u64> {
    let first = connection as u64 * each;
    first..first + each
}

/// Connections that post to a server, each for one tenant.
pub(crate) async fn posters(server: &Server, subject: Subject) -> anyhow::Result<Vec<Poster>> {
    let tenants = match subject.kind {
        Kind::Null | Kind::Insert => rival_tenants(),
        _ => service_tenants(),
    };
    let mut posters = Vec::new();
    for (number, tenant_id) in (0..subject.connections).zip(tenants.into_iter().cycle()) {
        let connection = Connection::open(server.address).await?;
        let (requests, entries) = if subject.kind == Kind::Bulk {
            let array = entries::json_array(numbers(number, BULK_ENTRIES));
            (vec![Request::post("/logs/bulk", tenant_id, false, &array)], BULK_ENTRIES)
        } else {
            let keyed = subject.kind == Kind::Keyed;
            let request = |number| Request::post("/logs", tenant_id, keyed, &entries::json(number));
            (numbers(number, ENTRIES_EACH).map(request).collect(), 1)
        };
        posters.push(Poster { connection, requests, entries, turn: 0 });
    }
    Ok(posters)
}
