//! Plain texts of an entry, each a type whose constructor is the proof of its limits.

use std::borrow::Cow;

use serde::Serialize;

use crate::{FieldCode, Masking};

/// Who did it, in which session, by which request.
pub type Ident = Text<1, 256>;
/// What kind of thing it was done to.
pub type ResourceType = Text<1, 64>;
/// Which thing it was done to.
pub type ResourceId = Text<0, 256>;

/// `MIN` to `MAX` characters, none of them NUL.
///
/// The database cannot hold NUL; all other control characters are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Text<const MIN: usize, const MAX: usize>(Cow<'static, str>);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// Reads a text that came from outside.
    pub fn parse<'t>(text: impl Into<Cow<'t, str>>) -> Result<Self, InvalidText> {
        let text = text.into();
        refuse_nul(&text)?;
        if is_longer_than(&text, MAX) {
            return Err(InvalidText::TooLong { chars_max: MAX });
        }
        if MIN > 0 && !is_longer_than(&text, MIN - 1) {
            return Err(InvalidText::TooShort { chars_min: MIN });
        }
        Ok(Self(Cow::Owned(text.into_owned())))
    }

    /// A text of this program, in ASCII; one that is not valid does not compile as a `const`.
    pub const fn from_static(text: &'static str) -> Self {
        assert!(text.is_ascii() && text.len() >= MIN && text.len() <= MAX, "not such a text");
        Self(Cow::Borrowed(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> std::fmt::Display for Text<MIN, MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a person reads about the entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message(String);

impl Message {
    /// In bytes, not characters: it is what the search index and the table pay for.
    pub const BYTES_MAX: usize = 8_192;

    /// Reads a message that came from outside.
    pub fn parse<'t>(text: impl Into<Cow<'t, str>>) -> Result<Self, InvalidText> {
        let text = text.into();
        refuse_nul(&text)?;
        if text.len() > Self::BYTES_MAX {
            return Err(InvalidText::TooManyBytes { bytes_max: Self::BYTES_MAX });
        }
        Ok(Self(text.into_owned()))
    }

    /// The message without card numbers; the mask is shorter than any of them.
    pub(crate) fn masked(self, masking: &Masking) -> Self {
        masking.text(&self.0).map_or(self, Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The program that the actor used. Long ones are cut, for no client can help what a browser sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserAgent(String);

impl UserAgent {
    /// Where it is cut.
    pub const CHARS_MAX: usize = 512;

    /// Keeps the first [`Self::CHARS_MAX`] characters; only NUL is refused, wherever it stands.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        refuse_nul(text)?;
        let end = text.char_indices().nth(Self::CHARS_MAX).map_or(text.len(), |(at, _)| at);
        Ok(Self(text[..end].to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text cannot stand in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Too few characters.
    #[error("must have at least {chars_min} character")]
    TooShort {
        /// How many it needs.
        chars_min: usize,
    },
    /// Too many characters.
    #[error("must have at most {chars_max} characters")]
    TooLong {
        /// How many it may have.
        chars_max: usize,
    },
    /// Too many bytes.
    #[error("must have at most {bytes_max} bytes in UTF-8")]
    TooManyBytes {
        /// How many it may have.
        bytes_max: usize,
    },
    /// The NUL character, which the database cannot hold.
    #[error("remove the NUL character")]
    Nul,
}

impl InvalidText {
    /// The stable code for clients.
    pub const fn code(self) -> FieldCode {
        match self {
            Self::TooShort { .. } => FieldCode::TooShort,
            Self::TooLong { .. } | Self::TooManyBytes { .. } => FieldCode::TooLong,
            Self::Nul => FieldCode::NulCharacter,
        }
    }
}

fn refuse_nul(text: &str) -> Result<(), InvalidText> {
    if memchr::memchr(0, text.as_bytes()).is_some() { Err(InvalidText::Nul) } else { Ok(()) }
}

/// Whether `text` has more than `chars` characters; looks no further than needed.
pub(crate) fn is_longer_than(text: &str, chars: usize) -> bool {
    text.len() > chars && text.chars().nth(chars).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_characters() {
        let parse = |text: &str| Ident::parse(text).map(|ident| ident.to_string());
        assert_eq!(parse("é"), Ok("é".to_owned()));
        assert_eq!(parse(&"é".repeat(256)), Ok("é".repeat(256)));
        assert_eq!(parse(&"é".repeat(257)), Err(InvalidText::TooLong { chars_max: 256 }));
        assert_eq!(parse(""), Err(InvalidText::TooShort { chars_min: 1 }));
        assert!(ResourceId::parse("").is_ok());
        assert!(ResourceType::parse("x".repeat(64)).is_ok());
        assert_eq!(
            ResourceType::parse("x".repeat(65)),
            Err(InvalidText::TooLong { chars_max: 64 })
        );
    }

    #[test]
    fn a_message_is_limited_in_bytes() {
        assert!(Message::parse("é".repeat(4_096)).is_ok());
        assert_eq!(
            Message::parse("x".repeat(8_193)),
            Err(InvalidText::TooManyBytes { bytes_max: 8_192 })
        );
        assert!(Message::parse("é".repeat(4_097)).is_err());
        assert!(Message::parse("").is_ok());
    }

    #[test]
    fn a_user_agent_is_cut_at_a_character() {
        assert_eq!(UserAgent::parse(&"é".repeat(512)).unwrap().as_str(), "é".repeat(512));
        assert_eq!(UserAgent::parse(&"é".repeat(513)).unwrap().as_str(), "é".repeat(512));
        assert_eq!(UserAgent::parse(&format!("{}\0", "x".repeat(600))), Err(InvalidText::Nul));
    }

    #[test]
    fn nul_is_refused_and_other_control_characters_are_kept() {
        assert_eq!(Ident::parse("a\0b"), Err(InvalidText::Nul));
        assert_eq!(Message::parse("\0"), Err(InvalidText::Nul));
        assert_eq!(Ident::parse("a\u{1}\n\u{7f}").unwrap().as_str(), "a\u{1}\n\u{7f}");
    }
}
