//! OpenSearch: who answers, and whether it is set up for this program.

use std::collections::BTreeMap;
use std::time::Duration;

use search::{Fault, Index, IndexState, Month, TEMPLATE};
use tokio::time::Instant;

use super::check::Check;
use crate::store::{Store, installation};

pub(super) const PART: &str = "opensearch";

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks at the cluster and at our indices in it; with the log, also whose they are.
pub(super) async fn check(index: &Index, store: Option<&Store>) -> Check {
    let mut check = Check::new(PART);
    if let Err(fault) = look(&mut check, index).await {
        check.fault(fault.to_string());
    } else if let Some(store) = store {
        judge_owner(&mut check, index, store).await;
    }
    check
}

/// A log that cannot be read is told of where that is looked at.
async fn judge_owner(check: &mut Check, index: &Index, store: &Store) {
    let Ok(installation) = installation::id(&store.worker).await else { return };
    if let Err(fault) = index.clone().of_installation(&installation).check_owner().await {
        check.fault(format!("{fault}: set AUDIT_SEARCH_PREFIX to names of its own"));
    }
}

async fn look(check: &mut Check, index: &Index) -> Result<(), Fault> {
    let asked_at = Instant::now();
    let facts = index.facts(ANSWER_TIMEOUT).await?;
    check.took(asked_at.elapsed());
    check.fact(format!("OpenSearch {}", facts.version));
    if facts.has_template {
        check.fact(format!("template {TEMPLATE}"));
    } else {
        check.fault(format!("template {TEMPLATE} is missing: run audit-log migrate"));
    }
    judge_indices(check, &index.indices().await?);
    let health = index.health(ANSWER_TIMEOUT).await?;
    match health.status.as_str() {
        "green" => check.fact("green"),
        "yellow" => check.warn(format!("yellow: {} copies have no place", health.unassigned)),
        status => check.fault(format!("{status}: {} parts have no place", health.unassigned)),
    }
    Ok(())
}

/// Each month has one index that is searched and one that is written, and they are of our template.
fn judge_indices(check: &mut Check, indices: &[IndexState]) {
    let mut months: BTreeMap<Month, (usize, usize)> = BTreeMap::new();
    for index in indices {
        let (read, written) = months.entry(index.name.month()).or_default();
        *read += usize::from(index.is_read);
        *written += usize::from(index.is_written);
    }
    for (month, (read, written)) in &months {
        if *read != 1 {
            check.fault(format!("{month}: {read} indices are searched, there must be one"));
        }
        if *written != 1 {
            check.fault(format!("{month}: {written} indices are written to, there must be one"));
        }
    }
    let is_old = |index: &&IndexState| index.is_read && index.name.template() < TEMPLATE;
    let old = indices.iter().filter(is_old).count();
    if old > 0 {
        check.warn(format!("{old} indices are of an older template: run audit-log reindex"));
    }
    check.fact(format!("{} indices", indices.len()));
}
