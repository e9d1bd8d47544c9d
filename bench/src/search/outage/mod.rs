//! `bench search-outage`: OpenSearch is killed while entries come in and searches go on.
//!
//! The load is an open loop, so a stall is seen by everybody who was due meanwhile. It needs a
//! database of its own: what the log holds and the index lacks would be caught up, too.

mod catching_up;
mod load;
mod subject;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use self::catching_up::{CaughtUp, Progress};
use self::load::{Answers, Load};
use self::subject::{COMPARISONS, Kind, Subject, When};
use super::bulk::remove_all;
use super::parts::Parts;
use super::{PREFIX, QUEUE, index};
use crate::args::SearchOutageArgs;
use crate::cpu::{Meter, Times};
use crate::database::Database;
use crate::goals::Goal;
use crate::report::{Report, Samples};
use crate::server::Server;
use crate::table::{Table, thousands};

/// Searches a second.
const SEARCHES: u32 = 20;

/// The index must gain so many times what comes in.
const CATCH_UP_GOAL: f64 = 2.0;

/// How long the load runs before anything counts.
const WARM_UP: Duration = Duration::from_secs(5);

const HONEST: &str = "Every POST was answered 201, else this would have ended with an error. \
    Without: before OpenSearch was killed, and after the index had caught up.";

/// Runs all of it and prints the table; whether every goal was met.
pub(crate) async fn run(args: &SearchOutageArgs) -> anyhow::Result<bool> {
    let bench = Bench::start(args).await?;
    let mut settings = bench.parts.searching(PREFIX)?;
    let queue_url = bench.parts.make_function(QUEUE, PREFIX, &[]).await?;
    settings.extend(Parts::queueing(&queue_url, bench.parts.queue_address()?));
    let service = Server::service_with(&bench.program, &bench.database.url, &settings).await?;
    let away = Duration::from_secs(args.seconds);
    let story = bench.story(&service, args.rate, away).await?;
    service.end().await?;
    let of_what = format!(", {} entries a second, {away:?} away", thousands(args.rate.into()));
    let heading = bench.database.heading(1, &of_what)?;
    let table = story.into_table(heading);
    write!(std::io::stdout(), "{table}")?;
    Ok(table.all_met())
}

struct Bench {
    database: Database,
    program: PathBuf,
    parts: Parts,
}

/// A moment, and who had had the processors until then.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    times: Option<Times>,
}

/// What happened.
struct Story {
    /// Entries a second that came in.
    writes: u32,
    /// The load has got going, OpenSearch is killed, it answers again, the index has caught up or
    /// is given up on, all is over.
    marks: [Mark; 5],
    answers: Answers,
    caught_up: CaughtUp,
    /// Entries that the index lacked when the load had ended for a while.
    missing: i64,
}

impl Bench {
    async fn start(args: &SearchOutageArgs) -> anyhow::Result<Self> {
        let program = args.programs.service()?;
        let parts = Parts::find(&args.parts)?;
        let database = Database::prepare(&args.database).await?;
        remove_all(&index(&parts, PREFIX)?).await?;
        Ok(Self { database, program, parts })
    }

    async fn story(&self, service: &Server, writes: u32, away: Duration) -> anyhow::Result<Story> {
        let load = Load::start(service.address, writes, SEARCHES).await?;
        sleep(WARM_UP).await;
        let mut progress = Progress::new(&self.database, &self.parts).await?;
        progress.until_caught_up(writes).await?;
        let begun = self.mark(service).await;
        eprintln!("all runs; OpenSearch is killed in {} s", away.as_secs());
        sleep(away).await;

        let killed = self.mark(service).await;
        self.parts.kill_search().await?;
        eprintln!("OpenSearch is killed, and started in {} s", away.as_secs());
        sleep(away).await;
        self.parts.start_search().await?;

        let back = self.mark(service).await;
        let mut progress = Progress::new(&self.database, &self.parts).await?;
        let caught_up = progress.until_caught_up(writes).await?;
        let level = self.mark(service).await;
        sleep(away).await;
        let ended = self.mark(service).await;
        let answers = load.end().await?;
        let missing = progress.until_level().await?;
        let marks = [begun, killed, back, level, ended];
        Ok(Story { writes, marks, answers, caught_up, missing })
    }

    async fn mark(&self, service: &Server) -> Mark {
        let meter = Meter {
            server: service.pid(),
            load: Some(std::process::id()),
            postmaster: self.database.postmaster,
            search: self.parts.search_pid().ok(),
            queue: self.parts.queue_pid().ok(),
        };
        Mark { at: Instant::now(), times: meter.read().await }
    }
}

impl Story {
    fn samples(&self) -> Samples<Subject> {
        let [begun, killed, back, level, ended] = self.marks;
        let mut samples = Samples::new();
        for (when, from, until) in [
            (When::Without, begun, killed),
            (When::Without, level, ended),
            (When::During, killed, back),
            (When::CatchingUp, back, level),
        ] {
            let cpu = from.times.zip(until.times).map(|(from, until)| from.until(until));
            for kind in Kind::ALL {
                let sample = self.answers.sample(kind, from.at..until.at, cpu);
                samples.entry(Subject { kind, when }).or_insert_with(Vec::new).push(sample);
            }
        }
        samples
    }

    fn into_table(self, heading: String) -> Table {
        let samples = self.samples();
        let mut report = Report::new(heading, Subject::all(), &COMPARISONS, &samples);
        let [_, killed, back, level, _] = self.marks.map(|mark| mark.at);
        let away = format!("{:.1} s", (back - killed).as_secs_f64());
        report.add_fact("from the kill until it answered again", &away, "");
        let failed = self.answers.failed_searches();
        let what = "searches that failed";
        report.judge_fact(what, &thousands(failed as f64), failed as f64, Goal::AtMost(0.0));
        for (when, window) in [("away", killed..back), ("catching up", back..level)] {
            let (log, all) = self.answers.by_log(window);
            let shown = format!("{log} of {all}");
            report.add_fact(&format!("searches answered from the log, {when}"), &shown, "");
        }
        self.tell_caught_up(&mut report);
        let mut table = report.into_table();
        table.extend_footnotes([HONEST.to_owned()]);
        table
    }

    fn tell_caught_up(&self, report: &mut Report<'_, Subject>) {
        let CaughtUp { rate, most, best, behind, seconds, is_level } = &self.caught_up;
        let how = if *is_level { "caught up after" } else { "NOT caught up after" };
        let note = format!("{behind} behind at first, {how} {seconds:.0} s");
        report.add_fact("entries indexed in the best 10 s, a second", &thousands(*best), &note);
        let what = "entries indexed a second, until nine tenths were there";
        report.add_fact(what, &thousands(*most), "");
        // Whoever has not caught up has no rate to be proud of.
        let rate = if *is_level { *rate } else { 0.0 };
        report.judge_fact(
            "entries indexed a second, while they came in",
            &thousands(rate),
            rate,
            Goal::AtLeast(CATCH_UP_GOAL * f64::from(self.writes)),
        );
        let missing = thousands(self.missing as f64);
        let what = "entries that the index lacks in the end";
        report.judge_fact(what, &missing, self.missing as f64, Goal::AtMost(0.0));
    }
}
