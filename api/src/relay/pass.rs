//! One pass over leased logs: a share of each is read, packed and sent; then it is known how far
//! each log's cursor may move.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use domain::{LogOwner, Place, TenantId, write_queued};
use tokio::time::Instant;

use super::courier::{Courier, Fate, Journey};
use super::packing::{Packer, Piece};
use crate::queue::EntryQueue;
use crate::store::Store;
use crate::store::relay::{self as cursors, Lease, Move};

/// Entries that a pass takes of one log.
const LOG_ENTRIES_MAX: usize = 5_000;

/// Entries of a pass, over all its logs: others wait until it is done.
const ENTRIES_MAX: usize = 20_000;

/// Bytes that are taken of one log at a time.
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// Entries' bytes before anything is known; a small number of entries is read then.
pub(super) const ENTRY_BYTES_GUESS: usize = 16 << 10;

/// How long after its round began a pass still reads: the sends must end within the lease.
const READING_TIME: Duration = Duration::from_secs(4);

/// See the module.
#[derive(Debug)]
pub(super) struct Pass<'s, Q> {
    store: &'s Store,
    packer: Packer,
    courier: Courier<Q>,
    done: Done,
}

/// What a pass came to.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Cursors that may move.
    pub(super) moves: Vec<Move>,
    /// Logs of which not all that was read could be sent, or that could not be read.
    pub(super) troubled: HashSet<TenantId>,
    /// Those of them that the queue will never take as they are.
    pub(super) refused: HashSet<TenantId>,
    /// The last reason.
    pub(super) trouble: Option<String>,
    /// Whether the queue took nothing and a whole send has failed.
    pub(super) is_away: bool,
    /// Logs that there was no time for.
    pub(super) unserved: Vec<TenantId>,
    /// Entries that the queue has.
    pub(super) sent: u64,
}

impl Done {
    /// Whether a log has entries that a later pass may send.
    pub(super) fn has_left(&self, tenant_id: &TenantId) -> bool {
        let is_troubled = self.troubled.contains(tenant_id) && !self.refused.contains(tenant_id);
        is_troubled || self.unserved.contains(tenant_id)
    }
}

/// A log's entries as messages hold them, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    json: Vec<u8>,
    /// Each entry's place, and where its JSON ends.
    entries: Vec<(Place, usize)>,
}

impl<'s, Q: EntryQueue> Pass<'s, Q> {
    pub(super) fn new(store: &'s Store, queue: Arc<Q>, send_bytes_max: usize) -> Self {
        let packer = Packer::new(send_bytes_max);
        Self { store, packer, courier: Courier::new(queue), done: Done::default() }
    }

    /// Messages say which span they were sent in.
    pub(super) fn traced(self, traceparent: Option<String>) -> Self {
        Self { courier: self.courier.traced(traceparent), ..self }
    }

    /// Sends a share of each log; those apart in messages of their own.
    pub(super) async fn run(
        mut self,
        leases: &[Lease],
        apart: &HashSet<TenantId>,
        round_begun: Instant,
        entry_bytes: &mut usize,
    ) -> Done {
        let share = (ENTRIES_MAX / leases.len().max(1)).min(LOG_ENTRIES_MAX);
        for lease in leases {
            if round_begun.elapsed() > READING_TIME || self.courier.is_away() {
                self.done.unserved.push(lease.tenant_id);
                continue;
            }
            let entries_max = share.min(CHUNK_BYTES_MAX / *entry_bytes).max(1);
            match read(self.store, *lease, entries_max).await {
                Ok((chunk, passed)) => {
                    *entry_bytes = chunk.entry_bytes().unwrap_or(*entry_bytes);
                    self.done.moves.extend(passed.map(|to| Move { lease: *lease, to }));
                    self.send(lease.tenant_id, &chunk, apart.contains(&lease.tenant_id)).await;
                }
                // One log's trouble is its own.
                Err(error) => {
                    self.done.troubled.insert(lease.tenant_id);
                    self.done.trouble = Some(format!("a log cannot be read: {error}"));
                }
            }
        }
        self.finish(leases).await
    }

    pub(super) async fn send(&mut self, tenant_id: TenantId, chunk: &Chunk, apart: bool) {
        self.close_message(apart).await;
        for (place, json) in chunk.entries() {
            if let Some(parcel) = self.packer.push(tenant_id, place, json) {
                self.courier.take(parcel).await;
            }
            self.close_message(apart).await;
        }
    }

    /// Ends a message early, when it is to hold no other entry.
    async fn close_message(&mut self, early: bool) {
        if early && let Some(parcel) = self.packer.close_message() {
            self.courier.take(parcel).await;
        }
    }

    /// Sends the rest, waits for all answers and draws the conclusions.
    pub(super) async fn finish(mut self, leases: &[Lease]) -> Done {
        self.close_message(true).await;
        if let Some(parcel) = self.packer.close_parcel() {
            self.courier.take(parcel).await;
        }
        let Journey { fates, trouble, is_away } = self.courier.finish().await;
        self.done.is_away = is_away && !fates.contains(&Fate::Sent);
        let sent = prefixes(&self.packer.into_pieces(), &fates, &mut self.done);
        let moved = leases.iter().filter_map(|lease| {
            sent.get(&lease.tenant_id).map(|to| Move { lease: *lease, to: *to })
        });
        self.done.moves.extend(moved);
        if fates.iter().any(|fate| *fate != Fate::Sent) {
            self.done.trouble = trouble;
        }
        self.done
    }
}

/// The last entry of each log up to which all of it was sent.
fn prefixes(pieces: &[Piece], fates: &[Fate], done: &mut Done) -> HashMap<TenantId, Place> {
    let mut sent = HashMap::new();
    for piece in pieces {
        let fate = fates.get(piece.message).copied().unwrap_or(Fate::Lost);
        if fate == Fate::Sent {
            done.sent += piece.entries as u64;
        }
        if fate == Fate::Refused {
            done.refused.insert(piece.tenant_id);
        }
        if fate != Fate::Sent {
            done.troubled.insert(piece.tenant_id);
        } else if !done.troubled.contains(&piece.tenant_id) {
            sent.insert(piece.tenant_id, piece.last);
        }
    }
    sent
}

/// The next entries of a log; or, where none are left, where its cursor belongs.
async fn read(
    store: &Store,
    lease: Lease,
    entries_max: usize,
) -> sqlx::Result<(Chunk, Option<Place>)> {
    let owner = LogOwner::of(lease.tenant_id);
    let mut chunk = Chunk::default();
    let entries_max = i64::try_from(entries_max).unwrap_or(i64::MAX);
    let reading = cursors::read_after(store, lease, entries_max, |entry| chunk.take(entry, &owner));
    let passed = reading.await?;
    Ok((chunk, passed))
}

impl Chunk {
    /// Adds an entry, unless it is full.
    pub(super) fn take(
        &mut self,
        entry: &domain::StoredEntry<'_>,
        owner: &LogOwner,
    ) -> ControlFlow<()> {
        if self.json.len() >= CHUNK_BYTES_MAX {
            return ControlFlow::Break(());
        }
        write_queued(entry, owner, &mut self.json);
        self.entries.push((entry.place, self.json.len()));
        ControlFlow::Continue(())
    }

    /// The bytes of one of its entries, on average.
    pub(super) fn entry_bytes(&self) -> Option<usize> {
        self.json.len().checked_div(self.entries.len())
    }

    /// How many it has.
    pub(super) fn len(&self) -> i64 {
        i64::try_from(self.entries.len()).unwrap_or(i64::MAX)
    }

    /// The number of its last entry.
    pub(super) fn last_seq(&self) -> Option<i64> {
        self.entries.last().map(|(place, _)| place.seq.get())
    }

    fn entries(&self) -> impl Iterator<Item = (Place, &[u8])> {
        let mut begin = 0;
        self.entries.iter().map(move |(place, end)| {
            let json = &self.json[begin..*end];
            begin = *end;
            (*place, json)
        })
    }
}
