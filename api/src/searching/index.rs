//! The part of a search that the index answers, and how much of the log it can answer for.

use std::time::{Duration, Instant};

use domain::{Severity, TenantId};
use search::{FacetField, Fault, Found, Index, SearchRequest};
use tracing::warn;

use super::breaker::{Breaker, Condition, Pass};
use super::marks::{self, Counted, Marks};
use crate::store::bounds::Bounds;

/// Rounds of counting that narrow down where a mark belongs: to an entry in 32,768, then the next
/// search goes on.
const ROUNDS_MAX: usize = 3;

/// The index and what is known of it.
#[derive(Debug)]
pub(super) struct Indexed {
    pub(super) index: Index,
    timeout: Duration,
    pub(super) breaker: Breaker,
    /// Up to where it holds all of a log.
    pub(super) marks: Marks,
}

/// Why a search does without the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unavailable;

/// What came of a search.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was answered, for all entries up to the mark.
    Found(Found, Counted),
    /// The index does not hold what the mark says: it was brought down.
    Wrong,
}

impl Indexed {
    /// Does not connect yet.
    pub(super) fn new(index: Index, timeout: Duration) -> Self {
        Self { index, timeout, breaker: Breaker::default(), marks: Marks::default() }
    }

    /// How long it may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What is known of the index.
    pub(super) fn condition(&self) -> Condition {
        self.breaker.condition()
    }

    /// Asks it something small, unless it is known to answer.
    pub(super) async fn probe(&self) {
        if self.condition() != Condition::Ok {
            let nobody = TenantId::new(uuid::Uuid::nil());
            let _ = self.ask(async |index| index.counts(nobody, &[(1, 1)]).await).await;
        }
    }

    /// Counts how far the index holds a log, and moves the mark there.
    pub(super) async fn settle(
        &self,
        tenant_id: TenantId,
        bounds: &Bounds,
        mark: i64,
    ) -> Result<Counted, Unavailable> {
        let ranges = ranges(bounds, mark);
        let counts = self.ask(async |index| index.counts(tenant_id, &ranges).await).await?;
        let Some(mut counted) = counted(bounds, mark, &ranges, &counts) else {
            return self.bring_down(tenant_id, bounds, mark).await;
        };
        let broken = ranges.iter().find(|range| range.0 == counted.settled + 1);
        if let Some(broken) = broken.filter(|_| counted.indexed > 0) {
            counted.settled = self.narrow(tenant_id, counted.settled, *broken).await?;
        }
        self.marks.note(tenant_id, counted);
        Ok(counted)
    }

    /// Searches up to `last_seq`, which is not above the mark, and counts along the way.
    pub(super) async fn search(
        &self,
        request: SearchRequest<'_>,
        bounds: &Bounds,
        mark: i64,
    ) -> Result<Outcome, Unavailable> {
        let tenant_id = request.tenant_id;
        if let Some(fresh) = self.marks.fresh(tenant_id, bounds.floor_seq)
            && fresh.settled >= mark
        {
            let found = self.ask(async |index| index.search(request).await).await?;
            return Ok(Outcome::Found(found, fresh));
        }
        let ranges = ranges(bounds, mark);
        let asking = self.ask(async |index| index.search_and_count(request, &ranges).await);
        let (found, counts) = asking.await?;
        let Some(counted) = counted(bounds, mark, &ranges, &counts) else {
            self.bring_down(tenant_id, bounds, mark).await?;
            return Ok(Outcome::Wrong);
        };
        self.marks.note(tenant_id, counted);
        Ok(Outcome::Found(found, counted))
    }

    /// Finds where a log stops being whole in the index, below a mark that is wrong.
    async fn bring_down(
        &self,
        tenant_id: TenantId,
        bounds: &Bounds,
        mark: i64,
    ) -> Result<Counted, Unavailable> {
        let nothing = bounds.floor_seq - 1;
        let settled = self.narrow(tenant_id, nothing, (bounds.floor_seq, mark)).await?;
        warn!(tenant.id = %tenant_id, mark, settled, "the index does not hold what it has held");
        let all = [(bounds.floor_seq, bounds.head_seq())];
        let counts = self.ask(async |index| index.counts(tenant_id, &all).await).await?;
        let counted = Counted { bounds: *bounds, settled, indexed: counts.iter().sum() };
        self.marks.note(tenant_id, counted);
        Ok(counted)
    }

    /// The mark within a range that is not whole, behind one that is: found by counting parts of
    /// parts, to an entry or as near as a few rounds come.
    async fn narrow(
        &self,
        tenant_id: TenantId,
        mut settled: i64,
        mut within: (i64, i64),
    ) -> Result<i64, Unavailable> {
        for _ in 0..ROUNDS_MAX {
            let parts = marks::parts(within);
            let counts = self.ask(async |index| index.counts(tenant_id, &parts).await).await?;
            settled = marks::advance(settled, &parts, &counts);
            match parts.into_iter().find(|part| part.0 == settled + 1) {
                Some(broken) if broken.0 < broken.1 => within = broken,
                _ => break,
            }
        }
        Ok(settled)
    }

    /// Asks, unless the breaker is open, and tells it what came of it.
    async fn ask<T>(
        &self,
        asked: impl AsyncFnOnce(&Index) -> Result<T, Fault>,
    ) -> Result<T, Unavailable> {
        let pass = self.breaker.admit().ok_or(Unavailable)?;
        let begun = Instant::now();
        let answer = tokio::time::timeout(self.timeout, asked(&self.index)).await;
        let answer = answer.unwrap_or(Err(Fault::TimedOut));
        self.tell(pass, answer.as_ref().err(), begun.elapsed());
        answer.map_err(|fault| {
            warn!(error = %fault, "the search index has not answered: the log does");
            Unavailable
        })
    }

    fn tell(&self, pass: Pass<'_>, fault: Option<&Fault>, took: Duration) {
        match fault {
            // It answers, and another request may be to its liking.
            Some(Fault::Refused { .. }) => pass.refuse(),
            None if took <= self.timeout / 2 => pass.succeed(),
            _ => pass.fail(),
        }
    }
}

/// From the floor to the mark, and on to the head.
fn ranges(bounds: &Bounds, mark: i64) -> Vec<(i64, i64)> {
    let below = (mark >= bounds.floor_seq).then_some((bounds.floor_seq, mark));
    below.into_iter().chain(marks::probes(mark, bounds.head_seq())).collect()
}

/// What the counts of [`ranges`] say; `None` when there is not what the mark says.
fn counted(bounds: &Bounds, mark: i64, ranges: &[(i64, i64)], counts: &[u64]) -> Option<Counted> {
    let settled = marks::advance(bounds.floor_seq - 1, ranges, counts);
    let counted = Counted { bounds: *bounds, settled, indexed: counts.iter().sum() };
    (settled >= mark).then_some(counted)
}

/// The value of a facet as the entries have it: a severity may come as its rank.
pub(super) fn facet_value(field: FacetField, value: &str) -> String {
    let rank = value.parse().ok().filter(|_| field == FacetField::Severity);
    let severity = rank.and_then(Severity::from_rank);
    severity.map_or_else(|| value.to_owned(), |severity| severity.as_str().to_owned())
}
