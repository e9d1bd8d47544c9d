//! What a query means, once it is read.

use crate::words::pieces;
use crate::{Place, Severity};

use super::address::AddressRange;
use super::phrase::Phrase;

/// A part of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clause {
    /// Each of these must match.
    All(Vec<Clause>),
    /// One of these must match.
    Any(Vec<Clause>),
    /// This must not match.
    Not(Box<Clause>),
    /// Something to look for.
    Term {
        /// What.
        term: Term,
        /// As one would write it.
        written: String,
    },
}

/// Something to look for in an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// Words in a row, in any text of the entry.
    Words {
        /// The words.
        phrase: Phrase,
        /// The same as it was written: a field that is just this counts more.
        exact: Option<String>,
    },
    /// Words in a row, in one field.
    In(WordField, Phrase),
    /// A field is one of these, to the letter.
    Is(ExactField, Vec<String>),
    /// A field begins so, to the letter.
    Begins(ExactField, String),
    /// A field is not null; of a field of words: has one.
    Has(HasField),
    /// How grave it is.
    Severity(Severity),
    /// Where the actor was.
    Address(AddressRange),
    /// The entry with this number.
    Seq(i64),
    /// The entry at this place, which is what an id says.
    Place(Place),
    /// A value inside JSON, as `path=value`, folded.
    Pair(String),
    /// A value inside JSON whose `path=value`, folded, begins in one of these ways.
    PairBegins(Vec<String>),
}

/// A field that is compared as a whole, to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields of the contract")]
pub enum ExactField {
    RecordedBy,
    UserId,
    SessionId,
    RequestId,
    Action,
    ResourceType,
    ResourceId,
}

impl ExactField {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::RecordedBy,
        Self::UserId,
        Self::SessionId,
        Self::RequestId,
        Self::Action,
        Self::ResourceType,
        Self::ResourceId,
    ];

    /// The field's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RecordedBy => "recorded_by",
            Self::UserId => "user_id",
            Self::SessionId => "session_id",
            Self::RequestId => "request_id",
            Self::Action => "action",
            Self::ResourceType => "resource_type",
            Self::ResourceId => "resource_id",
        }
    }
}

/// A field in which words are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields of the contract")]
pub enum WordField {
    Message,
    UserName,
    UserAgent,
}

impl WordField {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Message, Self::UserName, Self::UserAgent];

    /// The field's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::UserName => "user_name",
            Self::UserAgent => "user_agent",
        }
    }
}

/// A field that may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "what is said above")]
pub enum HasField {
    Exact(ExactField),
    Words(WordField),
    Address,
}

impl Clause {
    /// All of them: one alone stands for itself.
    pub(super) fn all(parts: Vec<Self>) -> Self {
        Self::of(parts, Self::All)
    }

    /// One of them: one alone stands for itself.
    pub(super) fn any(parts: Vec<Self>) -> Self {
        Self::of(parts, Self::Any)
    }

    fn of(mut parts: Vec<Self>, make: fn(Vec<Self>) -> Self) -> Self {
        if parts.len() == 1 { parts.remove(0) } else { make(parts) }
    }
}

/// The words of a text, folded.
pub(super) fn cut(text: &str) -> Vec<String> {
    pieces(text).map(|piece| piece.folded().into_owned()).collect()
}
