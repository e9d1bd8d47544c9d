//! CSV as RFC 4180 has it: quotes may hold line ends, records end with CRLF.

use memchr::memchr2;

use super::splitter::{Found, Kind, Malformed};

/// Looks for line ends outside of quotes.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Bytes of the unfinished record that have been looked at.
    seen: usize,
    /// A doubled quote closes and opens again, so that counting is enough.
    in_quotes: bool,
    has_header: bool,
}

impl Records {
    pub(super) fn scan(&mut self, rest: &[u8]) -> Result<Option<Found>, Malformed> {
        while let Some(at) = memchr2(b'"', b'\n', &rest[self.seen..]) {
            let at = self.seen + at;
            self.seen = at + 1;
            if rest[at] == b'"' {
                self.in_quotes = !self.in_quotes;
            } else if !self.in_quotes {
                return self.found(&rest[..=at]);
            }
        }
        self.seen = rest.len();
        Ok(None)
    }

    fn found(&mut self, record: &[u8]) -> Result<Option<Found>, Malformed> {
        if !record.ends_with(b"\r\n") {
            return Err(Malformed::Unexpected);
        }
        self.seen = 0;
        let kind = if self.has_header { Kind::Entry } else { Kind::Header };
        self.has_header = true;
        Ok(Some(Found { kind, start: 0, end: record.len() }))
    }

    pub(super) const fn has_header(&self) -> bool {
        self.has_header
    }
}

/// Where the columns are that tell an entry's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    id: usize,
    seq: usize,
}

impl Columns {
    pub(super) fn read(header: &[u8]) -> Option<Self> {
        let column = |name: &[u8]| cells(header).position(|cell| cell == name);
        Some(Self { id: column(b"id")?, seq: column(b"seq")? })
    }

    /// The id and seq of a record.
    pub(super) fn mark(self, record: &[u8]) -> Option<(&str, u64)> {
        let cell = |column| std::str::from_utf8(cells(record).nth(column)?).ok();
        Some((cell(self.id)?, cell(self.seq)?.parse().ok()?))
    }
}

/// The cells of a record; of quoted ones what is between the outer quotes, doubled ones and all.
fn cells(record: &[u8]) -> impl Iterator<Item = &[u8]> {
    let record = record.strip_suffix(b"\r\n").unwrap_or(record);
    let mut in_quotes = false;
    record
        .split(move |byte| {
            in_quotes ^= *byte == b'"';
            *byte == b',' && !in_quotes
        })
        .map(|cell| {
            let unquoted = cell.strip_prefix(b"\"").and_then(|cell| cell.strip_suffix(b"\""));
            unquoted.unwrap_or(cell)
        })
}
