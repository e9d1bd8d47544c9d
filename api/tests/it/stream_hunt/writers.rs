//! Who fills the logs: bulks at a steady pace, each sent until one of the replicas has taken it.

use std::sync::Arc;
use std::time::Duration;

use domain::TenantId;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::Size;
use crate::support::app::identity;
use crate::support::wishes;

/// Bulks of a log in a second.
const BULKS_A_SECOND: usize = 10;

/// How long an answer may take before another replica is asked.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// How long a bulk may find no replica that takes it.
const TAKEN_WITHIN: Duration = Duration::from_secs(40);

/// See the module.
pub(super) struct Writers(JoinSet<usize>);

struct Writer {
    client: Client,
    bases: Arc<[String]>,
    tenant_id: TenantId,
    rng: SmallRng,
}

impl Writers {
    pub(super) fn start(
        bases: &Arc<[String]>,
        tenants: &[TenantId],
        size: &Size,
        rng: &mut SmallRng,
    ) -> Self {
        let mut writing = JoinSet::new();
        let each = size.entries_a_second.div_ceil(tenants.len() * BULKS_A_SECOND);
        for tenant_id in tenants {
            let writer = Writer {
                client: Client::new(),
                bases: Arc::clone(bases),
                tenant_id: *tenant_id,
                rng: SmallRng::from_rng(rng),
            };
            writing.spawn(writer.write(each, size.lasts));
        }
        Self(writing)
    }

    /// Waits for the last bulk; how many entries there were.
    pub(super) async fn finish(mut self) -> usize {
        let mut written = 0;
        while let Some(done) = self.0.join_next().await {
            written += done.unwrap();
        }
        written
    }
}

impl Writer {
    async fn write(mut self, each: usize, lasts: Duration) -> usize {
        let mut ticks = interval(Duration::from_secs(1) / u32::try_from(BULKS_A_SECOND).unwrap());
        let (begun, mut written) = (Instant::now(), 0);
        while begun.elapsed() < lasts {
            ticks.tick().await;
            let entries: Vec<_> = (0..each).map(|_| wishes::entry(self.rng.random())).collect();
            let bulk = json!(entries);
            timeout(TAKEN_WITHIN, self.send(&bulk)).await.expect("a replica takes a bulk");
            written += each;
        }
        written
    }

    /// Sends it until it is taken; the key makes it safe to send again.
    async fn send(&mut self, bulk: &serde_json::Value) {
        let key = format!("{:016x}", self.rng.random::<u64>());
        loop {
            let base = &self.bases[self.rng.random_range(0..self.bases.len())];
            let sending = self
                .client
                .post(format!("{base}/api/v1/logs/bulk"))
                .headers(identity(Some(self.tenant_id), "user"))
                .header("idempotency-key", &key)
                .timeout(ANSWER_WITHIN)
                .json(bulk);
            match sending.send().await.map(|answer| answer.status()) {
                Ok(StatusCode::CREATED) => return,
                Ok(status) if status.is_client_error() => panic!("a bulk was refused: {status}"),
                Ok(_) | Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}
