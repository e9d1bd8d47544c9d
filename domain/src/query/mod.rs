//! The query language: words, `"phrases"`, `-not`, `prefix*`, `field:value`, `OR` and parentheses.
//!
//! A query is read once into a typed tree with two evaluations that agree: this module's on an
//! entry, and OpenSearch's, which the crate `search` makes of the tree.

mod address;
mod field;
mod highlight;
mod matching;
mod phrase;
mod reader;
mod tree;

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub use self::address::AddressRange;
pub use self::highlight::{FRAGMENT_CHARS_MAX, HIGHLIGHTS_MAX, Highlight, RANGES_MAX};
pub use self::phrase::Phrase;
pub use self::tree::{Clause, ExactField, HasField, Term, WordField};

use self::reader::Reader;

/// The longest query.
pub const QUERY_BYTES_MAX: usize = 1_024;
/// Things to look for in one query.
pub const QUERY_TERMS_MAX: usize = 32;
/// Parentheses inside parentheses.
pub const QUERY_DEPTH_MAX: usize = 5;

/// How much a match counts, for an order by relevance.
pub mod weight {
    /// A word, phrase or field that was asked for.
    pub const MATCH: f32 = 1.0;
    /// Besides, when it is in the message.
    pub const IN_MESSAGE: f32 = 1.0;
    /// Besides, when an id, an action or the like is just that.
    pub const EXACT: f32 = 2.0;
}

/// What a search asks for.
///
/// ```
/// use domain::Query;
///
/// let query = Query::parse("login (failed OR locked) -user_id:anna")?;
/// assert_eq!(query.to_string(), "login (failed OR locked) -user_id:anna");
/// assert_eq!(Query::parse("usr_id:anna").unwrap_err().column, 1);
/// # Ok::<(), domain::InvalidQuery>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    root: Clause,
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
        if text.len() > QUERY_BYTES_MAX {
            let column = text[..text.floor_char_boundary(QUERY_BYTES_MAX)].chars().count() + 1;
            let why = format!("a query has at most {QUERY_BYTES_MAX} bytes: ask for less");
            return Err(InvalidQuery { column, why });
        }
        Reader::new(text).read().map(|root| Self { root })
    }

    /// What it means.
    pub fn root(&self) -> &Clause {
        &self.root
    }

    /// Equal for queries that mean the same in the same order.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_string()).into()
    }
}

/// One form for all ways to write the same; it reads as the same query.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_clause(f, &self.root)
    }
}

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn write_clause(f: &mut fmt::Formatter<'_>, clause: &Clause) -> fmt::Result {
    match clause {
        Clause::Term { written, .. } => f.write_str(written),
        Clause::Not(inner) => {
            f.write_str("-")?;
            write_part(f, inner, matches!(**inner, Clause::Term { .. }))
        }
        Clause::All(parts) => {
            write_parts(f, parts, " ", |part| matches!(part, Clause::Term { .. } | Clause::Not(_)))
        }
        // What is side by side belongs together before `OR` does.
        Clause::Any(parts) => write_parts(f, parts, " OR ", |part| !matches!(part, Clause::Any(_))),
    }
}

fn write_parts(
    f: &mut fmt::Formatter<'_>,
    parts: &[Clause],
    between: &str,
    stands_alone: fn(&Clause) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        f.write_str(if at == 0 { "" } else { between })?;
        write_part(f, part, stands_alone(part))?;
    }
    Ok(())
}

fn write_part(f: &mut fmt::Formatter<'_>, part: &Clause, stands_alone: bool) -> fmt::Result {
    if stands_alone {
        return write_clause(f, part);
    }
    f.write_str("(")?;
    write_clause(f, part)?;
    f.write_str(")")
}
