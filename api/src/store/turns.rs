//! Whose turn it is to read: no tenant takes every connection, and no more wait than can be
//! served soon.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::TenantId;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// One connection in so many is kept from each single tenant.
const KEPT_PART: usize = 4;

/// Reads of one tenant for each connection, those that wait and all.
const TENANT_READS_EACH: usize = 64;

/// The same of all tenants.
const READS_EACH: usize = 128;

/// How long a read waits for others of its tenant.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// Too many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more wait for a connection than can be served soon")]
pub struct Crowded;

impl From<Crowded> for sqlx::Error {
    /// As an error of a query, for that is what fails; [`is_crowded`] knows it again.
    fn from(crowded: Crowded) -> Self {
        Self::Io(io::Error::other(crowded))
    }
}

/// Whether nothing was asked, because too many wait.
pub fn is_crowded(error: &sqlx::Error) -> bool {
    let sqlx::Error::Io(error) = error else { return false };
    error.get_ref().and_then(|inner| inner.downcast_ref::<Crowded>()).is_some()
}

/// See the module.
#[derive(Debug)]
pub struct Turns {
    connections: usize,
    reads: Arc<Mutex<Reads>>,
}

#[derive(Debug, Default)]
struct Reads {
    all: usize,
    by_tenant: HashMap<TenantId, OfTenant>,
}

#[derive(Debug)]
struct OfTenant {
    turns: Arc<Semaphore>,
    reads: usize,
}

impl Turns {
    /// For so many connections.
    pub fn new(connections: u32) -> Self {
        Self { connections: connections as usize, reads: Arc::default() }
    }

    /// Waits for a turn, unless too many wait already.
    pub async fn take(&self, tenant_id: TenantId) -> Result<Turn, Crowded> {
        let (turns, place) = self.line_up(tenant_id)?;
        let turn = timeout(TURN_TIMEOUT, turns.acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(Crowded)?;
        Ok(Turn { _turn: turn, _place: place })
    }

    fn line_up(&self, tenant_id: TenantId) -> Result<(Arc<Semaphore>, Place), Crowded> {
        let mut reads = lock(&self.reads);
        if reads.all >= READS_EACH * self.connections {
            return Err(Crowded);
        }
        let own = reads.by_tenant.entry(tenant_id).or_insert_with(|| OfTenant {
            turns: Arc::new(Semaphore::new(self.connections - self.connections / KEPT_PART)),
            reads: 0,
        });
        if own.reads >= TENANT_READS_EACH * self.connections {
            return Err(Crowded);
        }
        own.reads += 1;
        let turns = Arc::clone(&own.turns);
        reads.all += 1;
        Ok((turns, Place { reads: Arc::clone(&self.reads), tenant_id }))
    }
}

fn lock(reads: &Mutex<Reads>) -> MutexGuard<'_, Reads> {
    reads.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A turn to read, given back when dropped.
#[derive(Debug)]
pub struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: Place,
}

/// A place among those that read or wait.
#[derive(Debug)]
struct Place {
    reads: Arc<Mutex<Reads>>,
    tenant_id: TenantId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut reads = lock(&self.reads);
        reads.all -= 1;
        if let Some(own) = reads.by_tenant.get_mut(&self.tenant_id) {
            own.reads -= 1;
            if own.reads == 0 {
                reads.by_tenant.remove(&self.tenant_id);
            }
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

    /// A turn, if it is to be had at once.
    fn at_once(turns: &Turns, n: u128) -> Option<Turn> {
        turns.take(tenant(n)).now_or_never()?.ok()
    }

    #[tokio::test]
    async fn one_tenant_leaves_a_connection_for_others() {
        let turns = Turns::new(8);
        let mut held: Vec<_> = (0..8).filter_map(|_| at_once(&turns, 1)).collect();
        assert_eq!(held.len(), 6);
        assert!(at_once(&turns, 2).is_some());
        held.pop();
        assert!(at_once(&turns, 1).is_some());
        drop(held);
        assert!(lock(&turns.reads).by_tenant.is_empty());
        assert!(at_once(&Turns::new(1), 1).is_some(), "a single connection is everybody's");
    }

    #[tokio::test]
    async fn who_waits_too_long_or_behind_too_many_is_told() {
        let turns = Turns::new(1);
        let held = at_once(&turns, 1);
        let mut waiting: Vec<_> =
            (1..TENANT_READS_EACH).map(|_| Box::pin(turns.take(tenant(1)))).collect();
        for waits in &mut waiting {
            assert!(waits.now_or_never().is_none());
        }
        assert_eq!(turns.take(tenant(1)).now_or_never().and_then(Result::err), Some(Crowded));
        assert!(at_once(&turns, 2).is_some(), "another tenant's turn is its own");
        let last = waiting.pop().expect("some wait");
        assert_eq!(last.await.err(), Some(Crowded));
        drop((held, waiting));
        assert!(at_once(&turns, 1).is_some());
    }
}
