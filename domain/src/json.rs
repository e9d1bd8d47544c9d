//! Readable JSON: text that is proven to follow the grammar and to be Unicode.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use crate::unreadable::{Unreadable, UnreadableKind};
use crate::walk::Walk;

/// One JSON value as it was written, without white space around it.
///
/// The type is the proof: the grammar holds, and surrogate escapes come in
/// pairs, also in every part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Proves `text`. Does not recurse, so any depth of nesting is fine.
    pub(crate) fn read(text: &'a str) -> Result<Self, Unreadable> {
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|error| Unreadable::from_json(&error))?;
        match lone_surrogate(text) {
            None => Ok(Self(raw.get())),
            Some(at) => {
                Err(Unreadable::at_byte(text.as_bytes(), at, UnreadableKind::LoneSurrogate))
            }
        }
    }

    /// A value or key inside one that is proven: for [`Walk`] alone.
    pub(crate) fn part(text: &'a str) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(self) -> &'a str {
        self.0
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// The text that this string stands for.
    pub(crate) fn decode(self) -> Cow<'a, str> {
        if self.has_escape() {
            let text = serde_json::from_str(self.0);
            return Cow::Owned(text.expect("a readable string has a text"));
        }
        Cow::Borrowed(self.0.trim_matches('"'))
    }

    /// As [`Self::decode`], but of a string that nobody has proven: half a character becomes U+FFFD.
    pub(crate) fn decode_lossy(self) -> Cow<'a, str> {
        if !self.has_escape() {
            return Cow::Borrowed(self.0.trim_matches('"'));
        }
        let text = serde_json::from_str(self.0);
        Cow::Owned(text.unwrap_or_else(|_| without_half_characters(self.0)))
    }

    pub(crate) fn has_escape(self) -> bool {
        memchr::memchr(b'\\', self.0.as_bytes()).is_some()
    }

    /// Keys and values of this object, as written.
    pub(crate) fn members(self) -> impl Iterator<Item = (Json<'a>, Json<'a>)> {
        let mut walk = Walk::over(self);
        walk.take(b'{');
        std::iter::from_fn(move || {
            walk.skip_separator();
            let key = (walk.peek() == Some(b'"')).then(|| walk.string())?;
            walk.skip_separator();
            Some((key, walk.value()))
        })
    }

    /// The values of this array, as written.
    pub(crate) fn elements(self) -> impl Iterator<Item = Json<'a>> {
        let mut walk = Walk::over(self);
        walk.take(b'[');
        std::iter::from_fn(move || {
            walk.skip_separator();
            let more = walk.peek().is_some_and(|byte| byte != b']');
            more.then(|| walk.value())
        })
    }
}

/// The types that JSON has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// The text of a string whose escapes of half characters stand for U+FFFD.
fn without_half_characters(token: &str) -> String {
    let mut token = token.to_owned();
    while let Some(at) = lone_surrogate(&token) {
        token.replace_range(at..at + 6, "\u{fffd}");
    }
    serde_json::from_str(&token).unwrap_or_default()
}

/// Where an escape stands for half a character, in text that follows the grammar.
fn lone_surrogate(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        // In such text a backslash is always the start of an escape.
        at += memchr::memchr(b'\\', &bytes[at..])?;
        at += match escaped_unit(&bytes[at..]) {
            None => 2,
            Some(0xd800..=0xdbff) => match escaped_unit(&bytes[at + 6..]) {
                Some(0xdc00..=0xdfff) => 12,
                _ => return Some(at),
            },
            Some(0xdc00..=0xdfff) => return Some(at),
            Some(_) => 6,
        };
    }
}

/// The UTF-16 unit of a `\u` escape at the start of `bytes`.
fn escaped_unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(br"\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_a_character_is_not_readable() {
        for (text, column) in [
            (r#""\ud800""#, 2),
            (r#""\uDBFF\n""#, 2),
            (r#""ab\udc00""#, 4),
            (r#"{"\ud83d\ude00":"\ud83d"}"#, 18),
            (r#"["\ud800\ud800\udc00"]"#, 3),
            (r#""\ud800\\udc00""#, 2),
        ] {
            let broken = Json::read(text).unwrap_err();
            assert_eq!((broken.line, broken.column), (1, column), "{text}");
            assert_eq!(broken.kind, UnreadableKind::LoneSurrogate);
        }
    }

    #[test]
    fn pairs_and_escaped_backslashes_are_readable() {
        for (text, meaning) in [
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\\ud800""#, r"\ud800"),
            (r#""\ud7ff\ue000""#, "\u{d7ff}\u{e000}"),
        ] {
            assert_eq!(Json::read(text).unwrap().decode(), meaning);
        }
    }

    #[test]
    fn half_a_character_is_replaced_where_it_is_not_refused() {
        for (text, meaning) in [
            (r#""a\ud800b\udc00\n""#, "a\u{fffd}b\u{fffd}\n"),
            (r#""\ud800\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""plain""#, "plain"),
            (r#""\ud800"#, ""),
        ] {
            assert_eq!(Json::part(text).decode_lossy(), meaning, "{text}");
        }
    }

    #[test]
    fn an_error_says_line_and_byte_but_nothing_of_the_body() {
        for (text, line, column, detail) in [
            ("", 1, 1, "EOF while parsing a value"),
            ("{\"secret\" 1}", 1, 11, "expected `:`"),
            ("[1,\n  secret]", 2, 3, "expected value"),
            ("{\"é\":nul}", 1, 10, "expected ident"),
            ("[1] 2", 1, 5, "trailing characters"),
            ("[\"\n\"]", 1, 2, "control character (\\u0000-\\u001F) found while parsing a string"),
        ] {
            let broken = Json::read(text).unwrap_err();
            assert_eq!((broken.line, broken.column), (line, column), "{text}");
            assert_eq!(broken.detail, detail);
            assert_eq!(broken.kind, UnreadableKind::Syntax);
        }
    }

    #[test]
    fn parts_are_found_as_they_were_written() {
        let json = Json::read(r#" { "a\"}" : [ 1 , "]" ] , "" : { } , "b":-1e5 } "#).unwrap();
        let members: Vec<_> = json.members().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expected = [(r#""a\"}""#, r#"[ 1 , "]" ]"#), (r#""""#, "{ }"), (r#""b""#, "-1e5")];
        assert_eq!(members, expected);
        let elements: Vec<_> = Json::part(members[0].1).elements().map(Json::as_str).collect();
        assert_eq!(elements, ["1", r#""]""#]);
    }

    proptest! {
        #[test]
        fn walking_over_anything_ends(text in r#"[\[\]{}",:\\ é1n]{0,40}"#) {
            let json = Json::part(&text);
            let members = json.members().map(|(key, value)| key.as_str().len() + value.as_str().len());
            prop_assert!(members.sum::<usize>() <= text.len());
            prop_assert!(json.elements().map(|value| value.as_str().len()).sum::<usize>() <= text.len());
        }
    }
}
