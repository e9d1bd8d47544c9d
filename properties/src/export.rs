//! Exports: as the service writes them, and as the client takes them apart.
//!
//! Both lie in `api`, which is a server with a database and takes minutes to build; these files of it
//! are pure and stand here as they stand there.

#![expect(unreachable_pub, reason = "they are public where they belong")]

use ::csv::{ReaderBuilder, StringRecord, Terminator};
use domain::{StoredEntry, original_cell};
use serde_json::value::RawValue;

use self::splitter::{Malformed, Piece, Splitter};
use crate::sample::{owner, place, plain};

#[expect(dead_code, reason = "what an export says about itself is no part of its records")]
#[path = "../../api/src/export/encoding.rs"]
mod encoding;

#[path = "../../api/src/client/export/array.rs"]
mod array;
#[path = "../../api/src/client/export/lines.rs"]
mod lines;
#[expect(dead_code, reason = "columns are for going on, which is not tried here")]
#[path = "../../api/src/client/export/records.rs"]
mod records;
#[allow(unfulfilled_lint_expectations, reason = "what is expected of public functions")]
#[path = "../../api/src/client/export/splitter.rs"]
mod splitter;

/// As the client has it, where it is a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExportFormat {
    Ndjson,
    Json,
    Csv,
}

impl ExportFormat {
    const ALL: [Self; 3] = [Self::Ndjson, Self::Json, Self::Csv];
}

/// Fields of an entry that are text of its own.
const TEXTS: usize = 14;
/// Entries of one export.
const ENTRIES_MAX: usize = 20;

/// The first byte says how, the others are the fields of entries, with a NUL between any two: no
/// field can have one.
pub(crate) fn csv(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    let fields: Vec<_> = text.split('\0').collect();
    let entries: Vec<_> =
        (1..).zip(fields.chunks(TEXTS).take(ENTRIES_MAX)).map(|(n, texts)| of(n, texts)).collect();
    let raw = how & 1 == 1;
    let export = export(&entries, raw);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .terminator(Terminator::CRLF)
        .from_reader(export.as_slice());
    let records: Vec<_> = reader.records().collect::<Result<_, _>>().expect("CSV is readable");
    assert_eq!(records.len(), entries.len() + 1);
    assert_eq!(records[0], StoredEntry::FIELDS[..]);
    for (record, entry) in records[1..].iter().zip(&entries) {
        assert_record(record, entry, raw);
    }
    let (whole, may_end) = split(ExportFormat::Csv, &[&export]).expect("it is an export");
    assert_eq!((whole.len(), may_end), (records.len(), true));
}

fn of<'a>(number: i64, texts: &[&'a str]) -> StoredEntry<'a> {
    let text = |at: usize| texts.get(at).copied();
    StoredEntry {
        recorded_by: text(0).unwrap_or_default(),
        user_id: text(1).unwrap_or_default(),
        user_name: text(2),
        session_id: text(3),
        request_id: text(4),
        action: text(5).unwrap_or_default(),
        resource_type: text(6).unwrap_or_default(),
        resource_id: text(7),
        message: text(8),
        ip_address: text(9),
        user_agent: text(10),
        before: text(11),
        after: text(12),
        metadata: text(13),
        ..plain(place(number))
    }
}

/// A chunk for each entry.
fn export(entries: &[StoredEntry<'_>], raw: bool) -> Vec<u8> {
    let mut encoder = encoding::Encoder::new(encoding::Format::Csv { raw }, owner());
    let mut export = Vec::new();
    for entry in entries {
        encoder.add(entry);
        export.extend(encoder.take());
    }
    export.extend(encoder.end());
    export
}

/// The cells are the fields; a spreadsheet runs none of them.
fn assert_record(record: &StringRecord, entry: &StoredEntry<'_>, raw: bool) {
    let owner = owner();
    let (id, seq) = (owner.id(entry.place).to_string(), entry.place.seq.to_string());
    let (recorded_at, occurred_at) =
        (entry.place.recorded_at.to_string(), entry.occurred_at.to_string());
    let fields = [
        &id,
        &seq,
        owner.tenant_id(),
        &recorded_at,
        entry.recorded_by,
        &occurred_at,
        entry.user_id,
        entry.user_name.unwrap_or_default(),
        entry.session_id.unwrap_or_default(),
        entry.request_id.unwrap_or_default(),
        entry.action,
        entry.resource_type,
        entry.resource_id.unwrap_or_default(),
        entry.severity.as_str(),
        entry.message.unwrap_or_default(),
        entry.ip_address.unwrap_or_default(),
        entry.user_agent.unwrap_or_default(),
        entry.before.unwrap_or_default(),
        entry.after.unwrap_or_default(),
        entry.metadata.unwrap_or_default(),
    ];
    assert_eq!(record.len(), fields.len());
    for (cell, field) in record.iter().zip(fields) {
        if raw {
            assert_eq!(cell, field);
        } else {
            assert_eq!(original_cell(cell), field);
            assert!(!is_formula(cell), "{cell:?}");
        }
    }
}

/// As the contract has it: an operator after nothing but quotes and white space. One quote in front of
/// all that is what makes a cell inert.
fn is_formula(cell: &str) -> bool {
    let begins = |cell: &str| {
        cell.trim_start_matches(|c: char| c.is_whitespace() || c == '\'' || c == '"')
            .starts_with(['=', '+', '-', '@'])
    };
    begins(cell) && !cell.strip_prefix('\'').is_some_and(begins)
}

/// The first byte says how to cut the others: it makes no difference.
pub(crate) fn pieces(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    for format in ExportFormat::ALL {
        let whole = split(format, &[bytes]);
        assert_eq!(split(format, &cut(bytes, *how)), whole, "{format:?}");
        if let Ok((pieces, may_end)) = &whole {
            assert_pieces(format, bytes, pieces, *may_end);
        }
    }
    assert_array(bytes);
}

/// Chunks of lengths that differ: of one byte each, or up to sixteen.
fn cut(bytes: &[u8], how: u8) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut rest = bytes;
    let mut step = usize::from(how);
    while !rest.is_empty() {
        let len = if how == 0 { 1 } else { (step % 17).min(rest.len()) };
        let (chunk, behind) = rest.split_at(len);
        chunks.push(chunk);
        rest = behind;
        step = step / 2 + step % 2 * 131 + 1;
    }
    chunks
}

type Split = Result<(Vec<Vec<u8>>, bool), (Vec<Vec<u8>>, Malformed)>;

fn split(format: ExportFormat, chunks: &[impl AsRef<[u8]>]) -> Split {
    let mut splitter = Splitter::new(format);
    let mut pieces = Vec::new();
    for chunk in chunks {
        splitter.push(chunk.as_ref());
        loop {
            match splitter.next() {
                Ok(Some(Piece::Header(piece) | Piece::Entry(piece) | Piece::End(piece))) => {
                    pieces.push(piece.to_vec());
                }
                Ok(None) => break,
                Err(malformed) => return Err((pieces, malformed)),
            }
        }
    }
    let len: usize = chunks.iter().map(|chunk| chunk.as_ref().len()).sum();
    assert!(splitter.offset() <= len as u64);
    Ok((pieces, splitter.may_end()))
}

/// Nothing is left out and nothing is there twice.
fn assert_pieces(format: ExportFormat, bytes: &[u8], pieces: &[Vec<u8>], may_end: bool) {
    assert!(pieces.iter().all(|piece| !piece.is_empty()));
    if format == ExportFormat::Json {
        assert!(pieces.iter().all(|piece| piece[0] == b'{'));
        return;
    }
    let joined = pieces.concat();
    assert!(bytes.starts_with(&joined));
    assert!(!may_end || joined.len() == bytes.len());
    if format == ExportFormat::Ndjson {
        let line_ends = |piece: &Vec<u8>| memchr::memchr_iter(b'\n', piece).count();
        assert!(pieces.iter().all(|piece| piece.ends_with(b"\n") && line_ends(piece) == 1));
    }
}

/// Of an array of objects each is a piece, as another parser finds them.
fn assert_array(bytes: &[u8]) {
    let Ok(objects) = serde_json::from_slice::<Vec<&RawValue>>(bytes) else { return };
    if objects.iter().any(|object| !object.get().starts_with('{')) {
        return;
    }
    let (pieces, may_end) = split(ExportFormat::Json, &[bytes]).expect("an array of objects");
    assert!(may_end);
    assert!(pieces.iter().map(Vec::as_slice).eq(objects.iter().map(|one| one.get().as_bytes())));
}
