//! Steps over JSON text that is already known to be readable.
//!
//! Syntax is `serde_json`'s business, in [`Json::read`](crate::json::Json::read).
//! What is left is finding where things end, without recursion and without
//! copying. On text that is not readable the answers are wrong, but it never
//! panics and always ends.

use crate::json::Json;

/// A position in readable JSON.
pub(crate) struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    /// At the first byte of a value.
    pub(crate) fn over(json: Json<'a>) -> Self {
        Self { text: json.as_str(), at: 0 }
    }

    /// How many bytes are behind.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next byte, unless the text has ended.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over the next byte if it is this one.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Steps over white space between tokens.
    pub(crate) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Steps over white space, and the comma or colon in it.
    pub(crate) fn skip_separator(&mut self) {
        while matches!(self.peek(), Some(b',' | b':' | b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Steps over a string, and gives it with its quotes.
    pub(crate) fn string(&mut self) -> Json<'a> {
        let start = self.at;
        self.at += 1;
        while let Some(rest) = self.text.as_bytes().get(self.at..) {
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                break;
            };
            if rest[found] == b'"' {
                self.at += found + 1;
                return self.since(start);
            }
            self.at += found + 2;
        }
        self.at = self.text.len();
        self.since(start)
    }

    /// Steps over a number, `true`, `false` or `null`.
    pub(crate) fn scalar(&mut self) -> Json<'a> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
        self.since(start)
    }

    /// Steps over any value, however deep, counting brackets.
    pub(crate) fn value(&mut self) -> Json<'a> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string();
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                Some(b',' | b':' | b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(_) => {
                    self.scalar();
                }
                None => return self.since(start),
            }
            if depth == 0 {
                return self.since(start);
            }
        }
    }

    fn since(&self, start: usize) -> Json<'a> {
        Json::part(self.text.get(start..self.at).unwrap_or_default())
    }
}
