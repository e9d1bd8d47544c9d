//! An export's bytes, in whatever chunks they come, split into whole entries. No input or output.
//!
//! Memory is bounded by the longest entry. What is not yet whole is never given out, so what was
//! given out is always the beginning of an export, wherever that breaks.

use thiserror::Error;

use super::ExportFormat;
use super::array::Array;
use super::lines::Lines;
use super::records::Records;

/// No entry takes so much, in any form: 64 KiB of JSON, in CSV at most doubled by quotes.
pub const PIECE_BYTES_MAX: usize = 1 << 20;

/// A part of an export that stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'b> {
    /// The names of the columns.
    Header(&'b [u8]),
    /// One entry, without what separates it from the next; in CSV with its line end.
    Entry(&'b [u8]),
    /// The end record.
    End(&'b [u8]),
}

/// Why these bytes are no export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Neither a piece nor its beginning.
    #[error("what came is not an export in this format")]
    Unexpected,
    /// More than any entry takes.
    #[error("what came is longer than any entry")]
    TooLong,
}

/// What kind of piece was found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Header,
    Entry,
    End,
}

/// A piece from `start` to `end`; the next begins at `end`, or after it what separates them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug)]
enum Scanner {
    Lines(Lines),
    Array(Array),
    Records(Records),
}

/// Takes bytes, gives pieces.
#[derive(Debug)]
pub struct Splitter {
    scanner: Scanner,
    buffer: Vec<u8>,
    /// How much of the buffer has been given out.
    given: usize,
    /// Where the last piece ended, from the beginning of the export.
    offset: u64,
}

impl Splitter {
    /// For an export in this format.
    pub fn new(format: ExportFormat) -> Self {
        let scanner = match format {
            ExportFormat::Ndjson => Scanner::Lines(Lines::default()),
            ExportFormat::Json => Scanner::Array(Array::default()),
            ExportFormat::Csv => Scanner::Records(Records::default()),
        };
        Self { scanner, buffer: Vec::new(), given: 0, offset: 0 }
    }

    /// Takes the next bytes; [`Self::next`] is to be called until it has nothing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.given);
        self.given = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole piece, if it has come.
    #[expect(clippy::should_implement_trait, reason = "the piece borrows from the splitter")]
    pub fn next(&mut self) -> Result<Option<Piece<'_>>, Malformed> {
        let rest = &self.buffer[self.given..];
        let found = match &mut self.scanner {
            Scanner::Lines(lines) => lines.scan(rest)?,
            Scanner::Array(array) => array.scan(rest)?,
            Scanner::Records(records) => records.scan(rest)?,
        };
        let Some(Found { kind, start, end }) = found else {
            let too_long = rest.len() > PIECE_BYTES_MAX;
            return if too_long { Err(Malformed::TooLong) } else { Ok(None) };
        };
        self.given += end;
        self.offset += end as u64;
        let bytes = &rest[start..end];
        Ok(Some(match kind {
            Kind::Header => Piece::Header(bytes),
            Kind::Entry => Piece::Entry(bytes),
            Kind::End => Piece::End(bytes),
        }))
    }

    /// Where the last piece ended, in bytes from the beginning.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether an export may end here. Only its end record, trailers or entry tell whether it does.
    pub fn may_end(&self) -> bool {
        let is_empty = self.given == self.buffer.len();
        match &self.scanner {
            Scanner::Lines(lines) => lines.has_ended() && is_empty,
            Scanner::Array(array) => array.has_closed(),
            Scanner::Records(records) => records.has_header() && is_empty,
        }
    }
}
