//! Whether the index holds what the logs hold: counted, never taken from anybody's word.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use domain::TenantId;
use search::{Among, Fault, Index, Range};
use tokio::time::{Instant, sleep};

use super::check::Check;
use crate::store::Store;
use crate::store::indexing::{self, Log};

pub(super) const PART: &str = "index";

/// How long one answer of OpenSearch may take: it has a question for each log.
const COUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks at logs that are not wholly indexed yet.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// What was counted over all logs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sums {
    logs: u64,
    entries: u64,
    missing: u64,
    surplus: u64,
    /// One that is not whole, for who wants to look closer.
    example: Option<TenantId>,
}

impl Sums {
    /// A log that is not in the index as it should be.
    fn differ(&mut self, held: &Log, indexed: u64) {
        self.entries += entries(held);
        self.missing += entries(held).saturating_sub(indexed);
        self.surplus += indexed.saturating_sub(entries(held));
        self.example = self.example.or(Some(held.tenant_id));
    }
}

fn entries(log: &Log) -> u64 {
    log.len().unsigned_abs()
}

/// Counts. What the logs held at the beginning may take `wait` to get into the index.
pub(super) async fn check(store: &Store, index: &Index, wait: Duration) -> Check {
    let mut check = Check::new(PART);
    let begun_at = Instant::now();
    match count(store, index, begun_at + wait).await {
        Ok(sums) => {
            check.took(begun_at.elapsed());
            judge(&mut check, sums);
        }
        Err(error) => {
            // What lies below a fault of the index names addresses within it.
            let fault = error.downcast_ref().map(Fault::to_string);
            let said = fault.unwrap_or_else(|| format!("{error:#}"));
            check.fault(format!("cannot be counted: {said}"));
        }
    }
    check
}

fn judge(check: &mut Check, sums: Sums) {
    check.fact(format!("{} entries of {} logs", sums.entries, sums.logs));
    let example = sums.example.map(|id| format!(", for example of tenant {id}"));
    let example = example.unwrap_or_default();
    if sums.missing > 0 {
        check.fault(format!(
            "{} of them are not in the index{example}: the service sends them again; \
             audit-log verify-index names them",
            sums.missing
        ));
    }
    if sums.surplus > 0 {
        check.fault(format!(
            "{} documents too many{example}: audit-log verify-index names them",
            sums.surplus
        ));
    }
    if sums.missing + sums.surplus == 0 {
        check.fact("complete");
    }
}

async fn count(store: &Store, index: &Index, wait_until: Instant) -> anyhow::Result<Sums> {
    let mut sums = Sums::default();
    let mut after = None;
    // Each page is of later tenants than the one before.
    loop {
        let logs = indexing::logs(&store.worker, after).await?;
        let Some(last) = logs.last() else { return Ok(sums) };
        after = Some(last.tenant_id);
        count_page(store, index, logs, wait_until, &mut sums).await?;
    }
}

/// Counts some logs as they were, and again as long as that does not fit and there is time.
async fn count_page(
    store: &Store,
    index: &Index,
    mut logs: Vec<Log>,
    wait_until: Instant,
    sums: &mut Sums,
) -> anyhow::Result<()> {
    sums.logs += logs.len() as u64;
    loop {
        let is_last = Instant::now() >= wait_until;
        match differing(index, &logs, sums).await {
            Ok(differing) if differing.is_empty() => return Ok(()),
            Ok(differing) if is_last => {
                for (held, indexed) in &differing {
                    sums.differ(held, *indexed);
                }
                return Ok(());
            }
            Ok(differing) => {
                logs = differing.into_iter().map(|(held, _)| held).collect();
                raise_floors(store, &mut logs).await?;
            }
            // As while the first index of a month is being made.
            Err(fault) if fault.is_passing() && !is_last => {}
            Err(fault) => return Err(fault.into()),
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// The logs whose documents are not as many as their entries, with that number; the others count.
async fn differing(index: &Index, logs: &[Log], sums: &mut Sums) -> Result<Vec<(Log, u64)>, Fault> {
    let range = |held: &Log| Range {
        tenant_id: held.tenant_id,
        first_seq: held.floor_seq,
        last_seq: held.head_seq,
    };
    let logs: Vec<_> = logs.iter().filter(|held| !held.is_empty()).copied().collect();
    if logs.is_empty() {
        return Ok(Vec::new());
    }
    let ranges: Vec<_> = logs.iter().map(range).collect();
    let counts = index.count(&ranges, Among::Searched, COUNT_TIMEOUT).await?;
    if counts.len() != logs.len() {
        return Err(Fault::Unreadable("questions were left without an answer".to_owned()));
    }
    let counted = logs.into_iter().zip(counts);
    let (same, differing): (Vec<_>, _) =
        counted.partition(|(held, indexed)| entries(held) == *indexed);
    sums.entries += same.iter().map(|(held, _)| entries(held)).sum::<u64>();
    Ok(differing)
}

/// What has expired meanwhile is missing from nothing.
async fn raise_floors(store: &Store, logs: &mut [Log]) -> anyhow::Result<()> {
    let first = logs.first().context("no log to look at again")?.tenant_id;
    let before = TenantId::new(uuid::Uuid::from_u128(first.as_uuid().as_u128().saturating_sub(1)));
    let page = indexing::logs(&store.worker, Some(before)).await?;
    let floors: BTreeMap<_, _> =
        page.iter().map(|held| (held.tenant_id.as_uuid(), held.floor_seq)).collect();
    for held in logs {
        let floor = floors.get(&held.tenant_id.as_uuid()).copied();
        held.floor_seq = held.floor_seq.max(floor.unwrap_or_default());
    }
    Ok(())
}
