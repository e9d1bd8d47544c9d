//! An answer while it comes: split, counted, hashed and joined to what came before.

use super::answer::Tally;
use super::joined::{Facts, Joined, Range, Taken};
use super::splitter::{Piece, Splitter};
use super::verify;
use crate::config::ExportFormat;

/// One answer, as far as it has come.
#[derive(Debug)]
pub(super) struct Incoming {
    format: ExportFormat,
    pub(super) splitter: Splitter,
    pub(super) tally: Tally,
    /// What the end record says, and its bytes.
    pub(super) end: Option<(Facts, Vec<u8>)>,
}

impl Incoming {
    pub(super) fn new(format: ExportFormat) -> Self {
        let (splitter, tally) = (Splitter::new(format), Tally::default());
        Self { format, splitter, tally, end: None }
    }

    /// Takes its next bytes, and writes the entries that they complete.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        joined: &mut Joined,
        range: Range,
        out: &mut Vec<u8>,
    ) -> anyhow::Result<Taken> {
        let by_line = self.format == ExportFormat::Ndjson;
        if !by_line {
            self.tally.add_bytes(bytes);
        }
        self.splitter.push(bytes);
        while let Some(piece) = self.splitter.next()? {
            match piece {
                Piece::End(record) => self.end = Some((verify::read_end(record)?, record.to_vec())),
                Piece::Entry(entry) => {
                    self.tally.add_row();
                    if by_line {
                        self.tally.add_bytes(entry);
                    }
                }
                Piece::Header(_) => {}
            }
            if joined.add(piece, range, out)? == Taken::Beyond {
                return Ok(Taken::Beyond);
            }
        }
        Ok(Taken::Added)
    }
}
