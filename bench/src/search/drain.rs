//! How fast the relay empties the logs into a queue that nobody takes from, and what recording gives
//! in the same round, with the relay and without.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;

use super::parts::Parts;
use super::subject::Subject;
use super::{Bench, cursors, queue};
use crate::cpu::timed;
use crate::load::{self, Plan, Sample};
use crate::report::Samples;
use crate::rounds::posters;
use crate::server::Server;
use crate::subject::Kind;

/// Before recording is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// Connections that record as fast as they can, as `bench write` has them.
const CONNECTIONS: usize = 256;

/// Between two looks at how much is left.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a drain may take.
const TIMEOUT: Duration = Duration::from_mins(30);

/// Each queue has a name of its own: what one held must not slow the next.
static QUEUES: AtomicU32 = AtomicU32::new(0);

/// What the relay made of the logs in the last drain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drained {
    pub(super) entries: i64,
    pub(super) messages: u64,
    /// Entries that the relay was behind when recording with it ended.
    pub(super) left_behind: i64,
}

/// One round.
pub(super) async fn round(
    bench: &Bench,
    raw: &(String, usize),
    lasts: Duration,
    samples: &mut Samples<Subject>,
) -> anyhow::Result<Drained> {
    let service = bench.service(&[]).await?;
    let ingest = record(bench, &service, lasts).await?;
    bench.until_counted().await?;
    service.end().await?;
    keep(samples, Subject::Ingest, ingest);

    let queue_url = new_queue(bench).await?;
    let (message, entries) = raw;
    let messages = queue::raw_sends(&bench.sqs, &queue_url, message).await?;
    let rate = Some(messages * *entries as f64);
    keep(samples, Subject::RawSends, Sample { rate, ..Sample::default() });
    queue::remove(&bench.sqs, &queue_url).await?;

    let queue_url = new_queue(bench).await?;
    cursors::put(&bench.database, &bench.logs.uuids()).await?;
    let settings = Parts::queueing(&queue_url, bench.parts.queue_address()?);
    let service = bench.service(&settings).await?;
    let (entries, sample) = drain(bench, &service).await?;
    keep(samples, Subject::Drain, sample);
    let messages = queue::messages(&bench.sqs, &queue_url).await?;

    let ingest = record(bench, &service, lasts).await?;
    let left_behind = cursors::left(&mut bench.database.connect().await?).await?;
    keep(samples, Subject::IngestRelayed, ingest);
    service.end().await?;
    queue::remove(&bench.sqs, &queue_url).await?;
    Ok(Drained { entries: bench.logs.entries().max(entries), messages, left_behind })
}

async fn new_queue(bench: &Bench) -> anyhow::Result<String> {
    let number = QUEUES.fetch_add(1, Ordering::Relaxed);
    bench.parts.make_queue(&format!("bench-drain-{number}")).await
}

async fn record(bench: &Bench, service: &Server, lasts: Duration) -> anyhow::Result<Sample> {
    let plan = Plan { warm_up: WARM_UP, measured: lasts };
    let posters = posters(service, Kind::Single.at(CONNECTIONS)).await?;
    load::measure(posters, plan, bench.meter(Some(service))).await
}

/// From the first look on, by which time the relay has begun, until all cursors are at their heads.
async fn drain(bench: &Bench, service: &Server) -> anyhow::Result<(i64, Sample)> {
    let mut db = bench.database.connect().await?;
    let entries = cursors::left(&mut db).await?;
    let begun = Instant::now();
    let draining = async {
        while cursors::left(&mut db).await? > 0 {
            ensure!(begun.elapsed() < TIMEOUT, "the logs were not sent within {TIMEOUT:?}");
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    };
    let ((), _, cpu) = timed(bench.meter(Some(service)), draining).await?;
    let elapsed = begun.elapsed();
    ensure!(entries > 0, "all was sent before anybody could look: use more --entries");
    Ok((entries, Sample { p50_ms: None, ..Sample::once(entries, (elapsed, cpu)) }))
}

fn keep(samples: &mut Samples<Subject>, subject: Subject, sample: Sample) {
    sample.say(&subject.to_string());
    samples.entry(subject).or_default().push(sample);
}
