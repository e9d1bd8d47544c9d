//! How the writer tells the relay which logs have grown, without ever waiting for it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::TenantId;
use tokio::sync::Notify;
use traces::TraceContext;

/// Logs that are remembered; those beyond are found by looking.
pub(super) const TENANTS_MAX: usize = 10_000;

/// Logs whose spans are remembered until their entries are sent.
const TRACED_MAX: usize = 1_000;

/// See the module. Cheap to clone; by default nobody listens, and ringing does nothing.
#[derive(Debug, Clone, Default)]
pub struct Bell(Option<Arc<Rung>>);

#[derive(Debug, Default)]
struct Rung {
    tenants: Mutex<HashSet<TenantId>>,
    /// The span that each was written in last.
    traces: Mutex<HashMap<TenantId, TraceContext>>,
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

    /// These logs are rung for next, and were written in this span.
    pub fn trace(&self, tenants: impl Iterator<Item = TenantId>, span: Option<TraceContext>) {
        let (Some(rung), Some(span)) = (&self.0, span) else { return };
        let mut traces = rung.traces();
        for tenant_id in tenants {
            if traces.len() >= TRACED_MAX {
                // Those of logs that other replicas have sent meanwhile.
                traces.clear();
            }
            traces.insert(tenant_id, span.clone());
        }
    }

    /// The spans of these logs, once.
    pub(super) fn take_traces(
        &self,
        tenants: impl Iterator<Item = TenantId>,
    ) -> Vec<(TenantId, TraceContext)> {
        let Some(rung) = &self.0 else { return Vec::new() };
        let mut traces = rung.traces();
        tenants.filter_map(|tenant_id| traces.remove_entry(&tenant_id)).collect()
    }

    /// Takes spans back whose entries were not sent, unless there are newer ones.
    pub(super) fn give_back(&self, taken: impl Iterator<Item = (TenantId, TraceContext)>) {
        let Some(rung) = &self.0 else { return };
        let mut traces = rung.traces();
        for (tenant_id, trace) in taken {
            if traces.len() < TRACED_MAX {
                traces.entry(tenant_id).or_insert(trace);
            }
        }
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
    fn traces(&self) -> MutexGuard<'_, HashMap<TenantId, TraceContext>> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
    fn the_last_span_of_a_log_is_given_once_and_there_are_not_too_many() {
        let bell = Bell::heard();
        let span = |n: u8| {
            let text = format!("00-{:032x}-{:016x}-01", 1, u64::from(n));
            TraceContext::parse(&text)
        };
        bell.trace(tenants(2), span(1));
        bell.trace(tenants(1), span(2));
        bell.trace(tenants(2), None);
        let spans = |taken: &[(TenantId, TraceContext)]| -> Vec<_> {
            taken.iter().map(|(_, span)| Some(span.clone())).collect()
        };
        let taken = bell.take_traces(tenants(3));
        assert_eq!(spans(&taken), [span(2), span(1)]);
        assert_eq!(bell.take_traces(tenants(3)), []);
        bell.trace(tenants(1), span(4));
        bell.give_back(taken.into_iter());
        assert_eq!(spans(&bell.take_traces(tenants(3))), [span(4), span(1)]);
        bell.trace(tenants(TRACED_MAX as u128 * 3), span(3));
        let left = bell.0.as_ref().map(|rung| rung.traces().len());
        assert!(left.is_some_and(|left| left <= TRACED_MAX), "{left:?}");
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
