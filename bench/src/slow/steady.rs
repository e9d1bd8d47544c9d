//! The open loop: requests at fixed times, however long the answers take, and each answer's time
//! counted from when its request was due.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use domain::TenantId;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::database::service_tenants;
use crate::entries;
use crate::http::{Connection, Request};
use crate::load::{Sample, percentile};

/// Requests a second, pages and entries in turn.
const RATE: u32 = 200;

/// Connections that take turns: an answer may take this many times 5 ms before the next waits.
const CONNECTIONS: u32 = 32;

/// Latencies in microseconds.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pages: Vec<u32>,
    posts: Vec<u32>,
}

/// Keeps asking for so long.
pub(super) async fn ask(
    address: SocketAddr,
    tenant_id: TenantId,
    lasts: Duration,
) -> anyhow::Result<Seen> {
    let begun = Instant::now() + Duration::from_millis(100);
    let mut asking = JoinSet::new();
    for first in 0..CONNECTIONS {
        let client = Client::new(address, tenant_id, first).await?;
        asking.spawn(client.ask(begun, lasts, first));
    }
    let mut seen = Seen::default();
    while let Some(done) = asking.join_next().await {
        let part = done??;
        seen.pages.extend(part.pages);
        seen.posts.extend(part.posts);
    }
    Ok(seen)
}

struct Client {
    connection: Connection,
    page: Request,
    post: Request,
}

impl Client {
    async fn new(address: SocketAddr, tenant_id: TenantId, number: u32) -> anyhow::Result<Self> {
        let tenants = service_tenants();
        let tenant_of_post = tenants[number as usize / 2 % tenants.len()];
        Ok(Self {
            connection: Connection::open(address).await?,
            page: Request::get("/logs", tenant_id),
            post: Request::post("/logs", tenant_of_post, false, &entries::json(number.into())),
        })
    }

    async fn ask(mut self, begun: Instant, lasts: Duration, first: u32) -> anyhow::Result<Seen> {
        let mut seen = Seen::default();
        for number in (first..).step_by(CONNECTIONS as usize) {
            let due = begun + number * (Duration::from_secs(1) / RATE);
            if due >= begun + lasts {
                break;
            }
            sleep_until(due.into()).await;
            // Each connection has an even number or an odd one, and so does one thing.
            let is_page = number % 2 == 0;
            let request = if is_page { &self.page } else { &self.post };
            let status = self.connection.exchange(request).await?;
            ensure!(status == if is_page { 200 } else { 201 }, "a request was answered {status}");
            let us = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
            if is_page { seen.pages.push(us) } else { seen.posts.push(us) }
        }
        Ok(seen)
    }
}

impl Seen {
    /// Of pages, of entries, of both.
    pub(super) fn samples(self, lasts: Duration) -> [Sample; 3] {
        let both = [self.pages.as_slice(), self.posts.as_slice()].concat();
        [self.pages, self.posts, both].map(|mut latencies_us| {
            latencies_us.sort_unstable();
            Sample {
                rate: Some(latencies_us.len() as f64 / lasts.as_secs_f64()),
                p50_ms: percentile(&latencies_us, 50),
                p99_ms: percentile(&latencies_us, 99),
                ..Sample::default()
            }
        })
    }
}
