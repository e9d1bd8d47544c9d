//! How soon after its 201 an entry is found in the index, while entries come at a fixed rate.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::opensearch::OpenSearch;
use super::parts::Parts;
use super::steady::{Pace, us_since};
use super::{Bench, QUEUE, cursors};
use crate::database::service_tenants;
use crate::entries;
use crate::http::{Connection, Request};
use crate::load::{Sample, percentile};

/// Entries a second.
const RATE: u32 = 1_000;

/// Connections that record them in turn.
const CONNECTIONS: u32 = 32;

/// One entry in so many is looked for. No divisor of the connections' number: all are sampled.
const SAMPLED: usize = 25;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Entries that are looked for at the same time.
const SOUGHT_MAX: usize = 5_000;

/// How long an entry may take, or the way may take to get going.
const TIMEOUT: Duration = Duration::from_mins(1);

/// An entry that was acknowledged.
#[derive(Debug)]
struct Recorded {
    id: String,
    at: Instant,
}

/// What was seen, and the interval it is judged by.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) sample: Sample,
    pub(super) refresh: Duration,
    pub(super) seen: usize,
}

/// Records for so long, and first for some seconds to get going.
pub(super) async fn measure(bench: &Bench, lasts: Duration) -> anyhow::Result<Fresh> {
    cursors::put(&bench.database, &[]).await?;
    let queue_url = bench.parts.make_function(QUEUE, super::PREFIX, &[]).await?;
    let settings = Parts::queueing(&queue_url, bench.parts.queue_address()?);
    let service = bench.service(&settings).await?;
    go(bench, &service, Duration::from_secs(3)).await?;
    let before = bench.meter(Some(&service)).read().await;
    let mut latencies_us = go(bench, &service, lasts).await?;
    let after = bench.meter(Some(&service)).read().await;
    service.end().await?;
    latencies_us.sort_unstable();
    let mut look =
        OpenSearch::connect(bench.parts.search_address()?, &bench.index.searched()).await?;
    let sample = Sample {
        rate: Some(f64::from(RATE)),
        p50_ms: percentile(&latencies_us, 50),
        p99_ms: percentile(&latencies_us, 99),
        cpu: before.zip(after).map(|(before, after)| before.until(after)),
        ..Sample::default()
    };
    sample.say("fresh");
    Ok(Fresh { sample, refresh: look.refresh_interval().await?, seen: latencies_us.len() })
}

async fn go(
    bench: &Bench,
    service: &crate::server::Server,
    lasts: Duration,
) -> anyhow::Result<Vec<u32>> {
    let (sender, recorded) = mpsc::channel(SOUGHT_MAX);
    let pace = Pace::new(RATE, CONNECTIONS);
    let until = pace.begun() + lasts;
    let mut writing = JoinSet::new();
    for number in 0..pace.connections() {
        let connection = Connection::open(service.address).await?;
        writing.spawn(write(connection, pace, number, until, sender.clone()));
    }
    drop(sender);
    let look = OpenSearch::connect(bench.parts.search_address()?, &bench.index.searched()).await?;
    let seeking = tokio::spawn(seek(look, recorded));
    while let Some(done) = writing.join_next().await {
        done??;
    }
    seeking.await?
}

async fn write(
    mut connection: Connection,
    pace: Pace,
    number: u32,
    until: Instant,
    sampled: mpsc::Sender<Recorded>,
) -> anyhow::Result<()> {
    let tenants = service_tenants();
    let tenant_id = tenants[number as usize % tenants.len()];
    let request = Request::post("/logs", tenant_id, false, &entries::json(number.into()));
    for (turn, due) in pace.turns(number).enumerate() {
        if due >= until {
            break;
        }
        sleep_until(due.into()).await;
        let status = connection.exchange(&request).await?;
        ensure!(status == 201, "expected a 201, got:\n{}", connection.shown());
        if (turn + number as usize).is_multiple_of(SAMPLED) {
            let at = Instant::now();
            let entry: Value = serde_json::from_slice(connection.body())?;
            let id = entry["id"].as_str().context("an entry without an id")?.to_owned();
            sampled.send(Recorded { id, at }).await?;
        }
    }
    Ok(())
}

/// Looks for all that are not found yet, again and again, until there are no more.
async fn seek(
    mut look: OpenSearch,
    mut recorded: mpsc::Receiver<Recorded>,
) -> anyhow::Result<Vec<u32>> {
    let mut sought = HashMap::<String, Instant>::new();
    let mut latencies_us = Vec::new();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while let Ok(Recorded { id, at }) = recorded.try_recv() {
            sought.insert(id, at);
        }
        if sought.is_empty() {
            if recorded.is_closed() && recorded.is_empty() {
                return Ok(latencies_us);
            }
            continue;
        }
        let ids: Vec<_> = sought.keys().cloned().collect();
        for id in look.find(&ids).await? {
            let at = sought.remove(&id).context("a hit that nobody asked for")?;
            latencies_us.push(us_since(at));
        }
        let waits_long = sought.values().any(|at| at.elapsed() > TIMEOUT);
        ensure!(!waits_long, "an entry was not found within {TIMEOUT:?}");
    }
}
