//! How many exports run at a time, in all and of one tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{ProblemCode, TenantId};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::ApiError;

/// Exports of one tenant.
const TENANT_MAX: usize = 4;

/// Exports in all.
const ALL_MAX: usize = 16;

/// Exports that read from the database at the same moment, so that others find a connection.
const READING_MAX: usize = 2;

/// Seconds after which it may be worth trying again.
const RETRY_AFTER_S: u32 = 10;

/// The exports of this replica.
#[derive(Debug)]
pub struct Exports {
    running: Arc<Mutex<HashMap<TenantId, usize>>>,
    reading: Semaphore,
}

impl Default for Exports {
    fn default() -> Self {
        Self { running: Arc::default(), reading: Semaphore::new(READING_MAX) }
    }
}

impl Exports {
    /// Lets one more in, unless there are too many.
    pub fn admit(&self, tenant_id: TenantId) -> Result<Slot, ApiError> {
        let mut running = lock(&self.running);
        let own = running.get(&tenant_id).copied().unwrap_or_default();
        let full = running.values().sum::<usize>() >= ALL_MAX;
        if own >= TENANT_MAX || full {
            let detail = if full {
                "this replica runs as many exports as it may: try again when one has ended"
            } else {
                "this tenant has as many exports under way as it may: try again when one has ended"
            };
            return Err(ApiError::new(ProblemCode::RateLimited, detail).retry_after(RETRY_AFTER_S));
        }
        running.insert(tenant_id, own + 1);
        Ok(Slot { running: Arc::clone(&self.running), tenant_id })
    }

    /// How many run.
    pub fn running(&self) -> usize {
        lock(&self.running).values().sum()
    }

    /// Waits for a turn to read; `None` once the service stops.
    pub async fn reading(&self) -> Option<SemaphorePermit<'_>> {
        self.reading.acquire().await.ok()
    }
}

fn lock(running: &Mutex<HashMap<TenantId, usize>>) -> MutexGuard<'_, HashMap<TenantId, usize>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One export's place among those that run, given back when dropped.
#[derive(Debug)]
pub struct Slot {
    running: Arc<Mutex<HashMap<TenantId, usize>>>,
    tenant_id: TenantId,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        if let Some(own) = running.get_mut(&self.tenant_id) {
            *own -= 1;
            if *own == 0 {
                running.remove(&self.tenant_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn one_tenant_leaves_room_for_others_and_gives_its_own_back() {
        let exports = Exports::default();
        let tenants: Vec<_> = (0..5).map(|n| TenantId::new(Uuid::from_u128(n))).collect();
        let (exports, tenants) = (&exports, &tenants);
        let admit = |n: usize| (0..TENANT_MAX).filter_map(move |_| exports.admit(tenants[n]).ok());
        let mut slots: Vec<_> = admit(0).collect();
        assert_eq!(slots.len(), TENANT_MAX);
        assert!(exports.admit(tenants[0]).is_err());
        slots.pop();
        slots.extend(exports.admit(tenants[0]));
        slots.extend((1..4).flat_map(admit));
        assert_eq!(slots.len(), ALL_MAX);
        assert!(exports.admit(tenants[4]).is_err(), "all together have a limit, too");
        drop(slots);
        assert!(exports.admit(tenants[4]).is_ok());
    }
}
