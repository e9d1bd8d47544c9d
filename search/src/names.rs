//! The names of indices, aliases and templates. Nothing else of ours puts one together.

use std::fmt;

use domain::{Place, Timestamp};
use thiserror::Error;

/// The template that this program makes, and whose documents it writes. It grows with each change
/// of the mapping or of what a document holds: an index says by its name whether it is up to date.
pub const TEMPLATE: u32 = 1;

/// What the names of one installation begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// The prefix cannot be the beginning of names of indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "use 1 to 80 of a-z, 0-9, - and _ for the names of indices, a letter or digit first, \
     and nothing like -v1-"
)]
pub struct InvalidPrefix;

impl Prefix {
    const LEN_MAX: usize = 80;

    /// Reads a setting.
    pub fn parse(text: &str) -> Result<Self, InvalidPrefix> {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let is_right = !text.is_empty()
            && text.len() <= Self::LEN_MAX
            && !text.starts_with(['-', '_'])
            && text.bytes().all(is_allowed)
            // Its indices would be taken for those of another prefix.
            && !text.match_indices("-v").any(|(at, _)| is_version(&text[at + 2..]));
        if is_right { Ok(Self(text.to_owned())) } else { Err(InvalidPrefix) }
    }

    /// The alias of everything that is searched.
    pub(crate) fn read_alias(&self) -> &str {
        &self.0
    }

    /// The alias that a month's new documents go to.
    pub(crate) fn write_alias(&self, month: Month) -> String {
        format!("{}-{month}", self.0)
    }

    /// The name of a template.
    pub(crate) fn template(&self, template: u32) -> String {
        format!("{}-v{template}", self.0)
    }

    /// Whether a template of ours has this name, of whatever version.
    pub(crate) fn is_template(&self, name: &str) -> bool {
        let version = name.strip_prefix(&self.0).and_then(|rest| rest.strip_prefix("-v"));
        version.is_some_and(|version| !version.is_empty() && number(version).is_some())
    }

    /// The indices that a template is for.
    pub(crate) fn pattern(&self, template: u32) -> String {
        format!("{}-v{template}-*", self.0)
    }

    /// Ours, and perhaps some of others, that [`Self::read_index`] tells apart.
    pub(crate) fn any_index(&self) -> String {
        format!("{}-v*", self.0)
    }

    /// An index of this name, if it can be one of ours.
    pub fn read_index(&self, name: &str) -> Option<IndexName> {
        let rest = name.strip_prefix(&self.0)?.strip_prefix("-v")?;
        let (template, rest) = rest.split_once('-')?;
        let (month, generation) = match rest.split_once('.') {
            Some((_, tail)) if tail.contains('.') => {
                let (month, generation) = rest.rsplit_once('.')?;
                (month, number(generation).filter(|generation| *generation > 1)?)
            }
            _ => (rest, 1),
        };
        let read = IndexName {
            prefix: self.clone(),
            template: number(template)?,
            month: Month::parse(month)?,
            generation,
        };
        (read.to_string() == name).then_some(read)
    }

    /// The first index of a month with this program's template.
    pub(crate) fn first_index(&self, month: Month) -> IndexName {
        IndexName { prefix: self.clone(), template: TEMPLATE, month, generation: 1 }
    }
}

fn is_version(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && text[digits..].starts_with('-')
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A month of UTC, in which entries were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: u16,
    month: u8,
}

impl Month {
    /// The month that a time is in.
    pub fn of(at: Timestamp) -> Self {
        let text = at.to_string();
        // A timestamp's text always begins with four digits, a hyphen and two more.
        let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse().ok());
        Self {
            year: part(0, 4).unwrap_or(0),
            month: part(5, 7).and_then(|month| u8::try_from(month).ok()).unwrap_or(1),
        }
    }

    /// The month of the entry at this place.
    pub fn of_place(place: Place) -> Self {
        Self::of(place.recorded_at)
    }

    /// Reads `2026.11`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('.')?;
        let read = Self { year: year.parse().ok()?, month: month.parse().ok()? };
        ((1..=12).contains(&read.month) && read.year <= 9_999 && read.to_string() == text)
            .then_some(read)
    }

    /// Its first moment.
    pub fn begin(self) -> Timestamp {
        let text = format!("{:04}-{:02}-01T00:00:00Z", self.year, self.month);
        Timestamp::parse(&text).unwrap_or(Timestamp::MAX)
    }

    /// The first moment after it.
    pub fn end(self) -> Timestamp {
        let (year, month) =
            if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        Self { year, month }.begin()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}.{:02}", self.year, self.month)
    }
}

/// The name of one of our indices: `audit-logs-v1-2026.11`, and when a month was built anew with the
/// same template, `audit-logs-v1-2026.11.2` and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexName {
    prefix: Prefix,
    template: u32,
    month: Month,
    generation: u32,
}

impl IndexName {
    /// The template that it was made by.
    pub fn template(&self) -> u32 {
        self.template
    }

    /// When its entries were recorded.
    pub fn month(&self) -> Month {
        self.month
    }

    /// How often the month was built with this template.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The same month once more.
    #[must_use]
    pub(crate) fn following(&self) -> Self {
        Self { generation: self.generation + 1, ..self.clone() }
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-v{}-{}", self.prefix.0, self.template, self.month)?;
        if self.generation > 1 {
            write!(f, ".{}", self.generation)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::parse(text).unwrap()
    }

    #[test]
    fn a_month_is_that_of_utc() {
        let month = |text| Month::of(Timestamp::parse(text).unwrap()).to_string();
        assert_eq!(month("2026-11-30T23:59:59.999Z"), "2026.11");
        assert_eq!(month("2026-12-01T00:59:59.999+01:00"), "2026.11");
        assert_eq!(month("2026-12-01T00:00:00Z"), "2026.12");
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let december = Month::parse("2026.12").unwrap();
        assert_eq!(december.begin().to_string(), "2026-12-01T00:00:00.000Z");
        assert_eq!(december.end().to_string(), "2027-01-01T00:00:00.000Z");
        assert_eq!(Month::of(december.end().plus_millis(-1)), december);
        assert_eq!(Month::of(december.end()).begin(), december.end());
    }

    #[test]
    fn names_lead_back() {
        let prefix = prefix("audit-logs");
        let first = prefix.first_index(Month::parse("2026.11").unwrap());
        assert_eq!(first.to_string(), format!("audit-logs-v{TEMPLATE}-2026.11"));
        for name in [first.clone(), first.following(), first.following().following()] {
            assert_eq!(prefix.read_index(&name.to_string()), Some(name));
        }
    }

    #[test]
    fn names_of_others_are_none_of_ours() {
        let prefix = prefix("audit-logs");
        for name in [
            "audit-logs",
            "audit-logs-2026.11",
            "audit-logs-v1",
            "audit-logs-v1-2026.13",
            "audit-logs-v01-2026.11",
            "audit-logs-v1-2026.11.1",
            "audit-logs-v1-2026.11.02",
            "audit-logs-v1-2026.11.2.3",
            "audit-logs-v1-2026.1",
            "audit-logs-v1-+026.11",
            "audit-logs-very-v1-2026.11",
            "other-v1-2026.11",
        ] {
            assert_eq!(prefix.read_index(name), None, "{name}");
        }
    }

    #[test]
    fn templates_of_every_version_and_of_nobody_else_are_ours() {
        let prefix = prefix("audit-logs");
        assert!(prefix.is_template(&prefix.template(TEMPLATE)));
        assert!(prefix.is_template("audit-logs-v12"));
        for name in ["audit-logs", "audit-logs-v", "audit-logs-v1x", "audit-logs-very-v1", "x-v1"] {
            assert!(!prefix.is_template(name), "{name}");
        }
    }

    #[test]
    fn a_prefix_is_a_name_and_no_pattern() {
        for text in ["audit-logs", "a", "audit-logs-very", "0_a", "t-vv1-x", "x-v1"] {
            assert!(Prefix::parse(text).is_ok(), "{text}");
        }
        for text in ["", "-a", "_a", "A", "a*", "a,b", "a.b", "a b", "ä", "a-v1-b", "a/b"] {
            assert_eq!(Prefix::parse(text), Err(InvalidPrefix), "{text}");
        }
        assert!(Prefix::parse(&"a".repeat(81)).is_err());
    }
}
