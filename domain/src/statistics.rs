//! Statistics: what a question may ask, and how counts become the rows of an answer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::{Calendar, Filter, Severity, Timestamp, TooManyBuckets};

/// Rows of one answer.
pub const ROWS_MAX: usize = 5_000;

/// What an answer calls the actions and types that were too many to be counted apart.
pub const OTHER: &str = "__other__";

/// What is to be counted, and what apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatsQuery {
    /// Which entries.
    pub filter: Filter,
    /// By these fields, none, one or two.
    pub group_by: Vec<GroupBy>,
    /// And by when they occurred.
    pub calendar: Option<Calendar>,
}

/// A field that entries can be counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// What was done.
    Action,
    /// How grave it is.
    Severity,
    /// The kind of thing.
    ResourceType,
    /// The actor.
    UserId,
}

impl GroupBy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Action, Self::Severity, Self::ResourceType, Self::UserId];

    /// How many at a time.
    pub const AT_ONCE_MAX: usize = 2;

    /// The field's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Severity => "severity",
            Self::ResourceType => "resource_type",
            Self::UserId => "user_id",
        }
    }

    /// Reads the fields that values name, each value one or several with commas between.
    pub fn read<'v>(
        values: impl IntoIterator<Item = &'v str>,
    ) -> Result<Vec<Self>, InvalidGroupBy> {
        let mut group_by = Vec::new();
        for name in values.into_iter().flat_map(|value| value.split(',')) {
            let found = Self::ALL.into_iter().find(|known| known.as_str() == name);
            let field = found.ok_or(InvalidGroupBy::Unknown)?;
            if group_by.contains(&field) {
                return Err(InvalidGroupBy::Twice { name: field.as_str() });
            }
            if group_by.len() == Self::AT_ONCE_MAX {
                return Err(InvalidGroupBy::TooMany);
            }
            group_by.push(field);
        }
        Ok(group_by)
    }
}

/// What the entries of a group have in common; severities are in the order of their rank.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum GroupValue {
    /// Of the field `severity`.
    Severity(Severity),
    /// Of any other field.
    Text(String),
}

/// A line of an answer: so many entries of this group in this bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsRow {
    /// Where the bucket begins.
    pub bucket: Option<Timestamp>,
    /// The fields that were asked for, in that order.
    pub group: Vec<(GroupBy, GroupValue)>,
    /// How many.
    pub count: i64,
}

impl Serialize for StatsRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(None)?;
        if let Some(bucket) = self.bucket {
            row.serialize_entry("bucket", &bucket)?;
        }
        for (field, value) in &self.group {
            row.serialize_entry(field.as_str(), value)?;
        }
        row.serialize_entry("count", &self.count)?;
        row.end()
    }
}

/// Counts as they are gathered, by moment and group.
#[derive(Debug, Default)]
pub struct Tally(HashMap<(Option<Timestamp>, Vec<GroupValue>), i64>);

impl Tally {
    /// Adds so many entries of a group; `at` is any moment of their bucket.
    pub fn add(&mut self, at: Option<Timestamp>, group: Vec<GroupValue>, count: i64) {
        *self.0.entry((at, group)).or_default() += count;
    }

    /// The rows of the answer, and whether all groups fit.
    ///
    /// Every bucket of the range is there, and in each of them every group that is anywhere.
    pub fn rows(self, query: &StatsQuery) -> Result<(Vec<StatsRow>, bool), TooManyBuckets> {
        let buckets = self.buckets(query)?;
        let (mut groups, fit) = self.largest(&buckets, query);
        for ((at, group), count) in self.0 {
            let after = buckets.partition_point(|bucket| *bucket <= at);
            if let (Some(n), Some(counts)) = (after.checked_sub(1), groups.get_mut(&group)) {
                counts[n] += count;
            }
        }
        let row = |bucket: Option<Timestamp>, group: &[GroupValue], count| {
            let group = query.group_by.iter().copied().zip(group.iter().cloned()).collect();
            StatsRow { bucket, group, count }
        };
        let rows = buckets.iter().enumerate().flat_map(|(n, bucket)| {
            groups.iter().map(move |(group, counts)| row(*bucket, group, counts[n]))
        });
        Ok((rows.collect(), fit))
    }

    /// Where the buckets of the range begin; a single one without a time if none were asked for.
    fn buckets(&self, query: &StatsQuery) -> Result<Vec<Option<Timestamp>>, TooManyBuckets> {
        let Some(calendar) = &query.calendar else { return Ok(vec![None]) };
        let moments = || self.0.keys().filter_map(|(at, _)| *at);
        let (from, to) = (query.filter.from, query.filter.to);
        let first = from.or_else(|| moments().min());
        let last = to.map(|to| to.plus_millis(-1)).or_else(|| moments().max());
        let (Some(first), Some(last)) = (first, last) else { return Ok(Vec::new()) };
        if from.is_some() && from == to {
            return Ok(Vec::new());
        }
        Ok(calendar.buckets(first, last.max(first))?.into_iter().map(Some).collect())
    }

    /// The groups with the most entries, as many as fit, with a count of 0 for each bucket; and
    /// whether that is all.
    fn largest(
        &self,
        buckets: &[Option<Timestamp>],
        query: &StatsQuery,
    ) -> (BTreeMap<Vec<GroupValue>, Vec<i64>>, bool) {
        let mut totals: BTreeMap<&[GroupValue], i64> = BTreeMap::new();
        if query.group_by.is_empty() {
            totals.insert(&[], 0);
        }
        for ((_, group), count) in &self.0 {
            *totals.entry(group).or_default() += count;
        }
        let mut totals: Vec<_> = totals.into_iter().collect();
        let groups_max = ROWS_MAX / buckets.len().max(1);
        let fit = totals.len() <= groups_max;
        totals.sort_by_key(|(_, total)| Reverse(*total));
        totals.truncate(groups_max);
        let counts = totals.into_iter().map(|(group, _)| (group.to_vec(), vec![0; buckets.len()]));
        (counts.collect(), fit)
    }
}

/// No grouping can be made of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidGroupBy {
    /// Not a field that entries can be counted by.
    #[error("must be action, severity, resource_type or user_id")]
    Unknown,
    /// One field twice.
    #[error("names {name} twice")]
    Twice {
        /// Of the field.
        name: &'static str,
    },
    /// More fields than [`GroupBy::AT_ONCE_MAX`].
    #[error("takes at most {} fields", GroupBy::AT_ONCE_MAX)]
    TooMany,
}
