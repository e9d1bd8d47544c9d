//! What a search asks and what it gets.

use std::time::Duration;

use domain::{Filter, Place, Rank, TenantId};

/// In which order entries are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// By place, from new to old.
    #[default]
    Newest,
    /// The best matches first, of equal ones the newest.
    Relevance,
}

/// Where a page ended, so that the next one begins behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchAfter {
    /// The score of the last hit; of no account when sorted by place.
    pub score: f32,
    /// The number of the last hit.
    pub seq: i64,
}

/// A field whose values are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields of the contract")]
pub enum FacetField {
    Action,
    Severity,
    ResourceType,
    UserId,
}

/// One search in the log of one tenant.
#[derive(Debug, Clone, Copy)]
pub struct SearchRequest<'a> {
    /// Whose log.
    pub tenant_id: TenantId,
    /// The first number that has not expired.
    pub floor_seq: i64,
    /// The last number to look at: everything up to it is in the index.
    pub last_seq: i64,
    /// The words that were asked for; without them, all entries that pass the filter.
    pub query: Option<&'a domain::Query>,
    /// What entries must be besides.
    pub filter: &'a Filter,
    /// In which order.
    pub sort: Sort,
    /// Behind which hit.
    pub after: Option<SearchAfter>,
    /// Hits at most.
    pub limit: usize,
    /// Which fields to count.
    pub facets: &'a [FacetField],
    /// How long OpenSearch may take.
    pub timeout: Duration,
}

/// An entry that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Where it stands in the log, which is where it is read.
    pub place: Place,
    /// How well it matches; 0 when sorted by place.
    pub score: f32,
}

impl Hit {
    /// What a ranking goes by.
    pub fn rank(&self) -> Rank {
        Rank { score: self.score, seq: self.place.seq }
    }
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// So many, or that and more.
    pub count: u64,
    /// Whether that is all.
    pub is_exact: bool,
}

/// The values of a field and how often each was found, most often first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// Which field.
    pub field: FacetField,
    /// Value and count; of `severity` the rank as text.
    pub values: Vec<(String, u64)>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// In the order that was asked for.
    pub hits: Vec<Hit>,
    /// All that match, exact up to 10,000.
    pub total: Total,
    /// As they were asked for.
    pub facets: Vec<Facet>,
}
