//! Searches: by the index as far as it is known to hold the log, by the log itself beyond that,
//! and by the log alone where there is no index that answers.
//!
//! How much the index holds is counted, in the request that searches it, and never taken from what
//! was sent there. What is shown is always read from the log. ADR 20 says why.

mod breaker;
mod index;
mod keeping;
mod log;
mod marks;
mod order;
mod page;
mod plan;
mod turns;

use std::time::Duration;

use domain::{LogOwner, SearchCursor, Selection, TenantId};
use search::{FacetField, Found, Index, SearchRequest, Sort};

pub use self::breaker::Condition;
use self::index::{Indexed, Outcome};
pub use self::keeping::keep;
use self::log::Part;
use self::marks::Counted;
pub use self::page::{Page, Source, is_complete};
pub use self::plan::is_sound;
use self::plan::{Plan, Stage};
use self::turns::Turns;
use crate::app::App;
use crate::error::ApiError;
use crate::store::bounds::Bounds;
use crate::store::range::Lost;

/// Entries above the mark that are looked at without an attempt to move the mark first; more than
/// these are looked at in turns.
const TAIL_SHORT: i64 = 2_000;

/// How often a search is begun anew because the floor, or the mark, has moved underneath.
const TRIES_MAX: usize = 3;

/// The searches of this replica.
#[derive(Debug)]
pub struct Searches {
    indexed: Option<Indexed>,
    turns: Turns,
}

/// The word for an order, as clients write it.
pub const fn sort_as_str(sort: Sort) -> &'static str {
    match sort {
        Sort::Newest => "newest",
        Sort::Relevance => "relevance",
    }
}

/// What a search is about.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// Whose log.
    pub tenant_id: TenantId,
    /// The same, for the entries' JSON.
    pub owner: &'w LogOwner,
    /// Which entries.
    pub selection: &'w Selection,
    /// In which order.
    pub sort: Sort,
    /// Where it goes on.
    pub cursor: Option<SearchCursor>,
    /// Entries at most.
    pub limit: usize,
    /// Which fields to count.
    pub facets: &'w [FacetField],
    /// Whether to say where the words are.
    pub highlight: bool,
}

/// Why there is no page.
#[derive(Debug)]
pub enum Refusal {
    /// The cursor does not stand any more.
    Lost(Lost),
    /// All that the cursor had still to look at has expired; with the cursor that it ends at.
    Expired(SearchCursor),
    /// The cursor is one of a ranking that the index has made and cannot go on with.
    SourceChanged,
    /// Anything else.
    Failed(ApiError),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Searches {
    /// With an index or without.
    pub fn new(index: Option<(Index, Duration)>) -> Self {
        Self {
            indexed: index.map(|(index, timeout)| Indexed::new(index, timeout)),
            turns: Turns::default(),
        }
    }

    /// What is known of the index; `None` without one.
    pub fn condition(&self) -> Option<Condition> {
        self.indexed.as_ref().map(Indexed::condition)
    }

    /// Whether the mark that the database keeps is of use: this replica has none.
    fn wants_stored_mark(&self, tenant_id: TenantId) -> bool {
        self.indexed.as_ref().is_some_and(|indexed| indexed.marks.settled(tenant_id).is_none())
    }

    /// The bounds of a log that seems to rest and to be all in the index.
    fn resting(&self, tenant_id: TenantId) -> Option<Bounds> {
        self.indexed.as_ref()?.marks.resting(tenant_id)
    }
}

/// Searches a log.
pub async fn find(app: &App, wanted: Wanted<'_>) -> Result<Page, Refusal> {
    if let Some(plan) = Plan::at_rest(app, wanted)
        && let Some(page) = attempt(app, &plan, false).await?
    {
        return Ok(page);
    }
    for turn in 1..=TRIES_MAX {
        let plan = match Plan::make(app, wanted).await? {
            Ok(plan) => plan,
            Err(bounds) => return Ok(Page::empty(&bounds, wanted.facets)),
        };
        if let Some(page) = attempt(app, &plan, turn == TRIES_MAX).await? {
            return Ok(page);
        }
    }
    Err(Refusal::Lost(Lost::Overtaken))
}

/// What has been found, before the entries are read.
#[derive(Debug)]
struct Findings {
    /// What the log has found.
    part: Part,
    /// What the index has, up to the mark.
    found: Option<Found>,
    /// What was counted of the index.
    counted: Option<Counted>,
    /// Up to where the index answers; 0 when it has no part.
    settled: i64,
}

/// How the index took part.
enum ByIndex {
    Done(Findings),
    /// It holds nothing of the log, as far as was counted.
    Empty(Counted),
    Unavailable,
    Again,
}

/// A page; none when the floor or the mark has moved underneath.
async fn attempt(app: &App, plan: &Plan<'_>, is_last: bool) -> Result<Option<Page>, Refusal> {
    let by_index = match &app.searches.indexed {
        Some(indexed) if plan.may_use_index() => by_index(app, indexed, plan).await?,
        _ => ByIndex::Unavailable,
    };
    let findings = match by_index {
        ByIndex::Done(findings) => findings,
        ByIndex::Again if !is_last => return Ok(None),
        _ if plan.is_guess => return Ok(None),
        ByIndex::Empty(_) | ByIndex::Unavailable | ByIndex::Again if plan.needs_index() => {
            return Err(Refusal::SourceChanged);
        }
        ByIndex::Empty(counted) => by_log(app, plan, Some(counted)).await?,
        ByIndex::Unavailable | ByIndex::Again => by_log(app, plan, None).await?,
    };
    if findings.part.looked.has_moved {
        return Ok(None);
    }
    page::make(app, plan, &findings, is_last).await
}

async fn by_log(app: &App, plan: &Plan<'_>, counted: Option<Counted>) -> Result<Findings, Refusal> {
    let settled = 0;
    let part = look(app, plan, settled).await?;
    Ok(Findings { part, found: None, counted, settled })
}

async fn by_index(app: &App, indexed: &Indexed, plan: &Plan<'_>) -> Result<ByIndex, Refusal> {
    let (tenant_id, bounds) = (plan.wanted.tenant_id, &plan.bounds);
    let mark = match plan.needed_mark() {
        Some(settled) => settled,
        None => match mark(indexed, plan).await {
            Some(Ok(mark)) => mark,
            Some(Err(counted)) => return Ok(ByIndex::Empty(counted)),
            None => return Ok(ByIndex::Unavailable),
        },
    };
    let settled = mark.min(plan.until.seq.get());
    let request = SearchRequest {
        tenant_id,
        floor_seq: bounds.floor_seq,
        last_seq: settled,
        query: plan.wanted.selection.query(),
        filter: &plan.wanted.selection.filter,
        sort: plan.wanted.sort,
        after: plan.after_in_index(settled),
        // One more, to know whether there is more.
        limit: plan.wanted.limit + 1,
        facets: plan.wanted.facets,
        timeout: indexed.timeout(),
    };
    let (part, outcome) =
        tokio::join!(look(app, plan, settled), indexed.search(request, bounds, mark));
    match outcome {
        Ok(Outcome::Found(found, counted)) => {
            let (part, found, counted) = (part?, Some(found), Some(counted));
            Ok(ByIndex::Done(Findings { part, found, counted, settled }))
        }
        Ok(Outcome::Wrong) if plan.needs_index() && !plan.has_moved(app).await? => {
            Err(Refusal::SourceChanged)
        }
        Ok(Outcome::Wrong) => Ok(ByIndex::Again),
        Err(_) => Ok(ByIndex::Unavailable),
    }
}

/// The mark to search with: remembered or stored, moved first when much lies above it or nothing
/// has been counted yet. An error is what was counted when the index holds nothing.
async fn mark(indexed: &Indexed, plan: &Plan<'_>) -> Option<Result<i64, Counted>> {
    let (tenant_id, bounds) = (plan.wanted.tenant_id, &plan.bounds);
    let clip = |mark: i64| mark.clamp(bounds.floor_seq - 1, bounds.head_seq());
    if let Some(fresh) = indexed.marks.fresh(tenant_id, bounds.floor_seq) {
        let mark = clip(fresh.settled);
        return Some(if mark < bounds.floor_seq { Err(fresh) } else { Ok(mark) });
    }
    let remembered = indexed.marks.settled(tenant_id).map(clip);
    if let Some(mark) = remembered
        && mark >= bounds.floor_seq
        && bounds.head_seq() - mark <= TAIL_SHORT
    {
        return Some(Ok(mark));
    }
    let known = remembered.unwrap_or_else(|| clip(plan.stored_mark));
    let counted = indexed.settle(tenant_id, bounds, known).await.ok()?;
    Some(if counted.settled < bounds.floor_seq { Err(counted) } else { Ok(counted.settled) })
}

/// The log's part: all that lies above the mark, or as much as one search may look at.
async fn look(app: &App, plan: &Plan<'_>, settled: i64) -> Result<Part, Refusal> {
    let range = plan.log_range(settled);
    // Seen before, in one look: so it has an end that is near enough, and is wanted whole.
    let is_whole = matches!(plan.stage, Stage::Within { .. });
    let by = (&app.store, &app.searches.turns);
    let keep = plan.keep(settled, app.searches.indexed.is_some());
    log::look(by, &plan.wanted, &range, keep, is_whole).await
}
