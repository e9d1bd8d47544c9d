//! Keeps the counts behind the statistics up to date, a window of a log at a time.
//!
//! Replicas work beside each other: who finds a log taken goes on to the next. What is not counted
//! yet is counted by whoever asks, so nothing but the speed of an answer depends on this.

use std::time::Duration;

use domain::TenantId;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::metrics::{Metrics, Worker};
use crate::store::statistics::counting::{
    FORGOTTEN_MAX, LOGS_MAX, WINDOW_ENTRIES_MAX, count_window, expired, forget, lagging,
};

/// How often logs that lag behind are looked for.
const PERIOD: Duration = Duration::from_secs(5);

/// So many entries behind, a log is counted with the next round.
const LAG_MIN: i64 = 2_000;

/// How often all logs are counted to their ends, and counts of what has expired are removed.
const FULL_PERIOD: Duration = Duration::from_mins(10);

/// See the module.
#[derive(Debug)]
pub struct Counter {
    /// The worker's.
    pub db: PgPool,
}

impl Counter {
    /// Works until it is stopped.
    pub async fn run(self, stop: CancellationToken, metrics: Metrics) {
        let mut full_at = Instant::now();
        let mut is_failing = false;
        loop {
            let is_full = Instant::now() >= full_at;
            let pause = match stop.run_until_cancelled(self.round(is_full)).await {
                None => return,
                Some(Ok(is_behind)) => {
                    is_failing = false;
                    metrics.rounds.ended(Worker::Counter);
                    if is_full {
                        full_at = Instant::now() + FULL_PERIOD;
                    }
                    if is_behind { Duration::ZERO } else { PERIOD }
                }
                Some(Err(error)) => {
                    if !is_failing {
                        error!(error = %error, "entries could not be counted; it will be tried again");
                    }
                    is_failing = true;
                    PERIOD
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// One window of each log that lags. Returns whether one of them was not enough.
    async fn round(&self, is_full: bool) -> sqlx::Result<bool> {
        let entries_min = if is_full { 1 } else { LAG_MIN };
        let (mut is_behind, mut failure) = (false, None);
        let mut after = None;
        loop {
            let logs = lagging(&self.db, after, entries_min).await?;
            for tenant_id in &logs {
                match rested(count_window(&self.db, *tenant_id)).await {
                    Ok(counted) => is_behind |= counted == Some(WINDOW_ENTRIES_MAX),
                    // One log's trouble is its own.
                    Err(error @ sqlx::Error::Database(_)) => failure = Some(error),
                    Err(error) => return Err(error),
                }
            }
            after = logs.last().copied();
            if !is_page_full(&logs) {
                break;
            }
        }
        if is_full {
            self.forget_expired().await?;
        }
        failure.map_or(Ok(is_behind), Err)
    }

    async fn forget_expired(&self) -> sqlx::Result<()> {
        let mut after = None;
        loop {
            let logs = expired(&self.db, after).await?;
            for tenant_id in &logs {
                while rested(forget(&self.db, *tenant_id)).await? == Some(FORGOTTEN_MAX) {}
            }
            after = logs.last().copied();
            if !is_page_full(&logs) {
                return Ok(());
            }
        }
    }
}

/// Works, then rests for as long as it took: writers come first.
async fn rested<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = work.await;
    sleep(begun.elapsed()).await;
    done
}

fn is_page_full(logs: &[TenantId]) -> bool {
    i64::try_from(logs.len()).is_ok_and(|len| len >= LOGS_MAX)
}
