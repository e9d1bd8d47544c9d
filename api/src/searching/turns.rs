//! Long looks at the log, one after the other.
//!
//! While the index is behind or away, each search would read as much of the log as it may; a few a
//! second take all processors then, from those who write and from the index itself, which falls
//! behind further. So such looks take turns, and a turn rests as long as it was used. Who gets none
//! looks at less: a shorter page, with a cursor.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use domain::{ProblemCode, TenantId};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::Refusal;
use crate::error::ApiError;
use crate::store::turns;

/// Processors for each turn: with its rests, a look takes half of one.
const PROCESSORS: usize = 2;

/// How long a search waits for a turn before it makes do with less.
const PAGE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long one waits that cannot.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a long look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Totals beside a page that is full, where the index counts, too: not worth waiting for.
    Totals,
    /// A page that may be shorter, or totals that nobody else counts.
    Page,
    /// A window that is ranked on several pages.
    Whole,
}

impl Need {
    fn wait(self) -> Duration {
        match self {
            Self::Totals => Duration::ZERO,
            Self::Page => PAGE_TIMEOUT,
            Self::Whole => WHOLE_TIMEOUT,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    /// Among those of its tenant first: who waits for them holds up nobody else.
    own: turns::Turns,
    all: Arc<Semaphore>,
}

/// A turn; it is given back when it has rested.
#[derive(Debug)]
pub(super) struct Turn {
    permit: Option<Permit>,
    begun: Instant,
}

/// Among those of its tenant, and among all.
type Permit = (turns::Turn, OwnedSemaphorePermit);

impl Default for Turns {
    fn default() -> Self {
        Self::new(available_parallelism().map_or(1, NonZero::get) / PROCESSORS)
    }
}

impl Turns {
    fn new(turns: usize) -> Self {
        let turns = turns.max(1);
        let own = turns::Turns::new(u32::try_from(turns).unwrap_or(u32::MAX));
        Self { own, all: Arc::new(Semaphore::new(turns)) }
    }

    /// Waits for a turn, as long as it is worth it; `None` when none was to be had.
    pub(super) async fn take(
        &self,
        tenant_id: TenantId,
        need: Need,
    ) -> Result<Option<Turn>, Refusal> {
        let waiting = async {
            let own = self.own.take(tenant_id).await.ok()?;
            Some((own, Arc::clone(&self.all).acquire_owned().await.ok()?))
        };
        let permit = timeout(need.wait(), waiting).await.ok().flatten();
        if permit.is_none() && need == Need::Whole {
            let detail = "too many searches read the log at this moment: try again";
            let error = ApiError::new(ProblemCode::Overloaded, detail).retry_after(1);
            return Err(Refusal::Failed(error));
        }
        Ok(permit.map(|permit| Turn { permit: Some(permit), begun: Instant::now() }))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some((_own, permit)) = self.permit.take() else { return };
        let rest = self.begun.elapsed();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                sleep(rest).await;
                drop(permit);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId::new(Uuid::from_u128(n))
    }

    #[tokio::test]
    async fn who_gets_no_turn_makes_do_and_a_turn_rests_as_long_as_it_was_used() {
        let turns = Turns::new(1);
        let take = async |n, need| turns.take(tenant(n), need).await.expect("no refusal");
        let first = take(1, Need::Page).await;
        assert!(first.is_some());
        let begun = Instant::now();
        assert!(take(2, Need::Totals).await.is_none());
        assert!(begun.elapsed() < PAGE_TIMEOUT, "totals are not waited for");
        assert!(take(2, Need::Page).await.is_none());
        assert!(begun.elapsed() >= PAGE_TIMEOUT, "a page is");
        let dropped = Instant::now();
        drop(first);
        let rested = take(1, Need::Whole).await;
        assert!(rested.is_some() && dropped.elapsed() >= PAGE_TIMEOUT, "it was used for that long");
        let refused = turns.take(tenant(1), Need::Whole).await;
        assert!(matches!(refused, Err(Refusal::Failed(_))), "what must be whole is not cut");
    }

    #[tokio::test]
    async fn one_tenants_long_looks_leave_a_turn_for_others() {
        let turns = Turns::new(4);
        let look = |n| turns.take(tenant(n), Need::Page).now_or_never();
        let held: Vec<_> = (0..9).filter_map(|_| look(1)).collect();
        assert_eq!(held.len(), 3, "of four turns");
        assert!(look(2).is_some());
    }
}
