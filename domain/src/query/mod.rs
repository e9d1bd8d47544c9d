//! The query language: words, phrases, `-not`, `prefix*`, `field:value`.

use thiserror::Error;

use crate::{StoredEntry, words::words};

/// What a search asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    words: Vec<String>,
}

/// A query that cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {why}")]
pub struct InvalidQuery {
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong there and what to do.
    pub why: String,
}

impl Query {
    /// Reads what a client wrote.
    pub fn parse(text: &str) -> Result<Self, InvalidQuery> {
        Ok(Self { words: words(text).map(|word| word.text.into_owned()).collect() })
    }

    /// Whether an entry is one of those asked for.
    pub fn matches(&self, entry: &StoredEntry<'_>) -> bool {
        let message: Vec<_> = entry.message.into_iter().flat_map(words).collect();
        self.words.iter().all(|asked| message.iter().any(|word| word.text == *asked))
    }
}
