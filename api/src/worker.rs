//! Upkeep that needs nobody's request: partitions made ahead, dropped when nobody needs them, old
//! keys and marks removed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::metrics::{Metrics, Worker};
use crate::store::migrations::Profile;
use crate::store::{self, DbRole, marks, partitions, tickets};

/// How often upkeep looks, unless it is called.
const PERIOD: Duration = Duration::from_mins(10);

/// How soon it looks again after a round that failed, and at the most how often it is called.
const PERIOD_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// See the module.
pub struct Upkeep {
    /// The worker's database.
    pub options: PgConnectOptions,
    /// What keeps the log.
    pub profile: Profile,
    /// Width of a partition of the log.
    pub partition_days: u16,
    /// The writer calls when a partition is missing.
    pub called: Arc<Notify>,
}

/// Without the options: they hold a password.
impl fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upkeep").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Upkeep {
    /// Works until it is stopped.
    pub async fn run(self, stop: CancellationToken, metrics: Metrics) {
        loop {
            let pause = match stop.run_until_cancelled(self.round()).await {
                None => return,
                Some(Ok(())) => {
                    metrics.rounds.ended(Worker::Upkeep);
                    PERIOD
                }
                Some(Err(error)) => {
                    error!(error = %error, "upkeep failed and will be tried again");
                    PERIOD_AFTER_FAILURE
                }
            };
            // Called or not, never more often than after a failure: a missing partition that
            // cannot be made must not become a storm.
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PERIOD_AFTER_FAILURE) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.called.notified() => {}
                () = tokio::time::sleep(pause.saturating_sub(PERIOD_AFTER_FAILURE)) => {}
            }
        }
    }

    async fn round(&self) -> anyhow::Result<()> {
        // A connection of its own: closing it lets go of the lock that keeps rounds apart.
        let mut connection = store::connect(&self.options, DbRole::Worker).await?;
        if !partitions::take_turn(&mut connection).await? {
            return Ok(());
        }
        let made =
            partitions::make_ahead(&mut connection, self.profile, self.partition_days).await?;
        let mut dropped = partitions::drop_old_keys(&mut connection).await?;
        if self.profile == Profile::Native {
            dropped += partitions::drop_erasable(&mut connection).await?;
        }
        let forgotten = marks::forget_silent(&mut connection).await?;
        tickets::forget_expired(&mut connection).await?;
        let _ = timeout(Duration::from_secs(1), connection.close()).await;
        if made + dropped > 0 || forgotten > 0 {
            info!(
                partitions.made = made,
                partitions.dropped = dropped,
                marks.forgotten = forgotten,
                "upkeep done"
            );
        }
        Ok(())
    }
}
