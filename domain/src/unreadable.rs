//! Bodies that cannot be read at all, and where they break.

use crate::{FieldCode, FieldProblem};

/// A body, or a line of one, that is not JSON in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {detail}")]
pub struct Unreadable {
    /// The line of the whole body, from 1.
    pub line: usize,
    /// The *byte* of that line, from 1, where reading stopped.
    pub column: usize,
    /// What is wrong there. Never holds any part of the body.
    pub detail: String,
    /// Which promise of readable JSON is broken.
    pub kind: UnreadableKind,
}

/// The promises that readable JSON keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableKind {
    /// Its bytes are UTF-8.
    Utf8,
    /// It follows the grammar of RFC 8259.
    Syntax,
    /// Its escaped surrogates come in pairs, so its strings are Unicode.
    LoneSurrogate,
}

impl Unreadable {
    pub(crate) fn at_byte(body: &[u8], offset: usize, kind: UnreadableKind) -> Self {
        let before = &body[..offset];
        let detail = match kind {
            UnreadableKind::Utf8 => "send the body as UTF-8",
            UnreadableKind::Syntax => "send JSON",
            UnreadableKind::LoneSurrogate => "write a surrogate escape only as half of a pair",
        };
        Self {
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            column: offset - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) + 1,
            detail: detail.to_owned(),
            kind,
        }
    }

    pub(crate) fn from_json(error: &serde_json::Error) -> Self {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let text = error.to_string();
        Self {
            line: error.line().max(1),
            column: error.column().max(1),
            detail: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
            kind: UnreadableKind::Syntax,
        }
    }

    /// The same, when what was read is line `line` of a greater body.
    #[must_use]
    pub(crate) fn on_line(mut self, line: usize) -> Self {
        self.line += line - 1;
        self
    }
}

/// One line of many that is not readable is a problem of that entry.
impl From<&Unreadable> for FieldProblem {
    fn from(unreadable: &Unreadable) -> Self {
        Self::new("", FieldCode::UnreadableJson, unreadable)
    }
}

/// The body as text, or where it stops being UTF-8.
pub fn utf8(body: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(body)
        .map_err(|error| Unreadable::at_byte(body, error.valid_up_to(), UnreadableKind::Utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_utf8_is_found_by_line_and_byte() {
        assert_eq!(utf8("é\n".as_bytes()), Ok("é\n"));
        for (body, line, column) in [
            (&b"\xff"[..], 1, 1),
            (b"ab\xff", 1, 3),
            (b"a\n\xff", 2, 1),
            (b"a\n\n\xc3\xa9b\xc3", 3, 4),
        ] {
            let broken = utf8(body).unwrap_err();
            assert_eq!((broken.line, broken.column), (line, column), "{body:?}");
            assert_eq!(broken.kind, UnreadableKind::Utf8);
        }
    }
}
