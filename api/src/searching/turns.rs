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

use super::{Refusal, TAIL_SHORT};
use crate::error::ApiError;
use crate::store::matches::{LOOKED_AT_MAX, Reach, TIME_MAX};
use crate::store::turns;

/// Processors for each turn: with its rests, a look takes half of one.
const PROCESSORS: usize = 2;

/// How long a search waits for a turn before it makes do with less.
const TURN_TIMEOUT: Duration = Duration::from_millis(500);

/// How long one waits that cannot.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    /// Among those of its tenant first: who waits for them holds up nobody else.
    own: turns::Turns,
    all: Arc<Semaphore>,
}

/// A turn, if one is needed and was to be had.
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

    /// Waits for a turn to look at so many entries; how far the look may go.
    pub(super) async fn take(
        &self,
        tenant_id: TenantId,
        entries: i64,
        is_whole: bool,
    ) -> Result<(Turn, Reach), Refusal> {
        if entries <= TAIL_SHORT {
            return Ok((Turn::new(None), reach(LOOKED_AT_MAX, is_whole)));
        }
        let wait = if is_whole { WHOLE_TIMEOUT } else { TURN_TIMEOUT };
        let waiting = async {
            let own = self.own.take(tenant_id).await.ok()?;
            Some((own, Arc::clone(&self.all).acquire_owned().await.ok()?))
        };
        let permit = timeout(wait, waiting).await.ok().flatten();
        if permit.is_none() && is_whole {
            let detail = "too many searches read the log at this moment: try again";
            let error = ApiError::new(ProblemCode::Overloaded, detail).retry_after(1);
            return Err(Refusal::Failed(error));
        }
        let reach = reach(if permit.is_some() { LOOKED_AT_MAX } else { TAIL_SHORT }, is_whole);
        Ok((Turn::new(permit), reach))
    }
}

fn reach(entries: i64, is_whole: bool) -> Reach {
    Reach { entries, lasts: (!is_whole).then_some(TIME_MAX) }
}

impl Turn {
    fn new(permit: Option<Permit>) -> Self {
        Self { permit, begun: Instant::now() }
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

    const LONG: i64 = TAIL_SHORT + 1;

    fn tenant(n: u128) -> TenantId {
        TenantId::new(Uuid::from_u128(n))
    }

    fn entries((_, reach): &(Turn, Reach)) -> i64 {
        reach.entries
    }

    #[tokio::test]
    async fn who_gets_no_turn_looks_at_less_and_a_turn_rests_as_long_as_it_was_used() {
        let turns = Turns::new(1);
        let first = turns.take(tenant(1), LONG, false).await.expect("a turn");
        assert_eq!(entries(&first), LOOKED_AT_MAX);
        let begun = Instant::now();
        let second = turns.take(tenant(2), LONG, false).await.expect("less");
        assert_eq!(entries(&second), TAIL_SHORT);
        assert!(begun.elapsed() >= TURN_TIMEOUT, "it has waited");
        let third = turns.take(tenant(1), TAIL_SHORT, false).await.expect("it needs no turn");
        assert_eq!(entries(&third), LOOKED_AT_MAX);
        assert_eq!(first.1.lasts, Some(TIME_MAX));
        let dropped = Instant::now();
        drop((first, second, third));
        let rested = turns.take(tenant(1), LONG, true).await.expect("a turn after a rest");
        assert!(dropped.elapsed() >= TURN_TIMEOUT, "the first was used for that long");
        assert_eq!(rested.1, Reach { entries: LOOKED_AT_MAX, lasts: None });
        let refused = turns.take(tenant(1), LONG, true).await;
        assert!(matches!(refused, Err(Refusal::Failed(_))), "what must be whole is not cut");
    }

    #[tokio::test]
    async fn one_tenants_long_looks_leave_a_turn_for_others() {
        let turns = Turns::new(4);
        let look = |n| turns.take(tenant(n), LONG, false).now_or_never();
        let held: Vec<_> = (0..9).filter_map(|_| look(1)).collect();
        assert_eq!(held.len(), 3, "of four turns");
        assert!(look(2).is_some());
    }
}
