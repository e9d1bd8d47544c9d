//! The closer look: ids compared one by one, a part of all logs after the other.
//!
//! Counts cannot see one document too few where there is one too many. This can, and takes its
//! time.

use domain::TenantId;
use sqlx::PgConnection;
use tokio::time::Instant;

use super::RepairError;
use super::mender::{Mended, Mender, Resend, compare};
use super::watch::Watch;
use crate::store::indexing::{self, LOGS_MAX};

/// Numbers that one look compares.
pub const NUMBERS_MAX: i64 = 200_000;

/// Numbers that are compared at once.
const WINDOW: i64 = 4_000;

/// Where the next look goes on: behind this log, or within the one that follows it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Closer {
    after: Option<TenantId>,
    next_seq: i64,
}

impl Closer {
    /// Compares the next part of all logs, once around at most, and has mended what differs.
    pub async fn look<R: Resend>(
        &mut self,
        db: &mut PgConnection,
        mender: &Mender<R>,
        watch: &mut Watch,
    ) -> Result<Mended, RepairError> {
        let (mut all, mut left, mut wrapped) = (Mended::default(), NUMBERS_MAX, false);
        let begun_after = self.after;
        loop {
            let logs = indexing::logs(&mut *db, self.after).await?;
            for log in &logs {
                let settled = watch.settled_seq(log.tenant_id).unwrap_or_default();
                let mut next = self.next_seq.max(log.floor_seq);
                while next <= settled {
                    if left <= 0 {
                        self.next_seq = next;
                        return Ok(all);
                    }
                    let window = (next, settled.min(next + WINDOW - 1));
                    let (done, end) = look_at(mender, watch, log.tenant_id, window).await?;
                    all.entries += done.entries;
                    all.deleted += done.deleted;
                    left -= end - next + 1;
                    next = end + 1;
                }
                *self = Self { after: Some(log.tenant_id), next_seq: 0 };
                if wrapped && self.after >= begun_after {
                    return Ok(all);
                }
            }
            if i64::try_from(logs.len()).unwrap_or(LOGS_MAX) < LOGS_MAX {
                *self = Self::default();
                if wrapped || begun_after.is_none() {
                    return Ok(all);
                }
                wrapped = true;
            }
        }
    }
}

/// Compares a window and has it mended. Returns up to which number.
async fn look_at<R: Resend>(
    mender: &Mender<R>,
    watch: &mut Watch,
    tenant_id: TenantId,
    window: (i64, i64),
) -> Result<(Mended, i64), RepairError> {
    let compared = compare(&mender.store, &mender.index, tenant_id, window).await;
    let compared = match compared {
        Ok(compared) => compared,
        // One log's trouble is its own; that part has its turn the next time around.
        Err(RepairError::Moved | RepairError::Store(sqlx::Error::Database(_))) => {
            return Ok((Mended::default(), window.1));
        }
        Err(error) => return Err(error),
    };
    let end = compared.range.1.max(window.0);
    if compared.difference.is_empty() {
        return Ok((Mended::default(), end));
    }
    if let Some(lowest) = compared.difference.lowest() {
        watch.broken(tenant_id, window.0, lowest);
    }
    watch.mended(tenant_id, window.0, Instant::now());
    Ok((mender.mend_difference(tenant_id, &compared.difference).await?, end))
}
