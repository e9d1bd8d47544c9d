//! Which entries a read is about: those that pass a filter and, where one was asked, match a query.

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::{Filter, InvalidQuery, Query};

/// A query and what the client wrote for it, which is its one form in digests and in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    text: String,
    query: Query,
}

impl Asked {
    /// Reads what a client wrote.
    pub fn parse(text: &str) -> Result<Self, InvalidQuery> {
        Ok(Self { text: text.to_owned(), query: Query::parse(text)? })
    }

    /// What it means.
    pub fn query(&self) -> &Query {
        &self.query
    }
}

impl Serialize for Asked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// What entries must be. In JSON: the parameters that say so.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Selection {
    /// The words that are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<Asked>,
    /// What entries must be besides.
    #[serde(flatten)]
    pub filter: Filter,
}

impl Selection {
    /// Whether every entry is meant.
    pub fn is_empty(&self) -> bool {
        self.q.is_none() && self.filter.is_empty()
    }

    /// The query, where there is one.
    pub fn query(&self) -> Option<&Query> {
        self.q.as_ref().map(Asked::query)
    }

    /// Equal for selections of the same words; that of the filter where there is no query.
    pub fn digest(&self) -> [u8; 32] {
        let Some(asked) = &self.q else { return self.filter.digest() };
        let mut hash = Sha256::new();
        hash.update(self.filter.digest());
        hash.update(&asked.text);
        hash.finalize().into()
    }
}

impl From<Filter> for Selection {
    fn from(filter: Filter) -> Self {
        Self { q: None, filter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_told_and_bound_by_its_words_and_its_filter() {
        let filter = Filter::read([("action", "VIEW")]).unwrap();
        let only = Selection::from(filter.clone());
        let asked = |text| Selection { q: Some(Asked::parse(text).unwrap()), ..only.clone() };
        assert_eq!(only.digest(), filter.digest());
        assert_ne!(asked("a").digest(), only.digest());
        assert_ne!(asked("a").digest(), asked("b").digest());
        let told = serde_json::to_string(&asked("a b")).unwrap();
        assert_eq!(told, r#"{"q":"a b","action":["VIEW"]}"#);
        assert!(Selection::default().is_empty() && !only.is_empty());
    }
}
