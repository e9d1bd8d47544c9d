//! The indices of the months: those that have expired go, and one that has lost an alias gets it
//! back.

use std::collections::BTreeMap;

use domain::Timestamp;
use search::{Index, IndexState, Month};
use sqlx::PgConnection;
use tracing::warn;

use super::RepairError;
use crate::store::indexing;

/// Deletes indices of months of which nothing is kept, and mends aliases. Returns how many it
/// deleted.
pub async fn keep_order(db: &mut PgConnection, index: &Index) -> Result<u64, RepairError> {
    let kept = indexing::kept_since(&mut *db).await?;
    let now = Month::of(Timestamp::now());
    let oldest = kept.map_or(now, |first| Month::of(first).min(now));
    let mut deleted = 0;
    let mut months: BTreeMap<Month, Vec<IndexState>> = BTreeMap::new();
    for state in index.indices().await? {
        if state.name.month() < oldest {
            index.delete_index(&state.name).await?;
            deleted += 1;
        } else {
            months.entry(state.name.month()).or_default().push(state);
        }
    }
    if months.values().any(|states| !is_in_order(states)) {
        mend(db, index, &months).await?;
    }
    Ok(deleted)
}

/// Whether one index is searched and written to.
fn is_in_order(states: &[IndexState]) -> bool {
    let read = states.iter().filter(|state| state.is_read).count();
    read == 1 && states.iter().any(|state| state.is_read && state.is_written)
}

async fn mend(
    db: &mut PgConnection,
    index: &Index,
    months: &BTreeMap<Month, Vec<IndexState>>,
) -> Result<(), RepairError> {
    // A rebuilding under way moves aliases, one after the other.
    if !indexing::take_reindex(&mut *db).await? {
        return Ok(());
    }
    let mut mended = Ok(());
    for (month, states) in months.iter().filter(|(_, states)| !is_in_order(states)) {
        if let Some(best) = best(states) {
            warn!(month = %month, "a month's aliases were not as they should be and are mended");
            mended = adopt(index, best).await;
        }
        if mended.is_err() {
            break;
        }
    }
    indexing::release_reindex(db).await?;
    mended
}

/// The index that is to be searched and written to: the one that is searched; of those, or of all,
/// the one that is written to, else the newest.
fn best(states: &[IndexState]) -> Option<&IndexState> {
    states.iter().max_by_key(|state| {
        let name = &state.name;
        (state.is_read, state.is_written, name.template(), name.generation())
    })
}

async fn adopt(index: &Index, state: &IndexState) -> Result<(), RepairError> {
    index.move_write(&state.name).await?;
    index.move_read(&state.name).await?;
    Ok(())
}
