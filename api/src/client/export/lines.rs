//! NDJSON: a line an entry, and a last line that says how many there were.

use memchr::memchr;

use super::splitter::{Found, Kind, Malformed};

/// How the end record begins; no entry does.
const END: &[u8] = br#"{"end":"#;

/// Looks for line ends.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Bytes of the unfinished line that hold no line end.
    seen: usize,
    ended: bool,
}

impl Lines {
    pub(super) fn scan(&mut self, rest: &[u8]) -> Result<Option<Found>, Malformed> {
        if self.ended {
            return if rest.is_empty() { Ok(None) } else { Err(Malformed::Unexpected) };
        }
        let Some(at) = memchr(b'\n', &rest[self.seen..]) else {
            self.seen = rest.len();
            return Ok(None);
        };
        let end = self.seen + at + 1;
        self.seen = 0;
        self.ended = rest.starts_with(END);
        let kind = if self.ended { Kind::End } else { Kind::Entry };
        Ok(Some(Found { kind, start: 0, end }))
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }
}
