//! What has come of an export so far, over all the answers it came in. No input or output.
//!
//! Entries are kept byte by byte as they came; what separates them is written here, so that an
//! export that broke and went on is the same as one that did not.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::records::Columns;
use super::splitter::Piece;
use crate::config::ExportFormat;

/// The numbers that an export reaches over, as its first answer said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first.
    pub first_seq: Option<u64>,
    /// The last there was when it began.
    pub last_seq: Option<u64>,
}

/// Why a piece cannot be the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// No id and seq where they should be.
    #[error("an entry came without its id and seq")]
    Unreadable,
    /// Its number is not above the one before.
    #[error("an entry came twice, or out of order")]
    Disorder,
    /// A number is missing although none was filtered out.
    #[error("an entry is missing in between")]
    Gap,
    /// Another header than before.
    #[error("its columns changed on the way")]
    Columns,
}

/// Whether an entry still belongs to the export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It does, and was added.
    Added,
    /// It was recorded after the export had begun.
    Beyond,
}

/// An entry's id and seq; the rest is not looked at.
#[derive(Deserialize)]
struct Mark<'e> {
    #[serde(borrow)]
    id: Cow<'e, str>,
    seq: u64,
}

/// The end record of NDJSON, as read and as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    /// What it says.
    pub end: Facts,
}

/// What an export says of itself when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// How many entries.
    pub rows: u64,
    /// The numbers they are from.
    #[serde(flatten)]
    pub range: Range,
    /// Over its bytes, in lower-case hexadecimal.
    pub sha256: String,
}

/// The beginning of an export, up to the last whole entry.
#[derive(Debug, Clone)]
pub struct Joined {
    format: ExportFormat,
    /// Nothing is filtered out, so no number may be missing.
    gapless: bool,
    header: Vec<u8>,
    columns: Option<Columns>,
    rows: u64,
    bytes: u64,
    hash: Sha256,
    last_id: String,
    last_seq: u64,
}

impl Joined {
    /// Nothing yet.
    pub fn new(format: ExportFormat, gapless: bool) -> Self {
        Self {
            format,
            gapless,
            header: Vec::new(),
            columns: None,
            rows: 0,
            bytes: 0,
            hash: Sha256::new(),
            last_id: String::new(),
            last_seq: 0,
        }
    }

    /// Adds a header or an entry, written to `out`; says whether it belongs to the export.
    pub fn add(
        &mut self,
        piece: Piece<'_>,
        range: Range,
        out: &mut Vec<u8>,
    ) -> Result<Taken, Mismatch> {
        match piece {
            Piece::Header(header) => self.add_header(header, out)?,
            Piece::Entry(entry) => return self.add_entry(entry, range, out),
            Piece::End(_) => {}
        }
        Ok(Taken::Added)
    }

    fn add_header(&mut self, header: &[u8], out: &mut Vec<u8>) -> Result<(), Mismatch> {
        if self.header.is_empty() {
            self.columns = Some(Columns::read(header).ok_or(Mismatch::Unreadable)?);
            header.clone_into(&mut self.header);
            self.write(out, &[header]);
        }
        if self.header == header { Ok(()) } else { Err(Mismatch::Columns) }
    }

    fn add_entry(
        &mut self,
        entry: &[u8],
        range: Range,
        out: &mut Vec<u8>,
    ) -> Result<Taken, Mismatch> {
        let (id, seq) = self.mark(entry).ok_or(Mismatch::Unreadable)?;
        if range.last_seq.is_some_and(|last| seq > last) {
            return Ok(Taken::Beyond);
        }
        let before = if self.rows > 0 {
            Some(self.last_seq)
        } else {
            range.first_seq.map(|seq| seq.saturating_sub(1))
        };
        if before.is_some_and(|before| seq <= before) {
            return Err(Mismatch::Disorder);
        }
        if self.gapless && before.is_some_and(|before| seq != before + 1) {
            return Err(Mismatch::Gap);
        }
        self.last_id.clear();
        self.last_id.push_str(&id);
        self.last_seq = seq;
        let first = self.rows == 0;
        self.rows += 1;
        match self.format {
            ExportFormat::Ndjson | ExportFormat::Csv => self.write(out, &[entry]),
            ExportFormat::Json if first => self.write(out, &[b"[\n", entry]),
            ExportFormat::Json => self.write(out, &[b",\n", entry]),
        }
        Ok(Taken::Added)
    }

    fn mark<'e>(&self, entry: &'e [u8]) -> Option<(Cow<'e, str>, u64)> {
        if self.format == ExportFormat::Csv {
            let (id, seq) = self.columns?.mark(entry)?;
            return Some((Cow::Borrowed(id), seq));
        }
        let mark: Mark<'e> = serde_json::from_slice(entry).ok()?;
        Some((mark.id, mark.seq))
    }

    /// Writes what stands at the end of a whole export.
    pub fn finish(&mut self, range: Range, out: &mut Vec<u8>) {
        match self.format {
            ExportFormat::Csv => {}
            ExportFormat::Json if self.rows == 0 => self.write(out, &[b"[\n]\n"]),
            ExportFormat::Json => self.write(out, &[b"\n]\n"]),
            ExportFormat::Ndjson => {
                // It tells the hash of what is before it, so it is not hashed itself.
                let end = serde_json::to_vec(&EndRecord { end: self.facts(range) });
                out.extend(end.unwrap_or_default());
                out.push(b'\n');
            }
        }
    }

    fn write(&mut self, out: &mut Vec<u8>, parts: &[&[u8]]) {
        for part in parts {
            self.hash.update(part);
            self.bytes += part.len() as u64;
            out.extend_from_slice(part);
        }
    }

    /// What can be said of it.
    pub fn facts(&self, range: Range) -> Facts {
        Facts { rows: self.rows, range, sha256: hex(self.hash.clone()) }
    }

    /// How many entries.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// How many bytes have been written.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last entry's id, where another answer can go on.
    pub fn last_id(&self) -> Option<&str> {
        (self.rows > 0).then_some(&self.last_id)
    }

    /// The last entry's number.
    pub const fn last_seq(&self) -> Option<u64> {
        if self.rows > 0 { Some(self.last_seq) } else { None }
    }

    /// Whether the last entry there can be has come.
    pub fn has_all(&self, range: Range, max_entries: Option<u64>) -> bool {
        max_entries.is_some_and(|max| self.rows >= max)
            || (self.rows > 0 && range.last_seq == Some(self.last_seq))
    }

    /// Whether entries are missing at the end although none was filtered out.
    pub fn lacks_some(&self, range: Range, max_entries: Option<u64>) -> bool {
        let Range { first_seq: Some(first), last_seq: Some(last) } = range else { return false };
        self.gapless && first <= last && !self.has_all(range, max_entries)
    }
}

/// A number of entries as people say it.
pub fn counted(rows: u64) -> String {
    if rows == 1 { "1 entry".to_owned() } else { format!("{rows} entries") }
}

/// A hash as people write it.
pub(super) fn hex(hash: Sha256) -> String {
    format!("{:x}", hash.finalize())
}
