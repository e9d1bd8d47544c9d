//! What an audit log is, without any input or output.
//!
//! This crate owns the words of the service: entries and the check that makes
//! one out of what a client sent, ids that are places, cursors, masking, and
//! the stable codes of everything that can go wrong. It must never open a
//! socket, a file or a database, so each rule here can be read and tested alone.
//!
//! The way of an entry through the crate: bytes become text ([`utf8`]), text
//! becomes an [`EntryDraft`], the draft is checked into a [`NewEntry`], and the
//! log gives that a [`Place`], which makes it an [`Entry`].
//!
//! ```
//! use domain::{CallerDefaults, CheckContext, EntryDraft, Masking, Timestamp, utf8};
//!
//! let body = br#"{"action": "UPDATE", "resource_type": "user", "after": {"password": "x"}}"#;
//! let context = CheckContext {
//!     now: Timestamp::now(),
//!     caller: &CallerDefaults::service(),
//!     masking: &Masking::default(),
//! };
//! let entry = EntryDraft::read(utf8(body)?)?.check(&context).expect("nothing is wrong with it");
//! assert_eq!(entry.after.unwrap().as_str(), r#"{"password":"[masked]"}"#);
//! # Ok::<(), domain::Unreadable>(())
//! ```

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")
)]

mod action;
mod batch;
mod buckets;
mod card;
mod check;
mod cursor;
mod draft;
mod entry;
mod field;
mod filter;
mod ids;
mod json;
mod json_text;
mod kept;
mod masking;
mod message;
mod place;
mod problem;
mod query;
mod scanner;
mod search_cursor;
mod searched;
mod selection;
mod severity;
mod sieve;
mod statistics;
mod stored;
mod text;
mod time;
mod unreadable;
mod values;
mod walk;
mod words;

pub use crate::action::{Action, InvalidAction};
pub use crate::batch::{BatchRefusal, ENTRIES_MAX, read_bulk_json, read_ndjson};
pub use crate::buckets::{
    BUCKETS_MAX, Calendar, Interval, InvalidInterval, QUARTER_MS, TooManyBuckets, UnknownZone, Zone,
};
pub use crate::check::{CallerDefaults, CheckContext};
pub use crate::cursor::{Binding, Cursor, InvalidCursor, Order};
pub use crate::draft::EntryDraft;
pub use crate::entry::{ENTRY_BYTES_MAX, Entry, NewEntry};
pub use crate::filter::{FILTER_VALUES_MAX, Filter, InvalidFilter};
pub use crate::ids::{EntryId, InvalidId, TenantId, TenantTag};
pub use crate::json_text::{InvalidJsonText, JsonText};
pub use crate::kept::KeptEntry;
pub use crate::masking::{InvalidMaskedKey, MASK, Masking};
pub use crate::message::{InvalidMessage, MessageWriter, QueuedEntry, read_message, write_queued};
pub use crate::place::{Place, Seq};
pub use crate::problem::{FieldCode, FieldProblem, PROBLEMS_MAX, ProblemCode};
pub use crate::query::{
    AddressRange, Clause, ExactField, FRAGMENT_CHARS_MAX, HIGHLIGHTS_MAX, HasField, Highlight,
    InvalidQuery, Phrase, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX, Query, RANGES_MAX,
    Term, WordField, weight,
};
pub use crate::search_cursor::{Progress, Rank, SearchCursor};
pub use crate::searched::{PAIR_BYTES_MAX, PAIRS_MAX, SearchedText};
pub use crate::selection::{Asked, Selection};
pub use crate::severity::{InvalidSeverity, Severity};
pub use crate::sieve::{Marks, Sieve};
pub use crate::statistics::{
    GroupBy, GroupValue, InvalidGroupBy, OTHER, ROWS_MAX, StatsQuery, StatsRow, Tally,
};
pub use crate::stored::{LogOwner, StoredEntry, inert_cell, original_cell};
pub use crate::text::{Ident, InvalidText, Message, ResourceId, ResourceType, Text, UserAgent};
pub use crate::time::{InvalidTimestamp, Timestamp};
pub use crate::unreadable::{Unreadable, UnreadableKind, utf8};
pub use crate::words::{WORD_UNITS_MAX, Word, words};
