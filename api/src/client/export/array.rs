//! A JSON array of objects, whatever white space it has.

use memchr::memchr2;

use super::splitter::{Found, Kind, Malformed};

/// Where in the array the next byte is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Before,
    /// After `[`: an entry or the end.
    First,
    /// In an entry, so many brackets deep.
    Entry {
        start: usize,
        depth: usize,
    },
    /// In a string of an entry.
    Text {
        start: usize,
        depth: usize,
    },
    /// After an entry: a comma or the end.
    After,
    /// After a comma: an entry.
    Next,
    Closed,
}

/// Follows strings and nesting.
#[derive(Debug, Default)]
pub(super) struct Array {
    at: At,
    /// Bytes that have been looked at.
    seen: usize,
}

impl Array {
    pub(super) fn scan(&mut self, rest: &[u8]) -> Result<Option<Found>, Malformed> {
        while let Some(&byte) = rest.get(self.seen) {
            let (at, step) = match self.at {
                At::Entry { start, depth } => {
                    let at = within(byte, start, depth);
                    if at == At::After {
                        let end = self.seen + 1;
                        *self = Self { at, seen: 0 };
                        return Ok(Some(Found { kind: Kind::Entry, start, end }));
                    }
                    (at, 1)
                }
                At::Text { start, depth } => {
                    let Some(found) = memchr2(b'"', b'\\', &rest[self.seen..]) else {
                        self.seen = rest.len();
                        return Ok(None);
                    };
                    let escape = rest[self.seen + found] == b'\\';
                    if escape && self.seen + found + 1 == rest.len() {
                        // What is escaped has not come yet: look at both again.
                        self.seen += found;
                        return Ok(None);
                    }
                    if escape {
                        (self.at, found + 2)
                    } else {
                        (At::Entry { start, depth }, found + 1)
                    }
                }
                at => (between(at, byte, self.seen)?, 1),
            };
            self.at = at;
            self.seen += step;
        }
        Ok(None)
    }

    pub(super) fn has_closed(&self) -> bool {
        self.at == At::Closed
    }
}

/// Outside of entries.
fn between(at: At, byte: u8, here: usize) -> Result<At, Malformed> {
    match (at, byte) {
        (_, b' ' | b'\t' | b'\r' | b'\n') => Ok(at),
        (At::Before, b'[') => Ok(At::First),
        (At::First | At::Next, b'{') => Ok(At::Entry { start: here, depth: 1 }),
        (At::First | At::After, b']') => Ok(At::Closed),
        (At::After, b',') => Ok(At::Next),
        _ => Err(Malformed::Unexpected),
    }
}

/// Inside of an entry, outside of strings.
fn within(byte: u8, start: usize, depth: usize) -> At {
    match byte {
        b'"' => At::Text { start, depth },
        b'{' | b'[' => At::Entry { start, depth: depth + 1 },
        b'}' | b']' if depth == 1 => At::After,
        b'}' | b']' => At::Entry { start, depth: depth - 1 },
        _ => At::Entry { start, depth },
    }
}
