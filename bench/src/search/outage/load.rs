//! Entries and searches at fixed rates, for as long as the story takes.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::ensure;
use memchr::memmem;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::super::steady::{Pace, us_since};
use super::subject::Kind;
use crate::cpu::Shares;
use crate::database::service_tenants;
use crate::entries;
use crate::http::{Connection, Request};
use crate::load::{Sample, percentile};

/// Connections that record in turn, and that search.
const WRITERS: u32 = 64;
const SEARCHERS: u32 = 16;

/// In the answer of a search that did not ask the index.
const FROM_LOG: &[u8] = b"\"source\":\"log\"";

/// What was answered, and when it was due.
#[derive(Debug, Clone, Copy)]
struct Answer {
    kind: Kind,
    due: Instant,
    us: u32,
    status: u16,
    is_from_log: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Load {
    ends: Arc<AtomicBool>,
    working: JoinSet<anyhow::Result<Vec<Answer>>>,
}

/// All that was answered.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<Answer>);

impl Load {
    /// Begins to ask.
    pub(super) async fn start(
        address: SocketAddr,
        writes: u32,
        searches: u32,
    ) -> anyhow::Result<Self> {
        let mut load = Self { ends: Arc::default(), working: JoinSet::new() };
        for (kind, rate, connections) in
            [(Kind::Write, writes, WRITERS), (Kind::Search, searches, SEARCHERS)]
        {
            let pace = Pace::new(rate, connections);
            for number in 0..pace.connections() {
                let client = Client::new(kind, address, number).await?;
                load.working.spawn(client.ask(pace, number, Arc::clone(&load.ends)));
            }
        }
        Ok(load)
    }

    /// Stops; an error when an entry was not taken.
    pub(super) async fn end(mut self) -> anyhow::Result<Answers> {
        self.ends.store(true, Ordering::Relaxed);
        let mut answers = Answers::default();
        while let Some(done) = self.working.join_next().await {
            answers.0.extend(done??);
        }
        Ok(answers)
    }
}

struct Client {
    kind: Kind,
    connection: Connection,
    request: Request,
}

impl Client {
    async fn new(kind: Kind, address: SocketAddr, number: u32) -> anyhow::Result<Self> {
        let tenants = service_tenants();
        let tenant_id = tenants[number as usize % tenants.len()];
        let request = match kind {
            Kind::Write => Request::post("/logs", tenant_id, false, &entries::json(number.into())),
            Kind::Search => Request::get("/logs/search?q=invoice%20changed", tenant_id),
        };
        Ok(Self { kind, connection: Connection::open(address).await?, request })
    }

    async fn ask(
        mut self,
        pace: Pace,
        number: u32,
        ends: Arc<AtomicBool>,
    ) -> anyhow::Result<Vec<Answer>> {
        let kind = self.kind;
        let mut answers = Vec::new();
        for due in pace.turns(number) {
            sleep_until(due.into()).await;
            if ends.load(Ordering::Relaxed) {
                break;
            }
            let status = self.connection.exchange(&self.request).await?;
            let us = us_since(due);
            let body = self.connection.body();
            ensure!(
                kind == Kind::Search || status == 201,
                "expected a 201, got:\n{}",
                self.connection.shown()
            );
            let is_from_log = kind == Kind::Search && memmem::find(body, FROM_LOG).is_some();
            answers.push(Answer { kind, due, us, status, is_from_log });
        }
        Ok(answers)
    }
}

impl Answers {
    fn within(&self, kind: Kind, window: Range<Instant>) -> impl Iterator<Item = &Answer> {
        self.0.iter().filter(move |answer| answer.kind == kind && window.contains(&answer.due))
    }

    /// Of what was due in a window.
    pub(super) fn sample(&self, kind: Kind, window: Range<Instant>, cpu: Option<Shares>) -> Sample {
        let seconds = (window.end - window.start).as_secs_f64();
        let mut latencies_us: Vec<_> = self.within(kind, window).map(|answer| answer.us).collect();
        latencies_us.sort_unstable();
        Sample {
            rate: (kind == Kind::Write).then_some(latencies_us.len() as f64 / seconds),
            p50_ms: percentile(&latencies_us, 50),
            p99_ms: percentile(&latencies_us, 99),
            cpu,
            ..Sample::default()
        }
    }

    /// Searches that were answered with anything but a 200.
    pub(super) fn failed_searches(&self) -> usize {
        self.0.iter().filter(|answer| answer.kind == Kind::Search && answer.status != 200).count()
    }

    /// How many searches of a window the log answered, of all.
    pub(super) fn by_log(&self, window: Range<Instant>) -> (usize, usize) {
        let all = self.within(Kind::Search, window.clone()).count();
        let log = self.within(Kind::Search, window).filter(|answer| answer.is_from_log).count();
        (log, all)
    }
}
