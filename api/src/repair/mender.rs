//! Mends a range of a log in the index: what is missing is sent again, what is foreign goes.

use domain::{EntryId, Place, TenantId};
use search::Index;

use super::bisect::{Range, Suspect};
use super::diff::{Difference, Document, ranges};
use super::watch::Backlog;
use super::{RepairError, log_side};
use crate::store::Store;
use crate::store::indexing::Log;

/// Documents of a range that are compared at once; more than that wait for the next look.
const DOCUMENTS_MAX: usize = 5_000;

/// Calls that delete expired documents of one log in a round.
const DELETES_MAX: u32 = 20;

/// How what is missing gets into the index. In tests another one stands in.
pub trait Resend: Send + Sync + 'static {
    /// Sends all entries of a range once more. Returns how many.
    fn resend(
        &self,
        tenant_id: TenantId,
        range: Range,
    ) -> impl Future<Output = Result<i64, RepairError>> + Send;

    /// What waits between the log and the index.
    fn backlog(&self) -> impl Future<Output = Backlog> + Send;

    /// The last number of a log that was sent; `None`: nobody but we send anything.
    fn sent_seq(&self, log: &Log) -> Option<i64>;
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Mender<R> {
    /// The logs.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// The way from the one to the other.
    pub way: R,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mended {
    /// Entries sent again.
    pub entries: i64,
    /// Documents deleted.
    pub deleted: u64,
}

impl<R: Resend> Mender<R> {
    /// See [`Resend::backlog`].
    pub async fn backlog(&self) -> Backlog {
        self.way.backlog().await
    }

    /// See [`Resend::sent_seq`].
    pub fn sent_seq(&self, log: &Log) -> Option<i64> {
        self.way.sent_seq(log)
    }

    /// Mends a range that was counted wrongly.
    pub async fn mend(&self, tenant_id: TenantId, suspect: Suspect) -> Result<Mended, RepairError> {
        if suspect.is_empty {
            let entries = self.way.resend(tenant_id, suspect.range).await?;
            return Ok(Mended { entries, deleted: 0 });
        }
        let compared = compare(&self.store, &self.index, tenant_id, suspect.range).await?;
        self.mend_difference(tenant_id, &compared.difference).await
    }

    /// Mends what was compared.
    pub async fn mend_difference(
        &self,
        tenant_id: TenantId,
        difference: &Difference,
    ) -> Result<Mended, RepairError> {
        // Foreign documents first: one may have the id of what is missing.
        let foreign = self.delete(tenant_id, &difference.foreign).await?;
        let hidden = self.uncover(tenant_id, &difference.missing).await?;
        let mut mended = Mended { entries: 0, deleted: foreign + hidden };
        for range in ranges(&difference.missing) {
            mended.entries += self.way.resend(tenant_id, range).await?;
        }
        Ok(mended)
    }

    /// Deletes what has the ids of missing entries but is not found as their tenant's: the entries
    /// would be taken for ones that are there already.
    pub async fn uncover(
        &self,
        tenant_id: TenantId,
        missing: &[Place],
    ) -> Result<u64, RepairError> {
        let mut deleted = 0;
        for missing in missing.chunks(DOCUMENTS_MAX) {
            let seqs = missing.iter().map(|place| place.seq.get());
            let Some((first_seq, last_seq)) = seqs.clone().min().zip(seqs.max()) else { continue };
            let range = numbers(tenant_id, (first_seq, last_seq));
            let ids: Vec<_> = missing.iter().map(|place| EntryId::of(*place, tenant_id)).collect();
            deleted += self.index.delete_hidden(range, &ids).await?;
        }
        Ok(deleted)
    }

    /// Deletes documents of a range that stand for no entry. Returns how many.
    pub async fn delete_foreign(
        &self,
        tenant_id: TenantId,
        range: Range,
    ) -> Result<u64, RepairError> {
        let compared = compare(&self.store, &self.index, tenant_id, range).await?;
        self.delete(tenant_id, &compared.difference.foreign).await
    }

    /// Deletes documents below a log's floor. Returns how many, and whether there may be more.
    pub async fn delete_expired(&self, log: &Log) -> Result<(u64, bool), RepairError> {
        let mut deleted = 0;
        for _ in 0..DELETES_MAX {
            match self.index.delete_below(log.tenant_id, log.floor_seq).await? {
                0 => return Ok((deleted, false)),
                more => deleted += more,
            }
        }
        Ok((deleted, true))
    }

    /// Deletes these documents. Returns how many there were.
    pub async fn delete(
        &self,
        tenant_id: TenantId,
        foreign: &[Document],
    ) -> Result<u64, RepairError> {
        if foreign.is_empty() {
            return Ok(0);
        }
        let ids: Vec<&str> = foreign.iter().map(|document| document.id.as_str()).collect();
        Ok(self.index.delete_strays(tenant_id, &ids).await?)
    }
}

/// Of this tenant.
pub fn numbers(tenant_id: TenantId, range: Range) -> search::Range {
    search::Range { tenant_id, first_seq: range.0, last_seq: range.1 }
}

/// What was compared, and what is wrong with it.
#[derive(Debug)]
pub struct Compared {
    /// From the first number asked for, or the floor, on; not always to the last one asked for.
    pub range: Range,
    /// What is wrong with it.
    pub difference: Difference,
}

/// Compares a range id by id, as far as its documents come at once.
///
/// The index is read first: what it has then, the log has by the time that it is read, or never.
pub async fn compare(
    store: &Store,
    index: &Index,
    tenant_id: TenantId,
    range: Range,
) -> Result<Compared, RepairError> {
    let mut found = index.documents(numbers(tenant_id, range), DOCUMENTS_MAX).await?;
    let mut range = range;
    // Not all documents of the last number may be among them: it has its turn later.
    if let Some(last) = found.last().map(|last| last.seq).filter(|_| found.len() >= DOCUMENTS_MAX) {
        range.1 = if last > range.0 { last - 1 } else { last };
        found.retain(|document| document.seq <= range.1);
    }
    let looked = log_side::places(store, tenant_id, range).await?;
    found.retain(|document| document.seq >= looked.range.0);
    let documents = found.into_iter().map(|found| Document { id: found.id, seq: found.seq });
    let difference = Difference::of(tenant_id, documents.collect(), &looked.places);
    Ok(Compared { range: (looked.range.0, range.1), difference })
}
