//! Clients that walk pages, of lists and of searches, each page at another replica.

use std::sync::Arc;

use rand::Rng as _;
use rand::rngs::SmallRng;
use serde_json::Value;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::asking::{Asked, Door};
use super::ledger::Ledger;
use super::plan::some;
use super::stage::TENANTS;
use super::truth::{Log, Seen, difference};
use crate::support::wishes::WISHES;

/// Between two walks.
const REST_MS: std::ops::Range<u64> = 50..400;

/// Entries of a page.
const PAGE: std::ops::Range<u32> = 20..400;

/// Pages of the longest walk.
const PAGES_MAX: usize = 10_000;

/// How long the last page may be asked for.
const LAST_PAGES: Duration = Duration::from_mins(1);

/// What is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ascending,
    Descending,
    Search,
}

/// See the module.
pub(super) struct Reader {
    pub(super) searches: bool,
    pub(super) door: Door,
    pub(super) ledger: Arc<Ledger>,
    pub(super) rng: SmallRng,
}

/// What somebody saw on all pages.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) tenant: usize,
    pub(super) wish: usize,
    pub(super) kind: Kind,
    /// Where the log ended on the first page, and began then and at the latest.
    head: i64,
    floors: (i64, i64),
    seen: Vec<Seen>,
    /// Matches that a search promised.
    total: Option<i64>,
    /// Whether all pages came; else what came next had expired.
    pub(super) whole: bool,
    /// Whether the index answered each page, and held all of the log.
    pub(super) indexed: bool,
}

impl Reader {
    pub(super) async fn read(mut self, stop: CancellationToken) -> Vec<Walk> {
        let mut walks = Vec::new();
        while !stop.is_cancelled() {
            let kind = match (self.searches, self.rng.random_bool(0.5)) {
                (true, _) => Kind::Search,
                (false, true) => Kind::Ascending,
                (false, false) => Kind::Descending,
            };
            let (tenant, wish) = (self.rng.random_range(0..TENANTS), self.wish());
            let limit = self.rng.random_range(PAGE);
            walks.extend(walk(&mut self.door, &self.ledger, (tenant, wish, kind), limit).await);
            sleep(some(&mut self.rng, REST_MS)).await;
        }
        walks
    }

    /// A list takes no words.
    fn wish(&mut self) -> usize {
        loop {
            let wish = self.rng.random_range(0..WISHES.len());
            let query = WISHES[wish].query;
            if !query.contains("include_self") && (self.searches || !query.contains("q=")) {
                return wish;
            }
        }
    }
}

/// Walks all pages; `None`: the service does not answer in the end.
pub(super) async fn walk(
    door: &mut Door,
    ledger: &Ledger,
    (tenant, wish, kind): (usize, usize, Kind),
    limit: u32,
) -> Option<Walk> {
    let route = match kind {
        Kind::Ascending => "/logs?order=asc",
        Kind::Descending => "/logs?order=desc",
        Kind::Search => "/logs/search?sort=newest",
    };
    let path = format!("{route}&limit={limit}&{}", WISHES[wish].query);
    let path = path.trim_end_matches('&');
    let promised = ledger.head(tenant);
    let mut walk: Option<Walk> = None;
    let mut cursor = String::new();
    for _ in 0..PAGES_MAX {
        let path = format!("{path}{cursor}");
        let deadline = tokio::time::Instant::now() + LAST_PAGES;
        let over = || tokio::time::Instant::now() > deadline;
        let page = door.insist(&Asked::get(tenant, &path), over).await;
        let page = page.unwrap_or_else(|| panic!("{path} is never answered"));
        if page.status == 410 && walk.is_some() {
            return walk;
        }
        assert_eq!(page.status, 200, "{path}: {page:?}");
        let so_far = walk.get_or_insert_with(|| Walk::begin((tenant, wish, kind), &page.body));
        assert!(so_far.head >= promised, "{path}: {promised} was acknowledged: {}", so_far.head);
        so_far.take(&page.body);
        let Value::String(next) = &page.body["next_cursor"] else {
            so_far.whole = true;
            return walk;
        };
        cursor = format!("&cursor={next}");
    }
    panic!("{path} does not come to its end");
}

impl Walk {
    fn begin((tenant, wish, kind): (usize, usize, Kind), page: &Value) -> Self {
        let number = |name: &str| page[name].as_i64().unwrap();
        let total = &page["total"];
        Self {
            tenant,
            wish,
            kind,
            head: number("head_seq"),
            floors: (number("floor_seq"), number("floor_seq")),
            seen: Vec::new(),
            total: total["value"].as_i64().filter(|_| total["exact"] == true),
            whole: false,
            indexed: true,
        }
    }

    fn take(&mut self, page: &Value) {
        self.floors.1 = self.floors.1.max(page["floor_seq"].as_i64().unwrap());
        self.seen.extend(page["data"].as_array().unwrap().iter().map(Seen::of));
        self.indexed &= page["source"] == "opensearch" && page["index"]["complete"] == true;
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// What is wrong with it.
    pub(super) fn judge(&self, log: &Log) -> Option<String> {
        let wish = &WISHES[self.wish];
        // Words may stand where the filter by hand does not look: in what the service says of reads.
        let takes_own = !wish.query.contains("q=");
        let is_judged = |seen: &Seen| takes_own || !seen.own;
        let wants = |fact: &super::truth::Fact| is_judged(&fact.seen) && (wish.wants)(&fact.value);
        let mut wanted = log.wanted(1..=self.head, wants);
        let seen: Vec<_> = self.seen.iter().copied().filter(is_judged).collect();
        let last = seen.last().map(|last| last.seq);
        if self.kind != Kind::Ascending {
            wanted.reverse();
        }
        let (floor, whole) = (self.floors.1, self.whole);
        let may_lack = |seq: i64| {
            let later = match self.kind {
                Kind::Ascending => last.is_none_or(|last| seq > last),
                Kind::Descending | Kind::Search => last.is_none_or(|last| seq < last),
            };
            seq < floor || (!whole && later)
        };
        difference(&wanted, &seen, may_lack)
            .or_else(|| self.judge_total(&wanted, log, takes_own))
            .map(|problem| {
                let Self { tenant, kind, head, floors, .. } = self;
                let query = wish.query;
                format!("{kind:?} {query:?} of tenant {tenant} (head {head}, floors {floors:?}): {problem}")
            })
    }

    /// A total that calls itself exact counts what is wanted.
    fn judge_total(&self, wanted: &[Seen], log: &Log, takes_own: bool) -> Option<String> {
        let total = self.total?;
        let least = wanted.iter().filter(|seen| seen.seq >= self.floors.0).count() as i64;
        let own = log.wanted(self.floors.0..=self.head, |fact| fact.seen.own).len() as i64;
        let most = if takes_own { least } else { least + own };
        let wrong = !(least..=most).contains(&total);
        wrong.then(|| format!("a total of {total}, where there are {least} to {most}"))
    }
}
