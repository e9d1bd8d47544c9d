//! Entries that their tenants no longer keep: the floors move, and rows that no partition took
//! along are deleted. Partitions are [`crate::worker`]'s.

use std::fmt;
use std::time::Duration;

use domain::{TenantId, Timestamp};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::metrics::{Metrics, Worker};
use crate::store::append::CLOCKS_APART;
use crate::store::erasure::{self, Unerased};
use crate::store::expiry::{self, ExpireError};
use crate::store::migrations::Profile;
use crate::store::{self, DbRole, partitions};

/// How often it looks.
const PERIOD: Duration = Duration::from_mins(10);

/// How soon it looks again after a round that failed or left work behind.
const PERIOD_SHORT: Duration = Duration::from_secs(5);

/// Calls that delete rows in a round; more wait for the next, so that floors do not wait for them.
const ERASURES_MAX: u32 = 1_000;

/// See the module.
pub struct Expiry {
    /// The worker's database.
    pub options: PgConnectOptions,
    /// What keeps the log.
    pub profile: Profile,
    /// No tenant's entries expire earlier.
    pub days_min: i32,
}

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Floors that moved.
    pub expired: u32,
    /// Entries that these left below them.
    pub entries: i64,
    /// Certificates whose rows are known to be gone now.
    pub erased: u32,
    /// Whether there was more to delete than one round does.
    pub more: bool,
    erasures: u32,
}

/// Without the options: they hold a password.
impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiry").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Expiry {
    /// Works until it is stopped.
    pub async fn run(self, stop: CancellationToken, metrics: Metrics) {
        loop {
            let pause = match stop.run_until_cancelled(self.round()).await {
                None => return,
                Some(Ok(done)) => {
                    metrics.rounds.ended(Worker::Expiry);
                    if done.more { PERIOD_SHORT } else { PERIOD }
                }
                Some(Err(error)) => {
                    error!(error = %error, "expiry failed and will be tried again");
                    PERIOD_SHORT
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Moves every floor that is due, then deletes and records what is gone.
    pub async fn round(&self) -> sqlx::Result<Done> {
        // A connection of its own: closing it lets go of the lock that keeps rounds apart.
        let mut connection = store::connect(&self.options, DbRole::Worker).await?;
        if !erasure::take_turn(&mut connection).await? {
            return Ok(Done::default());
        }
        let done = self.work(&mut connection).await?;
        let _ = timeout(Duration::from_secs(1), connection.close()).await;
        if done.expired + done.erased > 0 {
            info!(
                logs.expired = done.expired,
                entries.expired = done.entries,
                certificates.erased = done.erased,
                "expiry done"
            );
        }
        Ok(done)
    }

    /// The same in a session that is there, as the worker.
    pub async fn work(&self, db: &mut PgConnection) -> sqlx::Result<Done> {
        let mut done = Done::default();
        self.expire_all(db, &mut done).await?;
        self.erase_all(db, &mut done).await?;
        Ok(done)
    }

    async fn expire_all(&self, db: &mut PgConnection, done: &mut Done) -> sqlx::Result<()> {
        let mut after = None;
        loop {
            let now = Timestamp::now();
            let page = erasure::tenants_due(&mut *db, now, self.days_min, after).await?;
            for tenant_id in page.due {
                self.expire_one(db, tenant_id, done).await?;
            }
            let Some(last) = page.last else { return Ok(()) };
            after = Some(last);
        }
    }

    async fn expire_one(
        &self,
        db: &mut PgConnection,
        tenant_id: TenantId,
        done: &mut Done,
    ) -> sqlx::Result<()> {
        match expiry::expire(&mut *db, tenant_id, Timestamp::now(), self.days_min).await {
            Ok(Some(certificate)) => {
                done.expired += 1;
                done.entries += certificate.entries;
                Ok(())
            }
            // Held since we looked, or done by somebody else: the next round looks again.
            Ok(None) | Err(ExpireError::Held | ExpireError::Raced | ExpireError::Mismatch) => {
                Ok(())
            }
            Err(ExpireError::Failed(error)) => pass_by(tenant_id, error),
        }
    }

    async fn erase_all(&self, db: &mut PgConnection, done: &mut Done) -> sqlx::Result<()> {
        let spans = partitions::spans(&mut *db, self.profile).await?;
        let mut after = Uuid::nil();
        loop {
            let page = erasure::unerased(&mut *db, &spans, after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for unerased in &page {
                if let Err(error) = erase_one(db, unerased, done).await {
                    pass_by(unerased.tenant_id(), error)?;
                }
            }
        }
    }
}

/// Deletes what is due of one certificate's rows, and records it when none is left.
async fn erase_one(
    db: &mut PgConnection,
    unerased: &Unerased,
    done: &mut Done,
) -> sqlx::Result<()> {
    let tenant_id = unerased.tenant_id();
    if unerased.has_room {
        if !unerased.is_due {
            return Ok(());
        }
        loop {
            if done.erasures >= ERASURES_MAX {
                done.more = true;
                return Ok(());
            }
            done.erasures += 1;
            let rows = erasure::erase(&mut *db, tenant_id, unerased.id).await?;
            if rows < erasure::ROWS_MAX {
                break;
            }
        }
    }
    let now = Timestamp::now();
    let is_gone = erasure::record_erased(&mut *db, tenant_id, now, unerased.id).await?;
    done.erased += u32::from(is_gone);
    Ok(())
}

/// One log that cannot be worked on does not keep the others waiting; a broken connection does,
/// or a clock that is off.
fn pass_by(tenant_id: TenantId, error: sqlx::Error) -> sqlx::Result<()> {
    let Some(answer) = error.as_database_error() else { return Err(error) };
    let code = answer.code().unwrap_or_default();
    if code == CLOCKS_APART {
        return Err(error);
    }
    warn!(tenant.id = %tenant_id, db.code = %code, "a log is passed by until the next round");
    Ok(())
}
