//! What holds whatever bytes come in.
//!
//! Each property takes bytes as they could come from outside and panics when a promise is broken, so
//! it serves a fuzzer as a target. The fuzz targets in `fuzz/` call these and nothing else; a test
//! here calls the same with what fuzzers have found before, in `fuzz/corpus/`.
//!
//! The oracles are as simple as can be: another parser, or the same thing said the long way round.

mod batch;
mod bulk_answer;
mod cursor;
mod entry;
mod export;
mod message;
mod place;
mod query;
mod sample;

/// A property, by the name of its fuzz target and its corpus.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// The name.
    pub name: &'static str,
    /// Panics when it does not hold for these bytes.
    pub hold: fn(&[u8]),
}

/// All of them.
pub const ALL: [Property; 8] = [
    Property { name: "batch", hold: batch::batch },
    Property { name: "bulk_answer", hold: bulk_answer::bulk_answer },
    Property { name: "csv", hold: export::csv },
    Property { name: "cursor", hold: cursor::cursor },
    Property { name: "entry", hold: entry::entry },
    Property { name: "message", hold: message::message },
    Property { name: "pieces", hold: export::pieces },
    Property { name: "query", hold: query::query },
];

/// The property of this name.
pub fn named(name: &str) -> Property {
    let found = ALL.into_iter().find(|property| property.name == name);
    found.unwrap_or_else(|| panic!("there is no property {name}"))
}
