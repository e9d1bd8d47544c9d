//! Exact filters: which entries of a log a list, an export or a count is about.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{
    Action, Ident, InvalidAction, InvalidSeverity, InvalidText, InvalidTimestamp, ResourceId,
    ResourceType, Severity, StoredEntry, Timestamp,
};

/// Values of one filter in all.
pub const FILTER_VALUES_MAX: usize = 100;

/// What an entry must be: any of the values of each field that has some.
///
/// In JSON: the fields that are given, under the names of their parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Occurred then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Occurred before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// The actor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user_id: Vec<Ident>,
    /// The actor's session.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub session_id: Vec<Ident>,
    /// The request that the entry belongs to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_id: Vec<Ident>,
    /// What was done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub action: Vec<Action>,
    /// The kind of thing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_type: Vec<ResourceType>,
    /// The thing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_id: Vec<ResourceId>,
    /// One of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub severity: Vec<Severity>,
    /// At least this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity_min: Option<Severity>,
}

impl Filter {
    /// What every entry passes.
    pub const ALL: Self = Self {
        from: None,
        to: None,
        user_id: Vec::new(),
        session_id: Vec::new(),
        request_id: Vec::new(),
        action: Vec::new(),
        resource_type: Vec::new(),
        resource_id: Vec::new(),
        severity: Vec::new(),
        severity_min: None,
    };

    /// The parameters that make a filter.
    pub const PARAMETERS: [&'static str; 10] = [
        "from",
        "to",
        "user_id",
        "session_id",
        "request_id",
        "action",
        "resource_type",
        "resource_id",
        "severity",
        "severity_min",
    ];

    /// Reads the parameters of a request that make a filter, and leaves the others alone.
    ///
    /// The order in which values are given makes no difference.
    pub fn read<'p>(
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Result<Self, InvalidFilter> {
        let mut filter = Self::default();
        let mut values = 0;
        for (name, value) in parameters {
            let Some(name) = Self::PARAMETERS.into_iter().find(|known| *known == name) else {
                continue;
            };
            values += 1;
            if values > FILTER_VALUES_MAX {
                return Err(InvalidFilter { name, why: Why::TooMany });
            }
            filter.take(name, value).map_err(|why| InvalidFilter { name, why })?;
        }
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && from > to
        {
            return Err(InvalidFilter { name: "from", why: Why::FromAfterTo });
        }
        Ok(filter)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Why> {
        match name {
            // Entries' times are whole milliseconds, and both bounds ask which are not earlier.
            "from" => once(&mut self.from, Timestamp::parse_up(value)?),
            "to" => once(&mut self.to, Timestamp::parse_up(value)?),
            "severity_min" => once(&mut self.severity_min, Severity::parse(value)?),
            "user_id" => any_of(&mut self.user_id, Ident::parse(value)?),
            "session_id" => any_of(&mut self.session_id, Ident::parse(value)?),
            "request_id" => any_of(&mut self.request_id, Ident::parse(value)?),
            "action" => any_of(&mut self.action, Action::parse(value)?),
            "resource_type" => any_of(&mut self.resource_type, ResourceType::parse(value)?),
            "resource_id" => any_of(&mut self.resource_id, ResourceId::parse(value)?),
            _ => any_of(&mut self.severity, Severity::parse(value)?),
        }
    }

    /// Whether every entry passes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Equal for filters that let the same entries pass by the same words.
    pub fn digest(&self) -> [u8; 32] {
        let text = serde_json::to_vec(self).expect("a filter always has a JSON form");
        Sha256::digest(text).into()
    }

    /// Whether an entry passes.
    pub fn matches(&self, entry: &StoredEntry<'_>) -> bool {
        self.from.is_none_or(|from| entry.occurred_at >= from)
            && self.to.is_none_or(|to| entry.occurred_at < to)
            && is_any_of(&self.user_id, Ident::as_str, Some(entry.user_id))
            && is_any_of(&self.session_id, Ident::as_str, entry.session_id)
            && is_any_of(&self.request_id, Ident::as_str, entry.request_id)
            && is_any_of(&self.action, Action::as_str, Some(entry.action))
            && is_any_of(&self.resource_type, ResourceType::as_str, Some(entry.resource_type))
            && is_any_of(&self.resource_id, ResourceId::as_str, entry.resource_id)
            && (self.severity.is_empty() || self.severity.contains(&entry.severity))
            && self.severity_min.is_none_or(|least| entry.severity >= least)
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Why> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Why::Repeated),
    }
}

/// Keeps values apart and in an order, so that a filter has one form.
#[expect(clippy::unnecessary_wraps, reason = "an arm like the others")]
fn any_of<T: Ord>(values: &mut Vec<T>, value: T) -> Result<(), Why> {
    if let Err(at) = values.binary_search(&value) {
        values.insert(at, value);
    }
    Ok(())
}

fn is_any_of<T>(values: &[T], text: fn(&T) -> &str, value: Option<&str>) -> bool {
    values.is_empty() || value.is_some_and(|value| values.iter().any(|one| text(one) == value))
}

/// A parameter that makes no filter, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct InvalidFilter {
    /// Of the parameter.
    pub name: &'static str,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum Why {
    #[error(transparent)]
    Time(#[from] InvalidTimestamp),
    #[error(transparent)]
    Text(#[from] InvalidText),
    #[error(transparent)]
    Action(#[from] InvalidAction),
    #[error(transparent)]
    Severity(#[from] InvalidSeverity),
    #[error("is given more than once")]
    Repeated,
    #[error("lies after `to`")]
    FromAfterTo,
    #[error("makes it more than {FILTER_VALUES_MAX} values: filter by fewer")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<Filter, InvalidFilter> {
        Filter::read(pairs.iter().copied())
    }

    #[test]
    fn the_order_of_values_makes_no_difference() {
        let one = read(&[("action", "VIEW"), ("user_id", "a"), ("action", "DELETE")]).unwrap();
        let other =
            read(&[("user_id", "a"), ("action", "DELETE"), ("action", "VIEW"), ("limit", "1")])
                .unwrap();
        assert_eq!(one, other);
        assert_eq!(one.digest(), other.digest());
        assert_ne!(one.digest(), read(&[("user_id", "a")]).unwrap().digest());
    }

    #[test]
    fn a_value_under_another_name_is_another_filter() {
        let names = ["user_id", "session_id", "request_id", "action", "resource_type"];
        let digests: std::collections::HashSet<_> =
            names.map(|name| Filter::read([(name, "x")]).unwrap().digest()).into();
        assert_eq!(digests.len(), names.len());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let day = "2026-11-21T00:00:00Z";
        for (pairs, name) in [
            (vec![("from", "yesterday")], "from"),
            (vec![("to", day), ("to", day)], "to"),
            (vec![("from", "2026-11-22T00:00:00Z"), ("to", day)], "from"),
            (vec![("severity", "info")], "severity"),
            (vec![("severity_min", "ERROR"), ("severity_min", "ERROR")], "severity_min"),
            (vec![("action", "not an action")], "action"),
            (vec![("user_id", "\0")], "user_id"),
        ] {
            assert_eq!(read(&pairs).unwrap_err().name, name, "{pairs:?}");
        }
        assert!(read(&[("from", day), ("to", day)]).is_ok(), "an empty range is a range");
        let many = std::iter::repeat_n(("user_id", "x"), FILTER_VALUES_MAX + 1);
        assert_eq!(Filter::read(many).unwrap_err().name, "user_id");
    }
}
