//! How the writer tells the relay which logs have grown, without ever waiting for it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::TenantId;
use tokio::sync::Notify;

/// Logs that are remembered; those beyond are found by looking.
pub(super) const TENANTS_MAX: usize = 10_000;

/// See the module. Cheap to clone; by default nobody listens, and ringing does nothing.
#[derive(Debug, Clone, Default)]
pub struct Bell(Option<Arc<Rung>>);

#[derive(Debug, Default)]
struct Rung {
    tenants: Mutex<HashSet<TenantId>>,
    rings: Notify,
}

impl Bell {
    /// A bell that somebody listens to.
    pub fn heard() -> Self {
        Self(Some(Arc::default()))
    }

    /// These logs have grown.
    pub fn ring(&self, tenants: impl Iterator<Item = TenantId>) {
        let Some(rung) = &self.0 else { return };
        let mut remembered = rung.tenants();
        for tenant_id in tenants {
            if remembered.len() >= TENANTS_MAX {
                break;
            }
            remembered.insert(tenant_id);
        }
        drop(remembered);
        rung.rings.notify_one();
    }

    /// The logs since the last time.
    pub(super) fn take(&self) -> HashSet<TenantId> {
        self.0.as_ref().map(|rung| std::mem::take(&mut *rung.tenants())).unwrap_or_default()
    }

    /// Whether there are any.
    pub(super) fn has_rung(&self) -> bool {
        self.0.as_ref().is_some_and(|rung| !rung.tenants().is_empty())
    }

    /// Done when it rings, or has since the last time.
    pub(super) async fn rings(&self) {
        match &self.0 {
            Some(rung) => rung.rings.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl Rung {
    fn tenants(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        // Nothing panics while it is held, and a set is whole at any time.
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn tenants(n: u128) -> impl Iterator<Item = TenantId> {
        (0..n).map(|n| TenantId::new(Uuid::from_u128(n)))
    }

    #[tokio::test]
    async fn a_ring_before_anybody_listens_is_heard() {
        let bell = Bell::heard();
        bell.clone().ring(tenants(3));
        bell.rings().await;
        assert!(bell.has_rung());
        assert_eq!(bell.take(), tenants(3).collect());
        assert!(!bell.has_rung());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let bell = Bell::heard();
        bell.ring(tenants(TENANTS_MAX as u128 + 5));
        assert_eq!(bell.take().len(), TENANTS_MAX);
        let unheard = Bell::default();
        unheard.ring(tenants(1));
        assert!(!unheard.has_rung());
    }
}
