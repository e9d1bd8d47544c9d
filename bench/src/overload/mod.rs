//! `bench overload`: what becomes of a service that is asked for too much.
//!
//! Three times as much is sent as it can record; one tenant asks for several times what it may
//! beside a quiet one; thousands of connections say nothing beside a client that does.

mod load;
mod silence;
mod subject;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use self::load::{Load, Seen, quiet};
use self::silence::Silence;
use self::subject::{Beside, COMPARISONS, Subject};
use crate::args::OverloadArgs;
use crate::cpu::{self, Meter};
use crate::database::{Database, service_tenants};
use crate::entries;
use crate::goals::Goal;
use crate::http::{Connection, Poster, Request};
use crate::load::{self as closed, Plan, Sample};
use crate::report::{Report, Samples};
use crate::server::Server;

/// Entries of a bulk request.
const BATCH: u64 = 100;

/// Connections that find the maximum, and those that send more.
const CONNECTIONS: usize = 32;
const CONNECTIONS_OVER: u32 = 512;

/// How many times the maximum is sent.
const TIMES_OVER: f64 = 3.0;

/// Memory that requests may take, so little that it is reached.
const ADMISSION_MIB: u32 = 96;

/// What a connection may hold of a request that is not let in, and is read to its end.
const CONNECTION_MIB: f64 = 0.125;

/// Requests a second of who is quiet.
const QUIET: u32 = 100;

/// What the noisy tenant may write and asks for, a second.
const NOISE_ALLOWED: u32 = 100;
const NOISE: u32 = 500;

/// In how many seconds all must be as it was, and what counts as that: p99 as before, times this,
/// and so many milliseconds.
const NORMAL_WITHIN: f64 = 5.0;
const NORMAL_TIMES: f64 = 2.0;
const NORMAL_MORE_MS: f64 = 10.0;

const HONEST: &str = "Every request was done, or refused with 429 or 503 and Retry-After.";

/// Runs all of it and prints the table; whether every goal was met.
pub(crate) async fn run(args: &OverloadArgs) -> anyhow::Result<bool> {
    let bench = Bench {
        program: args.programs.service()?,
        database: Database::prepare(&args.database).await?,
        lasts: args.lasts(),
    };
    let mut samples = Samples::new();
    let mut facts = Vec::new();
    for _ in 0..args.rounds() {
        if args.wants("overload") {
            facts.push(bench.overload(&mut samples).await?);
        }
        if args.wants("noise") {
            bench.noise(&mut samples).await?;
        }
        if args.wants("silence") {
            bench.silence(&mut samples).await?;
        }
    }
    let of_what = format!(" of {} s", bench.lasts.as_secs());
    let heading = bench.database.heading(args.rounds(), &of_what)?;
    let mut report = Report::new(heading, Subject::ALL, &COMPARISONS, &samples);
    for fact in facts {
        fact.add_to(&mut report);
    }
    let mut table = report.into_table();
    table.extend_footnotes([HONEST.to_owned()]);
    write!(std::io::stdout(), "{table}")?;
    Ok(table.all_met())
}

struct Bench {
    program: PathBuf,
    database: Database,
    lasts: Duration,
}

/// What an overload leaves behind.
struct Fact {
    refused: (usize, usize),
    grown_mib: f64,
    normal_after: Option<u64>,
}

impl Fact {
    fn add_to(&self, report: &mut Report<'_, Subject>) {
        let (refused, all) = self.refused;
        report.add_fact("  requests refused", &format!("{refused} of {all}"), "");
        let connections = f64::from(CONNECTIONS_OVER) - CONNECTIONS as f64;
        let most = f64::from(ADMISSION_MIB) + connections * CONNECTION_MIB;
        let grown = self.grown_mib;
        let text = format!("{grown:.0} MiB");
        report.judge_fact("  memory above that of the maximum", &text, grown, Goal::AtMost(most));
        let within = Goal::AtMost(NORMAL_WITHIN);
        let (text, after) = match self.normal_after {
            Some(after) => (format!("{after} s"), after as f64),
            None => ("never".to_owned(), f64::INFINITY),
        };
        report.judge_fact("  normal again after", &text, after, within);
    }
}

impl Bench {
    async fn serve(&self, settings: &[(&str, String)]) -> anyhow::Result<Server> {
        Server::service_with(&self.program, &self.database.url, settings).await
    }

    fn quiet(&self, service: &Server) -> Load {
        let (address, lasts) = (service.address, self.lasts);
        Load { address, a_second: QUIET, connections: 16, lasts, may_be_refused: false }
    }

    async fn ask_quietly(&self, service: &Server) -> anyhow::Result<Seen> {
        let tenant_id = service_tenants()[0];
        self.quiet(service).run(|number| quiet(tenant_id, number)).await
    }

    async fn overload(&self, samples: &mut Samples<Subject>) -> anyhow::Result<Fact> {
        let settings = [("AUDIT_ADMISSION_MIB", ADMISSION_MIB.to_string())];
        let service = self.serve(&settings).await?;
        let pid = service.pid().context("the service has ended")?;
        let plan = Plan { warm_up: Duration::from_millis(500), measured: self.lasts };
        let maximum = closed::measure(posters(&service).await?, plan, self.meter(pid)).await?;
        let before = self.ask_quietly(&service).await?.sample(1);
        let (peak, rate) = (peak_mib(pid)?, maximum.rate.unwrap_or_default());
        keep(samples, Subject::Maximum, maximum);

        let over = Load {
            address: service.address,
            a_second: ((TIMES_OVER * rate / BATCH as f64) as u32).max(1),
            connections: CONNECTIONS_OVER,
            lasts: self.lasts,
            may_be_refused: true,
        };
        let seen = over.run(batch_of).await?;
        let p99_ms = before.p99_ms.context("nobody was answered before")?;
        let after = self.ask_quietly(&service).await?;
        let fact = Fact {
            refused: seen.refused(),
            grown_mib: peak_mib(pid)? - peak,
            normal_after: after.is_normal_after(NORMAL_TIMES * p99_ms + NORMAL_MORE_MS),
        };
        keep(samples, Subject::Overload, seen.sample(BATCH));
        service.end().await?;
        Ok(fact)
    }

    async fn noise(&self, samples: &mut Samples<Subject>) -> anyhow::Result<()> {
        let limits = format!("write={NOISE_ALLOWED}/s");
        let service = self.serve(&[("AUDIT_RATE_LIMITS", limits)]).await?;
        // Once for caches and connections.
        self.ask_quietly(&service).await?;
        let alone = self.ask_quietly(&service).await?.sample(1);
        keep(samples, Subject::Quiet { beside: Beside::NoNoise }, alone);
        let other = service_tenants()[1];
        let noise = Load { a_second: NOISE, may_be_refused: true, ..self.quiet(&service) };
        let (beside, of_noise) = tokio::try_join!(
            self.ask_quietly(&service),
            noise.run(|number| vec![Request::post(
                "/logs",
                other,
                false,
                &entries::json(number.into())
            )])
        )?;
        anyhow::ensure!(of_noise.refused().0 > 0, "the noisy tenant was never refused");
        keep(samples, Subject::Quiet { beside: Beside::Noise }, beside.sample(1));
        service.end().await
    }

    async fn silence(&self, samples: &mut Samples<Subject>) -> anyhow::Result<()> {
        let service = self.serve(&[]).await?;
        self.ask_quietly(&service).await?;
        let alone = self.ask_quietly(&service).await?.sample(1);
        keep(samples, Subject::Quiet { beside: Beside::NoSilence }, alone);
        let silence = Silence::begin(service.address).await?;
        let beside = self.ask_quietly(&service).await?.sample(1);
        keep(samples, Subject::Quiet { beside: Beside::Silence }, beside);
        let cut_after = silence.until_cut().await?;
        eprintln!("the last silent connection was cut after {:.1} s", cut_after.as_secs_f64());
        service.end().await
    }

    fn meter(&self, pid: u32) -> Meter {
        Meter {
            server: Some(pid),
            load: Some(std::process::id()),
            postmaster: self.database.postmaster,
            ..Meter::default()
        }
    }
}

/// A batch of a connection of its own, to one of the tenants.
fn batch_of(number: u32) -> Vec<Request> {
    let tenants = service_tenants();
    let first = u64::from(number) * BATCH;
    let body = entries::json_array(first..first + BATCH);
    vec![Request::post("/logs/bulk", tenants[number as usize % tenants.len()], false, &body)]
}

async fn posters(service: &Server) -> anyhow::Result<Vec<Poster>> {
    let mut posters = Vec::new();
    for number in 0..CONNECTIONS {
        let (connection, requests) =
            (Connection::open(service.address).await?, batch_of(u32::try_from(number)?));
        posters.push(Poster { connection, requests, entries: BATCH, turn: 0 });
    }
    Ok(posters)
}

fn peak_mib(pid: u32) -> anyhow::Result<f64> {
    let bytes = cpu::peak_memory(pid).context("/proc does not show the memory")?;
    Ok(bytes as f64 / 1_048_576.0)
}

fn keep(samples: &mut Samples<Subject>, subject: Subject, sample: Sample) {
    sample.say(&subject.to_string());
    samples.entry(subject).or_default().push(sample);
}
