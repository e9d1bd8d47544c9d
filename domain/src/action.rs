//! What was done.

use std::borrow::Cow;

use serde::Serialize;

use crate::FieldCode;

/// What was done, like `UPDATE` or `invoice.approved`: 1 to 64 of `A-Z a-z 0-9 . _ : -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Action(Cow<'static, str>);

impl Action {
    /// Long enough for every real name we have seen, short enough to index.
    pub const LEN_MAX: usize = 64;

    /// Something was made.
    pub const CREATE: Self = Self::from_static("CREATE");
    /// Something was changed.
    pub const UPDATE: Self = Self::from_static("UPDATE");
    /// Something was removed.
    pub const DELETE: Self = Self::from_static("DELETE");
    /// Something was looked at.
    pub const VIEW: Self = Self::from_static("VIEW");

    /// Reads an action that a client named.
    pub fn parse<'t>(text: impl Into<Cow<'t, str>>) -> Result<Self, InvalidAction> {
        let text = text.into();
        check(&text)?;
        Ok(Self(Cow::Owned(text.into_owned())))
    }

    /// An action that this program names; one that is not valid does not compile as a `const`.
    pub const fn from_static(text: &'static str) -> Self {
        assert!(check(text).is_ok(), "not an action");
        Self(Cow::Borrowed(text))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn check(text: &str) -> Result<(), InvalidAction> {
    let mut rest = text.as_bytes();
    if rest.is_empty() {
        return Err(InvalidAction::TooShort);
    }
    while let [first, others @ ..] = rest {
        if !matches!(first, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b':' | b'-') {
            return Err(InvalidAction::Characters);
        }
        rest = others;
    }
    if text.len() > Action::LEN_MAX { Err(InvalidAction::TooLong) } else { Ok(()) }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a text is not an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAction {
    /// Nothing in it.
    #[error("must not be empty")]
    TooShort,
    /// More than [`Action::LEN_MAX`] characters.
    #[error("must have at most {} characters", Action::LEN_MAX)]
    TooLong,
    /// A character outside the set.
    #[error("use only letters A to Z and a to z, digits, `.`, `_`, `:` and `-`")]
    Characters,
}

impl InvalidAction {
    /// The stable code for clients.
    pub const fn code(self) -> FieldCode {
        match self {
            Self::TooShort => FieldCode::TooShort,
            Self::TooLong => FieldCode::TooLong,
            Self::Characters => FieldCode::InvalidCharacters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_1_to_64_characters_of_the_set() {
        let parse = |text: &str| Action::parse(text).map(|action| action.to_string());
        assert_eq!(parse("a"), Ok("a".to_owned()));
        assert_eq!(parse("Az09._:-"), Ok("Az09._:-".to_owned()));
        assert_eq!(parse(&"x".repeat(64)), Ok("x".repeat(64)));
        assert_eq!(parse(&"x".repeat(65)), Err(InvalidAction::TooLong));
        assert_eq!(parse(""), Err(InvalidAction::TooShort));
        for text in ["a b", "a/b", "é", "a\0", "a\n", "a@"] {
            assert_eq!(parse(text), Err(InvalidAction::Characters), "{text:?}");
        }
    }
}
