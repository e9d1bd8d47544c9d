//! A part of a log sent once more, for whoever has found that the index lacks it.

use std::sync::Arc;

use domain::{LogOwner, TenantId};
use thiserror::Error;

use super::pass::{Chunk, ENTRY_BYTES_GUESS, Pass};
use crate::queue::EntryQueue;
use crate::store::Store;
use crate::store::relay as cursors;

/// Entries that are read with one statement.
const WINDOW_ENTRIES_MAX: usize = 5_000;

/// What a window holds at most; see [`Chunk`].
const WINDOW_BYTES_MAX: usize = 4 << 20;

/// Why a part of a log was not sent, or not all of it.
#[derive(Debug, Error)]
pub enum ResendError {
    /// The queue did not take it.
    #[error("the queue did not take entries: {0}")]
    Queue(String),
    /// The log could not be read.
    #[error("the log could not be read")]
    Database(#[from] sqlx::Error),
}

/// Sends the entries of a log from one number to another again, both inclusive, those that have
/// expired aside. No cursor moves. Returns how many were sent.
pub async fn resend<Q: EntryQueue>(
    store: &Store,
    queue: &Arc<Q>,
    send_bytes_max: usize,
    tenant_id: TenantId,
    (first_seq, last_seq): (i64, i64),
) -> Result<i64, ResendError> {
    let owner = LogOwner::of(tenant_id);
    let (mut next_seq, mut sent, mut entry_bytes) = (first_seq, 0, ENTRY_BYTES_GUESS);
    while next_seq <= last_seq {
        let mut chunk = Chunk::default();
        let entries_max = WINDOW_ENTRIES_MAX.min(WINDOW_BYTES_MAX / entry_bytes).max(1);
        let entries_max = i64::try_from(entries_max).unwrap_or(i64::MAX);
        let take = |entry: &domain::StoredEntry<'_>| chunk.take(entry, &owner);
        cursors::read_range(store, tenant_id, (next_seq, last_seq), entries_max, take).await?;
        // What is not there has expired, or was never written.
        let Some(last) = chunk.last_seq() else { break };
        entry_bytes = chunk.entry_bytes().unwrap_or(entry_bytes);
        let mut pass = Pass::new(store, Arc::clone(queue), send_bytes_max);
        pass.send(tenant_id, &chunk, false).await;
        let done = pass.finish(&[]).await;
        if let Some(trouble) = done.trouble {
            return Err(ResendError::Queue(trouble));
        }
        sent += chunk.len();
        next_seq = last + 1;
    }
    Ok(sent)
}
