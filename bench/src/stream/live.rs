//! Entries at a fixed rate, and when they reach those who watch.
//!
//! When an entry was committed, nobody outside sees. Its 201 is on its way from that moment on, for
//! as long as an answer takes: so a commit is taken to have been a whole exchange of a request
//! that does nothing before the 201 came, as measured beside. That is too early rather than too
//! late, and says the service slower than it is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use domain::TenantId;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout_at};

use super::fan_out::FanOut;
use super::wire::{Wire, frame_of, seq_in};
use crate::cpu::{Meter, timed};
use crate::entries;
use crate::http::{Connection, Request};
use crate::load::{Sample, percentile};
use crate::search::steady::Pace;

/// Connections that record in turn.
const WRITERS: u32 = 16;

/// Requests that do nothing, a second.
const EMPTY_RATE: u32 = 50;

/// What comes first is not measured: connections, caches, a feed that begins.
const WARM_UP: Duration = Duration::from_millis(500);

/// How long entries may be on their way when the last was recorded.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// What is done in a round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    /// Where entries are recorded.
    pub(super) record_at: SocketAddr,
    /// Where they are watched; `None`: behind the bare fan-out.
    pub(super) watch_at: Option<SocketAddr>,
    pub(super) tenant_id: TenantId,
    pub(super) subscribers: usize,
    /// Entries a second.
    pub(super) rate: u32,
    pub(super) lasts: Duration,
}

/// When entries became known, by their numbers.
type Times = Vec<(u64, Instant)>;

impl Scene {
    /// Measures; an error when anybody missed an entry.
    pub(super) async fn measure(self, meter: Meter) -> anyhow::Result<Sample> {
        let fan_out = match self.watch_at {
            None => Some(FanOut::start(self.subscribers)?),
            Some(_) => None,
        };
        let mut wires = Vec::new();
        for _ in 0..self.subscribers {
            wires.push(match (self.watch_at, &fan_out) {
                (Some(address), _) => Wire::subscribe(address, self.tenant_id, "").await?,
                (None, Some(fan_out)) => Wire::connect(fan_out.address).await?,
                (None, None) => anyhow::bail!("nobody to watch"),
            });
        }
        let publisher = match &fan_out {
            Some(fan_out) => {
                let stream = TcpStream::connect(fan_out.address).await?;
                // As the others: else it waits for an acknowledgement before it sends the next.
                stream.set_nodelay(true)?;
                Some(Arc::new(Mutex::new(stream)))
            }
            None => None,
        };
        let (seen, _, cpu) = timed(meter, self.play(wires, publisher)).await?;
        if let Some(fan_out) = fan_out {
            fan_out.end()?;
        }
        let mut latencies_us = seen;
        latencies_us.sort_unstable();
        let deliveries = latencies_us.len() as f64 / self.lasts.as_secs_f64();
        Ok(Sample {
            rate: Some(deliveries / self.subscribers as f64),
            p50_ms: percentile(&latencies_us, 50),
            p99_ms: percentile(&latencies_us, 99),
            cpu,
            ..Sample::default()
        })
    }

    async fn play(
        self,
        wires: Vec<Wire>,
        publisher: Option<Arc<Mutex<TcpStream>>>,
    ) -> anyhow::Result<Vec<u32>> {
        let pace = Pace::new(self.rate, WRITERS);
        let (warm, until) = (pace.begun() + WARM_UP, pace.begun() + WARM_UP + self.lasts);
        let mut watching = JoinSet::new();
        for wire in wires {
            watching.spawn(watch(wire, until + LAST_WITHIN));
        }
        let mut recording = JoinSet::new();
        let is_bare = publisher.is_some();
        for number in 0..WRITERS {
            let connection = Connection::open(self.record_at).await?;
            let request =
                Request::post("/logs", self.tenant_id, false, &entries::json(number.into()));
            let writer = Writer { connection, request, publisher: publisher.clone() };
            recording.spawn(writer.record(pace, number, until));
        }
        let empty = tokio::spawn(empty_exchanges(self.record_at, until));
        let mut known = HashMap::new();
        while let Some(done) = recording.join_next().await {
            known.extend(done??);
        }
        // What is published is published when it is written: there is nothing before that.
        let before = if is_bare { Duration::ZERO } else { empty.await?? };
        let mut latencies_us = Vec::new();
        while let Some(done) = watching.join_next().await {
            let seen = done??;
            ensure!(seen.len() == known.len(), "{} of {} were seen", seen.len(), known.len());
            for (seq, at) in seen {
                let Some(known_at) = known.get(&seq).filter(|at| **at >= warm) else { continue };
                let latency = (at + before).saturating_duration_since(*known_at);
                latencies_us.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
            }
        }
        // The bare fan-out ends with it, and not before all has come.
        drop(publisher);
        Ok(latencies_us)
    }
}

/// Notes when each entry comes.
async fn watch(mut wire: Wire, until: Instant) -> anyhow::Result<Times> {
    let mut seen = Times::new();
    while let Ok(text) = timeout_at(until.into(), wire.next()).await {
        // A heartbeat has none.
        if let Some(seq) = seq_in(text?) {
            seen.push((seq, Instant::now()));
        }
    }
    Ok(seen)
}

struct Writer {
    connection: Connection,
    request: Request,
    publisher: Option<Arc<Mutex<TcpStream>>>,
}

impl Writer {
    /// Notes when each entry was acknowledged, or handed to the bare fan-out.
    async fn record(mut self, pace: Pace, number: u32, until: Instant) -> anyhow::Result<Times> {
        let mut known = Times::new();
        for due in pace.turns(number) {
            if due >= until {
                break;
            }
            sleep_until(due.into()).await;
            let status = self.connection.exchange(&self.request).await?;
            let at = Instant::now();
            ensure!(status == 201, "expected a 201, got:\n{}", self.connection.shown());
            let entry = self.connection.body();
            known.extend(seq_in(entry).map(|seq| (seq, at)));
            if let Some(publisher) = &self.publisher {
                let frame = frame_of(entry)?;
                publisher.lock().await.write_all(&frame).await?;
            }
        }
        Ok(known)
    }
}

/// Half of all requests that do nothing are answered within this.
async fn empty_exchanges(address: SocketAddr, until: Instant) -> anyhow::Result<Duration> {
    let request = Request::foreign("GET", "/healthz", "", b"");
    let mut connection = Connection::open(address).await?;
    let mut took = Vec::new();
    for due in Pace::new(EMPTY_RATE, 1).turns(0).take_while(|due| *due < until) {
        sleep_until(due.into()).await;
        let begun = Instant::now();
        connection.exchange(&request).await?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(took.get(took.len() / 2).copied().unwrap_or_default())
}
