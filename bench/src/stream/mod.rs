//! `bench stream`: from a commit to those who watch, and what watching costs.

mod fan_out;
mod idle;
mod live;
mod subject;
mod wire;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;

use self::idle::Idle;
use self::live::Scene;
use self::subject::{COMPARISONS, Subject};
use self::wire::Wire;
use crate::args::StreamArgs;
use crate::cpu::Meter;
use crate::database::{Database, service_tenants};
use crate::load::{self, Plan, Sample};
use crate::report::{Report, Samples};
use crate::rounds::posters;
use crate::server::Server;
use crate::subject::Kind;

/// Who watches one log, each all of it.
const SUBSCRIBERS: usize = 50;

/// Who watches beside the ingest.
const BESIDE: usize = 200;

/// Users that each of those asks for: of the benchmark's 4,096, one in a hundred.
const USERS_ASKED: u32 = 41;

/// Who watches in another replica.
const ELSEWHERE: usize = 10;

/// Entries a second while there is little to do.
const REST_RATE: u32 = 10;

/// Connections that record as fast as they can.
const CONNECTIONS: usize = 256;

const WARM_UP: Duration = Duration::from_millis(500);

const HONEST: [&str; 3] = [
    "The service, PostgreSQL, the bare fan-out and those who watch share the processors; the bare \
     fan-out is part of the load's process.",
    "A commit is taken to have been a whole empty exchange (GET /healthz, p50) before its 201 \
     came: rather too early. The bare fan-out's time begins when it is handed the bytes.",
    "Beside the ingest each subscriber asks for one entry in a hundred. Every subscriber got every \
     entry, else this would have ended with an error.",
];

/// Runs what is asked for and prints the table; whether every goal was met.
pub(crate) async fn run(args: &StreamArgs) -> anyhow::Result<bool> {
    const NAMES: [&str; 4] = ["live", "ingest", "replicas", "idle"];
    anyhow::ensure!(
        NAMES.iter().any(|name| args.wants(name)),
        "--only names no subject; they are {}",
        NAMES.join(", ")
    );
    let bench = Bench::start(args).await?;
    let mut samples = Samples::new();
    for round in 1..=args.rounds() {
        bench.round(args, round, &mut samples).await?;
    }
    let idle = if args.wants("idle") { Some(bench.idle(args).await?) } else { None };
    let rate = format!(" of {} s, {} entries a second", args.lasts().as_secs(), args.rate);
    let heading = bench.database.heading(args.rounds(), &rate)?;
    let mut report = Report::new(heading, Subject::ALL, &COMPARISONS, &samples);
    if let Some(idle) = idle {
        idle.tell(&mut report);
    }
    let mut table = report.into_table();
    table.extend_footnotes(HONEST.map(ToOwned::to_owned));
    write!(std::io::stdout(), "{table}")?;
    Ok(table.all_met())
}

struct Bench {
    database: Database,
    program: PathBuf,
    service: Server,
}

impl Bench {
    async fn start(args: &StreamArgs) -> anyhow::Result<Self> {
        let program = args.programs.service()?;
        let database = Database::prepare(&args.database).await?;
        let service = Server::service(&program, &database.url).await?;
        Ok(Self { database, program, service })
    }

    /// All that is measured in rounds; there and back, so that nobody always comes first.
    async fn round(
        &self,
        args: &StreamArgs,
        round: u32,
        samples: &mut Samples<Subject>,
    ) -> anyhow::Result<()> {
        let mut order: Vec<_> =
            Subject::ALL.into_iter().filter(|subject| args.wants(subject.part())).collect();
        if round.is_multiple_of(2) {
            order.reverse();
        }
        for subject in order {
            let sample = self.measure(args, subject).await?;
            sample.say(&format!("round {round} of {}: {subject}", args.rounds()));
            samples.entry(subject).or_default().push(sample);
        }
        Ok(())
    }

    async fn measure(&self, args: &StreamArgs, subject: Subject) -> anyhow::Result<Sample> {
        let [tenant_id, ..] = service_tenants();
        let scene = Scene {
            record_at: self.service.address,
            watch_at: Some(self.service.address),
            tenant_id,
            subscribers: SUBSCRIBERS,
            rate: args.rate,
            lasts: args.lasts(),
        };
        let meter = self.meter(&self.service);
        match subject {
            Subject::Live => scene.measure(meter).await,
            Subject::Bare => Scene { watch_at: None, ..scene }.measure(meter).await,
            Subject::IngestAlone => self.ingest(args, 0).await,
            Subject::IngestWatched => self.ingest(args, BESIDE).await,
            Subject::OtherAtRest | Subject::OtherLoaded => {
                let other = Server::service(&self.program, &self.database.url).await?;
                let rate = if subject == Subject::OtherAtRest { REST_RATE } else { args.rate };
                let watch_at = Some(other.address);
                let scene = Scene { watch_at, subscribers: ELSEWHERE, rate, ..scene };
                let sample = scene.measure(meter).await?;
                other.end().await?;
                Ok(sample)
            }
        }
    }

    /// Entries as fast as they are taken, while so many watch.
    async fn ingest(&self, args: &StreamArgs, subscribers: usize) -> anyhow::Result<Sample> {
        let mut watching = JoinSet::new();
        for (number, tenant_id) in (0..subscribers).zip(service_tenants().into_iter().cycle()) {
            let query = some_users(number as u32);
            let mut wire = Wire::subscribe(self.service.address, tenant_id, &query).await?;
            watching.spawn(async move { while wire.next().await.is_ok() {} });
        }
        let plan = Plan { warm_up: WARM_UP, measured: args.lasts() };
        let posters = posters(&self.service, Kind::Single.at(CONNECTIONS)).await?;
        let sample = load::measure(posters, plan, self.meter(&self.service)).await?;
        anyhow::ensure!(watching.try_join_next().is_none(), "a stream was cut beside the ingest");
        Ok(sample)
    }

    async fn idle(&self, args: &StreamArgs) -> anyhow::Result<Idle> {
        // One that nothing has been asked of yet: its memory is that of the subscribers.
        let service = Server::service(&self.program, &self.database.url).await?;
        let meter = self.meter(&service);
        let idle = idle::measure(&service, meter, args.idle(), args.lasts()).await?;
        service.end().await?;
        Ok(idle)
    }

    fn meter(&self, service: &Server) -> Meter {
        Meter {
            server: service.pid(),
            load: Some(std::process::id()),
            postmaster: self.database.postmaster,
            ..Meter::default()
        }
    }
}

/// A filter that lets one entry in a hundred pass.
fn some_users(number: u32) -> String {
    let users = (0..USERS_ASKED).map(|n| (number + 100 * n) % 4_096);
    let asked: Vec<_> = users.map(|user| format!("user_id=u-{user}")).collect();
    format!("?{}", asked.join("&"))
}
