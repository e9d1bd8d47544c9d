//! The three forms of an export, as bytes.

use domain::{LogOwner, StoredEntry, inert_cell};
use serde::Serialize;

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One array.
    Json,
    /// An entry a line, and a line that says that it is whole.
    Ndjson,
    /// A record a line, as in RFC 4180.
    Csv {
        /// Cells as they are, even those that a spreadsheet would run.
        raw: bool,
    },
}

impl Format {
    /// The name, as clients write it, which is also the ending of a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv { .. } => "csv",
        }
    }

    /// The media type.
    pub fn media(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv { .. } => "text/csv; charset=utf-8; header=present",
        }
    }
}

/// What an export held, told at its end, in its trailers and in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Entries.
    pub rows: u64,
    /// The first number that was looked at.
    pub first_seq: i64,
    /// The last one.
    pub last_seq: i64,
    /// Over the bytes, before they were compressed.
    pub sha256: String,
}

impl Totals {
    /// The line that says that an export as NDJSON is whole; nothing in other forms.
    pub fn end_record(&self, format: Format) -> String {
        match format {
            Format::Ndjson => {
                let end = serde_json::to_string(&End { end: self });
                end.expect("totals always have a JSON form") + "\n"
            }
            Format::Json | Format::Csv { .. } => String::new(),
        }
    }
}

/// The line that says that an export is whole.
#[derive(Serialize)]
struct End<'a> {
    end: &'a Totals,
}

/// Turns entries into bytes, a chunk at a time.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    owner: LogOwner,
    chunk: Chunk,
    rows: u64,
    /// Of the chunks taken.
    taken_bytes: usize,
}

#[derive(Debug)]
enum Chunk {
    Text(Vec<u8>),
    Records { writer: Box<csv::Writer<Vec<u8>>>, bytes: usize },
}

/// Bytes that a CSV writer gathers before it passes them on.
const CSV_BUFFER: usize = 64 << 10;

impl Encoder {
    /// Writes what stands before the first entry.
    pub fn new(format: Format, owner: LogOwner) -> Self {
        let mut encoder =
            Self { format, owner, chunk: Chunk::new(format, 0), rows: 0, taken_bytes: 0 };
        match &mut encoder.chunk {
            Chunk::Text(text) if format == Format::Json => text.push(b'['),
            Chunk::Text(_) => {}
            Chunk::Records { writer, .. } => {
                let written = writer.write_record(StoredEntry::FIELDS);
                written.expect("writing to memory does not fail");
            }
        }
        encoder
    }

    /// Adds an entry to the chunk.
    pub fn add(&mut self, entry: &StoredEntry<'_>) {
        self.rows += 1;
        match &mut self.chunk {
            Chunk::Text(text) if self.format == Format::Json => {
                text.extend_from_slice(if self.rows > 1 { b",\n" } else { b"\n" });
                entry.write_json(&self.owner, text);
            }
            Chunk::Text(text) => {
                entry.write_json(&self.owner, text);
                text.push(b'\n');
            }
            Chunk::Records { writer, bytes } => {
                let raw = self.format == Format::Csv { raw: true };
                let added = add_record(writer, entry, &self.owner, raw);
                *bytes += added.expect("writing to memory does not fail");
            }
        }
    }

    /// About the size of the chunk so far.
    pub fn chunk_bytes(&self) -> usize {
        match &self.chunk {
            Chunk::Text(text) => text.len(),
            Chunk::Records { bytes, .. } => *bytes,
        }
    }

    /// Entries so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The mean size of an entry so far.
    pub fn mean_bytes(&self) -> Option<usize> {
        let rows = usize::try_from(self.rows).ok().filter(|rows| *rows > 0)?;
        Some((self.taken_bytes + self.chunk_bytes()) / rows)
    }

    /// Takes the chunk out and begins the next.
    pub fn take(&mut self) -> Vec<u8> {
        // The next is about as long: then its memory is taken once, and nothing is moved.
        let bytes = self.chunk_bytes() + self.chunk_bytes() / 8;
        let next = Chunk::new(self.format, bytes);
        let chunk = std::mem::replace(&mut self.chunk, next).into_bytes();
        self.taken_bytes += chunk.len();
        chunk
    }

    /// Takes the last chunk, with what stands behind the last entry.
    pub fn end(&mut self) -> Vec<u8> {
        if let Chunk::Text(text) = &mut self.chunk
            && self.format == Format::Json
        {
            text.extend_from_slice(b"\n]\n");
        }
        self.take()
    }
}

impl Chunk {
    fn new(format: Format, bytes: usize) -> Self {
        let chunk = Vec::with_capacity(bytes);
        match format {
            Format::Json | Format::Ndjson => Self::Text(chunk),
            Format::Csv { .. } => {
                let mut builder = csv::WriterBuilder::new();
                builder.terminator(csv::Terminator::CRLF).buffer_capacity(CSV_BUFFER);
                Self::Records { writer: Box::new(builder.from_writer(chunk)), bytes: 0 }
            }
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text,
            Self::Records { writer, .. } => {
                writer.into_inner().expect("writing to memory does not fail")
            }
        }
    }
}

/// Writes the cells in the order of [`StoredEntry::FIELDS`]; returns about how many bytes.
fn add_record(
    writer: &mut csv::Writer<Vec<u8>>,
    entry: &StoredEntry<'_>,
    owner: &LogOwner,
    raw: bool,
) -> csv::Result<usize> {
    let mut bytes = 0;
    let mut time = Vec::with_capacity(32);
    let mut cell = |writer: &mut csv::Writer<Vec<u8>>, text: Option<&str>| {
        let text = text.unwrap_or_default();
        bytes += text.len() + 1;
        if raw { writer.write_field(text) } else { writer.write_field(inert_cell(text).as_bytes()) }
    };
    cell(writer, Some(&owner.id(entry.place).to_string()))?;
    cell(writer, Some(&entry.place.seq.to_string()))?;
    cell(writer, Some(owner.tenant_id()))?;
    entry.place.recorded_at.write_to(&mut time);
    writer.write_field(&time)?;
    cell(writer, Some(entry.recorded_by))?;
    time.clear();
    entry.occurred_at.write_to(&mut time);
    writer.write_field(&time)?;
    for text in [
        Some(entry.user_id),
        entry.user_name,
        entry.session_id,
        entry.request_id,
        Some(entry.action),
        Some(entry.resource_type),
        entry.resource_id,
        Some(entry.severity.as_str()),
        entry.message,
        entry.ip_address,
        entry.user_agent,
        entry.before,
        entry.after,
        entry.metadata,
    ] {
        cell(writer, text)?;
    }
    writer.write_record(None::<&[u8]>)?;
    Ok(bytes)
}
