//! Every log held against the index, id by id, window by window: what `verify-index` does.

use std::time::Duration;

use domain::{EntryId, Place, TenantId, Timestamp};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::RepairError;
use super::bisect::Range;
use super::diff::{Difference, ranges};
use super::direct::Direct;
use super::mender::{Mender, Resend as _, compare};
use super::strangers::{self, Stranger};
use crate::store::indexing::Log;

/// Numbers that are compared at once.
const WINDOW: i64 = 4_000;

/// Entries and documents that are named.
pub const NAMED_MAX: usize = 100;

/// How often what is pending is looked at again.
const POLL: Duration = Duration::from_millis(500);

/// What was found in all.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Logs that were compared.
    pub logs: u64,
    /// Entries that they hold.
    pub entries: u64,
    /// Entries without a document.
    pub missing: Findings,
    /// Documents without an entry.
    pub foreign: Findings,
    /// Documents of tenants that there are not.
    pub strangers: Strangers,
    /// Entries that were recorded a moment ago and may be on their way.
    pub pending: u64,
    /// Documents of entries that have expired; the service removes them within a day.
    pub expired: u64,
    /// Entries written and documents deleted.
    pub repaired: u64,
    /// What still differed after that.
    pub unrepaired: u64,
}

/// How many, and some of them.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    /// All of them.
    pub count: u64,
    /// The first [`NAMED_MAX`].
    pub named: Vec<Named>,
}

/// How many, of how many tenants, and some of these.
#[derive(Debug, Default, Serialize)]
pub struct Strangers {
    /// Documents.
    pub count: u64,
    /// Tenants that they say they are of.
    pub tenants: u64,
    /// The first [`NAMED_MAX`].
    pub named: Vec<Stranger>,
}

/// One entry or document.
#[derive(Debug, Serialize)]
pub struct Named {
    /// Whose log.
    pub tenant_id: TenantId,
    /// Its number.
    pub seq: i64,
    /// Its id.
    pub id: String,
}

impl Findings {
    fn add(&mut self, tenant_id: TenantId, seq: i64, id: impl FnOnce() -> String) {
        self.count += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(Named { tenant_id, seq, id: id() });
        }
    }
}

impl Strangers {
    fn add(&mut self, stranger: Stranger) {
        self.count += stranger.documents;
        self.tenants += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(stranger);
        }
    }
}

impl Report {
    /// Whether the index was the log, but for what is on its way.
    pub fn is_equal(&self) -> bool {
        self.missing.count + self.foreign.count + self.strangers.count == 0
    }

    /// Whether all that differed has been repaired.
    pub fn is_repaired(&self) -> bool {
        !self.is_equal() && self.repaired > 0 && self.unrepaired == 0
    }
}

/// See the module.
#[derive(Debug)]
pub struct Verifier {
    /// The log, the index, and the direct way from the one to the other.
    pub mender: Mender<Direct>,
    /// How long an entry may be on its way.
    pub settling: Duration,
    /// When to stop waiting for those that are.
    pub wait_until: Instant,
    /// Whether to mend what differs.
    pub repair: bool,
}

impl Verifier {
    /// Compares one log; `passed` is told how many entries that were.
    pub async fn verify(
        &self,
        log: &Log,
        report: &mut Report,
        mut passed: impl FnMut(u64),
    ) -> Result<(), RepairError> {
        let mut pending = None;
        let mut next = log.floor_seq;
        while next <= log.head_seq {
            let window = (next, log.head_seq.min(next + WINDOW - 1));
            let (end, late) = self.window(log.tenant_id, window, false, report).await?;
            if let Some(late) = late {
                let first = pending.map_or(late.0, |(first, _)| first);
                pending = Some((first, late.1));
            }
            passed((end - next + 1).unsigned_abs());
            next = end + 1;
        }
        report.logs += 1;
        report.entries += log.len().unsigned_abs();
        self.beyond(log, report).await?;
        self.expired(log, report).await?;
        if let Some(range) = pending {
            self.wait(log.tenant_id, range, report).await?;
        }
        Ok(())
    }

    /// Looks for documents of tenants that there are not, which no log is compared with.
    pub async fn strangers(&self, report: &mut Report) -> Result<(), RepairError> {
        let Mender { store, index, .. } = &self.mender;
        for stranger in strangers::find(&store.worker, index).await? {
            if self.repair {
                let deleted = strangers::delete(index, &stranger).await?;
                report.repaired += deleted;
                report.unrepaired += stranger.documents.saturating_sub(deleted);
            }
            report.strangers.add(stranger);
        }
        Ok(())
    }

    /// Compares a window. Says how far it came, and where entries are pending. Again: foreign
    /// documents have been told.
    async fn window(
        &self,
        tenant_id: TenantId,
        window: Range,
        is_again: bool,
        report: &mut Report,
    ) -> Result<(i64, Option<Range>), RepairError> {
        let compared = compare(&self.mender.store, &self.mender.index, tenant_id, window).await?;
        let mut difference = compared.difference;
        let late = self.set_aside_pending(&mut difference);
        if is_again {
            difference.foreign.clear();
        }
        note(tenant_id, &difference, report);
        if self.repair && !difference.is_empty() {
            self.mend(tenant_id, compared.range, &difference, report).await?;
        }
        Ok((compared.range.1, late))
    }

    /// Takes entries away that may be on their way. As numbers grow with time, they are the last.
    fn set_aside_pending(&self, difference: &mut Difference) -> Option<Range> {
        let settling = i64::try_from(self.settling.as_millis()).unwrap_or(i64::MAX);
        let settled_at = Timestamp::now().plus_millis(-settling);
        let settled = difference.missing.partition_point(|place| place.recorded_at <= settled_at);
        let late = difference.missing.split_off(settled);
        let numbers = |place: &Place| place.seq.get();
        late.first().map(numbers).zip(late.last().map(numbers))
    }

    /// Documents behind the head are foreign, unless the log has grown meanwhile.
    async fn beyond(&self, log: &Log, report: &mut Report) -> Result<(), RepairError> {
        let beyond = (log.head_seq + 1, i64::MAX);
        let index = &self.mender.index;
        if index.counts(log.tenant_id, &[beyond]).await?.first() == Some(&0) {
            return Ok(());
        }
        let compared = compare(&self.mender.store, index, log.tenant_id, beyond).await?;
        // New entries have time to arrive.
        let difference = Difference { missing: Vec::new(), ..compared.difference };
        note(log.tenant_id, &difference, report);
        if self.repair && !difference.is_empty() {
            self.mend(log.tenant_id, compared.range, &difference, report).await?;
        }
        Ok(())
    }

    async fn expired(&self, log: &Log, report: &mut Report) -> Result<(), RepairError> {
        let below = [(i64::MIN, log.floor_seq - 1)];
        let count = self.mender.index.counts(log.tenant_id, &below).await?;
        let count = count.first().copied().unwrap_or_default();
        report.expired += count;
        if self.repair && count > 0 {
            self.mender.delete_expired(log).await?;
        }
        Ok(())
    }

    /// Writes what is missing, deletes what is foreign, and looks again.
    async fn mend(
        &self,
        tenant_id: TenantId,
        range: Range,
        difference: &Difference,
        report: &mut Report,
    ) -> Result<(), RepairError> {
        report.repaired += self.mender.delete(tenant_id, &difference.foreign).await?;
        for missing in ranges(&difference.missing) {
            let written = self.mender.way.resend(tenant_id, missing).await?;
            report.repaired += written.unsigned_abs();
        }
        self.mender.index.refresh().await?;
        let compared = compare(&self.mender.store, &self.mender.index, tenant_id, range).await?;
        // Others may have stopped being pending since: they have their turn later.
        let is_left = |place: &&Place| difference.missing.binary_search(*place).is_ok();
        let left = compared.difference;
        report.unrepaired += left.missing.iter().filter(is_left).count() as u64;
        report.unrepaired += left.foreign.len() as u64;
        Ok(())
    }

    /// Looks at what is pending until it is there, is missing after all, or the time is over.
    async fn wait(
        &self,
        tenant_id: TenantId,
        range: Range,
        report: &mut Report,
    ) -> Result<(), RepairError> {
        let mut next = range.0;
        loop {
            let window = (next, range.1.min(next + WINDOW - 1));
            let (end, late) = self.window(tenant_id, window, true, report).await?;
            match late {
                Some(late) if Instant::now() < self.wait_until => {
                    next = late.0;
                    sleep(POLL).await;
                }
                Some(late) => {
                    report.pending += (late.1 - late.0 + 1).unsigned_abs();
                    next = end + 1;
                }
                None => next = end + 1,
            }
            if next > range.1 {
                return Ok(());
            }
        }
    }
}

fn note(tenant_id: TenantId, difference: &Difference, report: &mut Report) {
    for place in &difference.missing {
        let id = || EntryId::of(*place, tenant_id).to_string();
        report.missing.add(tenant_id, place.seq.get(), id);
    }
    for document in &difference.foreign {
        report.foreign.add(tenant_id, document.seq, || document.id.clone());
    }
}
