//! `bench search`: the way from the log to the search index, and searches in it.
//!
//! All parts share this machine's processors with the load: see the shares beside each row.

mod ask;
mod bulk;
mod cold;
mod cursors;
mod drain;
mod fresh;
mod indexing;
mod log;
mod opensearch;
pub(crate) mod outage;
mod parts;
mod price;
mod queue;
mod results;
pub(crate) mod steady;
mod subject;
mod tap;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::search::{Auth, Index, IndexSettings, Prefix};
use api::store::Store;
use aws_sdk_sqs::Client;
use tokio::time::{Instant, sleep};

use self::ask::Asked;
use self::bulk::Documents;
use self::log::Logs;
use self::parts::Parts;
use self::results::Results;
use self::subject::Subject;
use crate::args::SearchArgs;
use crate::cpu::Meter;
use crate::database::{self, Database};
use crate::load::{self, Plan};
use crate::read::stats::TAIL;
use crate::report::Samples;
use crate::server::Server;

/// What the names of the service's indices begin with, and of those of the bare way.
const PREFIX: &str = "bench";
const BARE_PREFIX: &str = "bench-bare";

/// The queue with the function behind it.
const QUEUE: &str = "bench-search";

/// How long a search is asked for in a round.
const PLAN: Plan =
    Plan { warm_up: Duration::from_millis(200), measured: Duration::from_millis(1_500) };

/// MiB of a request where only the index is wanted.
const FILL_BLOCKS: usize = 4;

/// How long the service may take to count what was loaded.
const COUNT_TIMEOUT: Duration = Duration::from_mins(15);

/// Runs what is asked for and prints the table; whether every goal was met.
pub(crate) async fn run(args: &SearchArgs) -> anyhow::Result<bool> {
    const NAMES: [&str; 5] = ["cold", "index", "search", "fresh", "drain"];
    anyhow::ensure!(
        NAMES.iter().any(|name| args.wants(name)),
        "--only names no subject; they are {}",
        NAMES.join(", ")
    );
    let bench = Bench::start(args).await?;
    let mut results = Results::default();
    if args.wants("cold") {
        results.cold = Some(cold::measure(&bench.parts).await?);
    }
    // In this order: the index is whole after the first, and the last two add to it or to the logs.
    let message = if args.wants("index") {
        let documents = bench.documents(&bench.bare).await?;
        let way = indexing::measure(&bench, &documents, &mut results.samples).await?;
        results.way = Some(way);
        documents.message.clone()
    } else {
        let documents = bench.documents(&bench.index).await?;
        bench.fill(&documents).await?;
        documents.message.clone()
    };
    if args.wants("search") {
        bench.search(args.rounds(), &mut results.samples).await?;
    }
    if args.wants("fresh") {
        results.add_fresh(fresh::measure(&bench, args.lasts()).await?);
    }
    if args.wants("drain") {
        for _ in 0..args.rounds() {
            let samples = &mut results.samples;
            let drained = drain::round(&bench, &message, args.lasts(), samples).await?;
            results.drained = Some(drained);
        }
    }
    let table = results.into_table(bench.heading(args.rounds())?);
    write!(std::io::stdout(), "{table}")?;
    Ok(table.all_met())
}

struct Bench {
    database: Database,
    program: PathBuf,
    parts: Parts,
    store: Store,
    sqs: Client,
    logs: Logs,
    index: Index,
    bare: Index,
}

fn index(parts: &Parts, prefix: &str) -> anyhow::Result<Index> {
    let url = format!("http://{}", parts.search_address()?).parse()?;
    let prefix = Prefix::parse(prefix)?;
    Ok(Index::new(&IndexSettings { url, auth: Auth::None, prefix })?)
}

impl Bench {
    async fn start(args: &SearchArgs) -> anyhow::Result<Self> {
        let program = args.programs.service()?;
        let parts = Parts::find(&args.parts)?;
        let database = Database::prepare(&args.database).await?;
        let logs = Logs::find_or_load(&database, args.entries).await?;
        let bench = Self {
            program,
            store: Store::new(&database::urls(&database.url), 2)?,
            sqs: queue::client(parts.queue_address()?).await,
            index: index(&parts, PREFIX)?,
            bare: index(&parts, BARE_PREFIX)?,
            logs,
            parts,
            database,
        };
        // What the service counts for statistics is no part of what is measured here.
        let service = bench.service(&[]).await?;
        bench.until_counted().await?;
        service.end().await?;
        Ok(bench)
    }

    async fn service(&self, settings: &[(&str, String)]) -> anyhow::Result<Server> {
        Server::service_with(&self.program, &self.database.url, settings).await
    }

    fn meter(&self, service: Option<&Server>) -> Meter {
        Meter {
            server: service.and_then(Server::pid),
            load: Some(std::process::id()),
            postmaster: self.database.postmaster,
            search: self.parts.search_pid().ok(),
            queue: self.parts.queue_pid().ok(),
        }
    }

    fn heading(&self, rounds: u32) -> anyhow::Result<String> {
        let entries = crate::table::thousands(self.logs.entries() as f64);
        let of_what = format!(", {entries} entries of {} tenants", log::TENANTS);
        self.database.heading(rounds, &of_what)
    }

    /// Ready to be sent to these indices.
    async fn documents(&self, index: &Index) -> anyhow::Result<Arc<Documents>> {
        let begun = Instant::now();
        let documents = Documents::make(&self.store, &self.logs, index).await?;
        anyhow::ensure!(documents.entries >= self.logs.entries(), "the logs are not whole");
        eprintln!("made all documents in {:.0} s", begun.elapsed().as_secs_f64());
        Ok(Arc::new(documents))
    }

    /// Brings all into the service's indices on the shortest way.
    async fn fill(&self, documents: &Arc<Documents>) -> anyhow::Result<()> {
        documents.renew(&self.index).await?;
        documents.send(&self.parts, &self.index, (1, 1), FILL_BLOCKS).await
    }

    async fn search(&self, rounds: u32, samples: &mut Samples<Subject>) -> anyhow::Result<()> {
        let service = self.service(&self.parts.searching(PREFIX)?).await?;
        let asked = Asked {
            service: service.address,
            search: self.parts.search_address()?,
            index: &self.index,
            logs: &self.logs,
        };
        asked.compare_answers().await?;
        for round in 1..=rounds {
            // There and back, so that nobody always comes after the same neighbour.
            let mut order: Vec<_> = Subject::searches().collect();
            if round % 2 == 0 {
                order.reverse();
            }
            for subject in order {
                let Subject::Search { question, clients, way } = subject else { continue };
                let getters = asked.clients(question, way, clients).await?;
                let sample = load::measure(getters, PLAN, self.meter(Some(&service))).await?;
                let sample = load::Sample { rate: None, ..sample };
                sample.say(&format!("round {round} of {rounds}: {subject}"));
                samples.entry(subject).or_default().push(sample);
            }
        }
        service.end().await
    }

    /// Waits until the service has counted the logs, but for what it leaves for later.
    async fn until_counted(&self) -> anyhow::Result<()> {
        let mut db = self.database.connect().await?;
        let begun = Instant::now();
        loop {
            let left: i64 = sqlx::query_scalar(
                "select coalesce(max(h.seq - coalesce(c.seq, 0)), 0)::bigint
                 from log_head h
                 left join log_cursor c
                    on c.tenant_id = h.tenant_id
                    and c.consumer = 'statistics'",
            )
            .fetch_one(&mut db)
            .await?;
            if left < TAIL {
                return Ok(());
            }
            let waited = begun.elapsed();
            anyhow::ensure!(waited < COUNT_TIMEOUT, "{left} entries of a log are not counted");
            sleep(Duration::from_millis(500)).await;
        }
    }
}
