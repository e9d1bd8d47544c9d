//! How many streams there are at a time, in all and of one tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{ProblemCode, TenantId};

use crate::error::ApiError;

/// Seconds after which it may be worth trying again.
const RETRY_AFTER_S: u32 = 10;

/// The streams of this replica.
#[derive(Debug)]
pub struct Slots {
    taken: Arc<Mutex<Taken>>,
    all_max: usize,
    tenant_max: usize,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_tenant: HashMap<TenantId, usize>,
}

impl Slots {
    pub(super) fn new(all_max: u32, tenant_max: u32) -> Self {
        Self { taken: Arc::default(), all_max: all_max as usize, tenant_max: tenant_max as usize }
    }

    /// Lets one more in, unless there are too many.
    pub fn admit(&self, tenant_id: TenantId) -> Result<Slot, ApiError> {
        let mut taken = lock(&self.taken);
        let own = taken.by_tenant.get(&tenant_id).copied().unwrap_or_default();
        let full = taken.all >= self.all_max;
        if full || own >= self.tenant_max {
            let detail = if full {
                "this replica has as many streams as it may: try again later, or on another"
            } else {
                "this tenant has as many streams as it may: try again when one has ended"
            };
            return Err(ApiError::new(ProblemCode::RateLimited, detail).retry_after(RETRY_AFTER_S));
        }
        taken.all += 1;
        taken.by_tenant.insert(tenant_id, own + 1);
        Ok(Slot { taken: Arc::clone(&self.taken), tenant_id })
    }

    /// How many there are, and how many there may be.
    pub fn taken(&self) -> (usize, usize) {
        (lock(&self.taken).all, self.all_max)
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One stream's place among those that there may be, given back when dropped.
#[derive(Debug)]
pub struct Slot {
    taken: Arc<Mutex<Taken>>,
    tenant_id: TenantId,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(own) = taken.by_tenant.get_mut(&self.tenant_id) {
            *own -= 1;
            if *own == 0 {
                taken.by_tenant.remove(&self.tenant_id);
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
        let slots = Slots::new(5, 3);
        let tenants: Vec<_> = (0..3).map(|n| TenantId::new(Uuid::from_u128(n))).collect();
        let mut held: Vec<_> = (0..9).filter_map(|_| slots.admit(tenants[0]).ok()).collect();
        assert_eq!(held.len(), 3);
        held.extend((0..9).filter_map(|_| slots.admit(tenants[1]).ok()));
        assert_eq!(held.len(), 5);
        assert!(slots.admit(tenants[2]).is_err(), "all together have a limit, too");
        held.remove(0);
        assert!(slots.admit(tenants[2]).is_ok());
        drop(held);
        assert_eq!(lock(&slots.taken).by_tenant.len(), 0);
    }
}
