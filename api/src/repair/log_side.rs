//! What the log has of a range: its places, without a gap, or it is not to be trusted.

use std::ops::ControlFlow;

use domain::{Place, StoredEntry, TenantId};
use sqlx::PgConnection;

use super::RepairError;
use super::bisect::{Range, len};
use crate::store::indexing::{self, PLACES_MAX};
use crate::store::walk::Walk;
use crate::store::{Store, bounds};

/// Tries to read a range under which entries expire.
const TRIES_MAX: u32 = 3;

/// Entries that one statement reads to be indexed.
const ENTRIES_MAX: i64 = 2_000;

/// Places of a range that have not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The part of the range from the floor up.
    pub range: Range,
    /// What the log has of it, all that is there up to its head.
    pub places: Vec<Place>,
}

/// Reads all places of a range, which may end beyond the head.
///
/// Somebody deletes documents by what this says. So it gives all that there is, or fails.
pub async fn places(
    store: &Store,
    tenant_id: TenantId,
    range: Range,
) -> Result<Looked, RepairError> {
    for _ in 0..TRIES_MAX {
        let bounds = store.read(tenant_id, async |db| bounds::get(db, tenant_id).await).await?;
        let range = (range.0.max(bounds.floor_seq), range.1);
        let wanted = (range.0, range.1.min(bounds.head_seq()));
        let places = read_places(store, tenant_id, wanted).await?;
        if i64::try_from(places.len()) == Ok(len(wanted)) {
            return Ok(Looked { range, places });
        }
    }
    Err(RepairError::Moved)
}

async fn read_places(
    store: &Store,
    tenant_id: TenantId,
    wanted: Range,
) -> Result<Vec<Place>, RepairError> {
    let mut places: Vec<Place> = Vec::new();
    let mut next = wanted.0;
    while next <= wanted.1 {
        let known = places.last().copied();
        let read =
            async |db: &mut _| indexing::places(db, tenant_id, (next, wanted.1), known).await;
        let read = store.read(tenant_id, read).await?;
        let Some(last) = read.last() else { break };
        next = last.seq.get() + 1;
        places.extend(read);
        debug_assert!(i64::try_from(places.len()).unwrap_or(0) <= len(wanted) + PLACES_MAX);
    }
    Ok(places)
}

/// A reader of all entries of a range that have not expired, a few at a time.
#[derive(Debug)]
pub struct Entries<'s> {
    store: &'s Store,
    tenant_id: TenantId,
    range: Range,
    walk: Option<Walk<'static>>,
    stuck: u32,
}

impl<'s> Entries<'s> {
    /// Reads nothing yet.
    pub fn new(store: &'s Store, tenant_id: TenantId, range: Range) -> Self {
        Self { store, tenant_id, range, walk: None, stuck: 0 }
    }

    /// Gives the next entries to `take`, until it has enough; at least one it must take. False
    /// when there are none left.
    pub async fn next(
        &mut self,
        mut take: impl FnMut(&StoredEntry<'_>) -> ControlFlow<()>,
    ) -> Result<bool, RepairError> {
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => match begin(self.store, self.tenant_id, self.range).await? {
                Some(walk) => walk,
                None => return Ok(false),
            },
        };
        if walk.is_done() {
            return Ok(false);
        }
        let step = async |db: &mut _| walk.step_by_copy(db, ENTRIES_MAX, &mut take).await;
        self.store.read(self.tenant_id, step).await?;
        if walk.next_seq() == self.range.0 {
            // The floor has passed by underneath: once more, from there.
            self.stuck += 1;
            return if self.stuck < TRIES_MAX { Ok(true) } else { Err(RepairError::Moved) };
        }
        (self.range.0, self.stuck) = (walk.next_seq(), 0);
        self.walk = Some(walk);
        Ok(true)
    }
}

/// A walk from the first entry of a range that has not expired.
async fn begin(
    store: &Store,
    tenant_id: TenantId,
    range: Range,
) -> Result<Option<Walk<'static>>, RepairError> {
    for _ in 0..TRIES_MAX {
        let begun = async |db: &mut PgConnection| {
            let bounds = bounds::get(&mut *db, tenant_id).await?;
            let range = (range.0.max(bounds.floor_seq), range.1.min(bounds.head_seq()));
            if range.0 > range.1 {
                return Ok(Some(None));
            }
            Ok(indexing::walk(db, tenant_id, range).await?.map(Some))
        };
        if let Some(walk) = store.read(tenant_id, begun).await? {
            return Ok(walk);
        }
    }
    Err(RepairError::Moved)
}
