//! Admission by weight: how much memory requests may take, decided before their body is read.
//!
//! A body weighs six times its size: as it came, parsed, bound, sent, and what buffers and the allocator keep. The sum over all
//! requests has a limit, and a tenant may take a quarter of it, so that memory is bounded by
//! construction and one tenant leaves room for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::TenantId;
use thiserror::Error;

/// What a byte of a body weighs.
const BYTE_WEIGHT: u64 = 6;

/// What a request weighs beside its body.
const REQUEST_WEIGHT: u64 = 4 << 10;

/// Part of the whole that one tenant may take.
const TENANT_PART: u64 = 4;

/// No room now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Overloaded {
    /// All requests together are too heavy.
    #[error("the service has as much work as it can hold")]
    Service,
    /// This tenant's requests are.
    #[error("this tenant has as much work under way as it may have")]
    Tenant,
}

/// The weight of everything under way.
#[derive(Debug)]
pub struct Admission {
    weight_max: u64,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    by_tenant: HashMap<TenantId, u64>,
}

/// A request's part of the weight, given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    tenant_id: TenantId,
    weight: u64,
}

impl Admission {
    /// Room for so many bytes in all.
    pub fn new(weight_max: u64) -> Self {
        Self { weight_max, taken: Mutex::default() }
    }

    /// Takes the weight of a body of at most so many bytes, or says who is too heavy.
    ///
    /// A tenant with nothing under way may take more than its part, or a small limit would
    /// refuse a large body for ever.
    pub fn admit(
        self: &Arc<Self>,
        tenant_id: TenantId,
        body_bytes: u64,
    ) -> Result<Permit, Overloaded> {
        let weight = weigh(body_bytes);
        let mut taken = self.lock();
        let own = taken.by_tenant.get(&tenant_id).copied().unwrap_or_default();
        if own > 0 && own + weight > self.weight_max / TENANT_PART {
            return Err(Overloaded::Tenant);
        }
        if taken.all + weight > self.weight_max {
            return Err(Overloaded::Service);
        }
        taken.all += weight;
        taken.by_tenant.insert(tenant_id, own + weight);
        drop(taken);
        Ok(Permit { admission: Arc::clone(self), tenant_id, weight })
    }

    /// Takes the weight of an entry of the service itself, which is small and cannot be refused:
    /// there is one for something that was let in before.
    pub fn admit_own(self: &Arc<Self>, tenant_id: TenantId) -> Permit {
        let mut taken = self.lock();
        taken.all += REQUEST_WEIGHT;
        *taken.by_tenant.entry(tenant_id).or_default() += REQUEST_WEIGHT;
        drop(taken);
        Permit { admission: Arc::clone(self), tenant_id, weight: REQUEST_WEIGHT }
    }

    /// What is taken of the whole, and the whole.
    pub fn weights(&self) -> (u64, u64) {
        (self.lock().all, self.weight_max)
    }

    fn give_back(&self, tenant_id: TenantId, weight: u64) {
        let mut taken = self.lock();
        taken.all -= weight;
        if let Some(own) = taken.by_tenant.get_mut(&tenant_id) {
            *own -= weight;
            if *own == 0 {
                taken.by_tenant.remove(&tenant_id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weigh(body_bytes: u64) -> u64 {
    REQUEST_WEIGHT + BYTE_WEIGHT * body_bytes
}

impl Permit {
    /// Brings the weight down to what the body turned out to have.
    pub fn shrink_to(&mut self, body_bytes: u64) {
        let weight = weigh(body_bytes).min(self.weight);
        self.admission.give_back(self.tenant_id, self.weight - weight);
        self.weight = weight;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.give_back(self.tenant_id, self.weight);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn tenant(n: u128) -> TenantId {
        TenantId::new(Uuid::from_u128(n))
    }

    #[test]
    fn one_tenant_takes_a_quarter_and_leaves_the_rest() {
        let admission = Arc::new(Admission::new(64 * MIB));
        let first = admission.admit(tenant(1), 2 * MIB).expect("room");
        assert_eq!(admission.admit(tenant(1), 3 * MIB).err(), Some(Overloaded::Tenant));
        let _other = admission.admit(tenant(2), 3 * MIB).expect("room for another");
        drop(first);
        admission.admit(tenant(1), 3 * MIB).expect("room again");
    }

    #[test]
    fn all_together_have_a_limit() {
        let admission = Arc::new(Admission::new(64 * MIB));
        let held: Vec<_> =
            (0..3).map(|n| admission.admit(tenant(n), 3 * MIB).expect("room")).collect();
        assert_eq!(admission.admit(tenant(9), 3 * MIB).err(), Some(Overloaded::Service));
        drop(held);
        assert_eq!(admission.lock().all, 0);
        assert!(admission.lock().by_tenant.is_empty());
    }

    #[test]
    fn a_large_body_is_admitted_when_its_tenant_has_nothing_else() {
        let admission = Arc::new(Admission::new(64 * MIB));
        admission.admit(tenant(1), 10 * MIB).expect("room");
    }

    #[test]
    fn shrinking_gives_back_at_once_and_never_takes_more() {
        let admission = Arc::new(Admission::new(64 * MIB));
        let mut permit = admission.admit(tenant(1), 10 * MIB).expect("room");
        permit.shrink_to(100);
        assert_eq!(admission.lock().all, weigh(100));
        permit.shrink_to(10 * MIB);
        assert_eq!(admission.lock().all, weigh(100));
    }
}
