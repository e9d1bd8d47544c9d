//! A query on an entry: whether it matches, and how well.
//!
//! What stands here, OpenSearch must find, too: no more, no less, and with the same score. The
//! table of cases in `domain/tests/search_cases.json` runs on both.

use std::ops::ControlFlow;

use super::phrase::Phrase;
use super::tree::{Clause, ExactField, HasField, Term, WordField};
use super::{Query, weight};
use crate::StoredEntry;
use crate::searched::{pair, visit_pairs};
use crate::values::Part;
use crate::words::pieces;

impl Query {
    /// Whether an entry is one of those asked for.
    pub fn matches(&self, entry: &StoredEntry<'_>) -> bool {
        self.root().matches(entry)
    }

    /// How well an entry matches that does; 0 for one that does not.
    pub fn score(&self, entry: &StoredEntry<'_>) -> f32 {
        if self.matches(entry) { self.root().score(entry) } else { 0.0 }
    }
}

impl Clause {
    fn matches(&self, entry: &StoredEntry<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(entry)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(entry)),
            Self::Not(inner) => !inner.matches(entry),
            Self::Term { term, .. } => term.matches(entry),
        }
    }

    /// Of an entry that this matches.
    fn score(&self, entry: &StoredEntry<'_>) -> f32 {
        match self {
            Self::All(parts) => parts.iter().map(|part| part.score(entry)).sum(),
            Self::Any(parts) => {
                let matching = parts.iter().filter(|part| part.matches(entry));
                matching.map(|part| part.score(entry)).sum()
            }
            Self::Not(_) => 0.0,
            Self::Term { term, .. } => term.score(entry),
        }
    }
}

impl Term {
    pub(super) fn matches(&self, entry: &StoredEntry<'_>) -> bool {
        match self {
            Self::Words { phrase, .. } => is_anywhere(phrase, entry),
            Self::In(field, phrase) => field.of(entry).is_some_and(|text| phrase.is_in(text)),
            Self::Is(field, values) => {
                field.of(entry).is_some_and(|text| values.iter().any(|value| value == text))
            }
            Self::Begins(field, with) => field.of(entry).is_some_and(|text| text.starts_with(with)),
            Self::Has(field) => field.is_in(entry),
            Self::Severity(severity) => entry.severity == *severity,
            Self::Address(range) => entry.ip_address.is_some_and(|text| range.contains(text)),
            Self::Seq(seq) => entry.place.seq.get() == *seq,
            Self::Place(place) => entry.place == *place,
            Self::Pair(asked) => has_pair(entry, |text| text == asked),
            Self::PairBegins(asked) => {
                has_pair(entry, |text| asked.iter().any(|asked| text.starts_with(asked)))
            }
        }
    }

    fn score(&self, entry: &StoredEntry<'_>) -> f32 {
        let mut score = weight::MATCH;
        if let Self::Words { phrase, exact } = self {
            if entry.message.is_some_and(|message| phrase.is_in(message)) {
                score += weight::IN_MESSAGE;
            }
            let is_exact = |field: ExactField| field.of(entry) == exact.as_deref();
            if exact.is_some() && ExactField::ALL.into_iter().any(is_exact) {
                score += weight::EXACT;
            }
        }
        score
    }
}

fn is_anywhere(phrase: &Phrase, entry: &StoredEntry<'_>) -> bool {
    let mut texts = entry.searched_texts().into_iter().filter_map(|(_, text)| text);
    texts.any(|text| phrase.is_in(text)) || is_in_json(phrase, entry)
}

fn is_in_json(phrase: &Phrase, entry: &StoredEntry<'_>) -> bool {
    let found = entry.visit_json(&mut |_, part| match part {
        Part::Key(text) | Part::Value(text) if phrase.is_in(text) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

fn has_pair(entry: &StoredEntry<'_>, is_asked_for: impl Fn(&str) -> bool) -> bool {
    let found = visit_pairs(entry, &mut |path, value| {
        if is_asked_for(&pair(path, value)) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    matches!(found, ControlFlow::Break(Some(())))
}

impl ExactField {
    pub(super) fn of<'a>(self, entry: &StoredEntry<'a>) -> Option<&'a str> {
        match self {
            Self::RecordedBy => Some(entry.recorded_by),
            Self::UserId => Some(entry.user_id),
            Self::SessionId => entry.session_id,
            Self::RequestId => entry.request_id,
            Self::Action => Some(entry.action),
            Self::ResourceType => Some(entry.resource_type),
            Self::ResourceId => entry.resource_id,
        }
    }
}

impl WordField {
    pub(super) fn of<'a>(self, entry: &StoredEntry<'a>) -> Option<&'a str> {
        match self {
            Self::Message => entry.message,
            Self::UserName => entry.user_name,
            Self::UserAgent => entry.user_agent,
        }
    }
}

impl HasField {
    fn is_in(self, entry: &StoredEntry<'_>) -> bool {
        match self {
            Self::Exact(field) => field.of(entry).is_some(),
            Self::Words(field) => field.of(entry).is_some_and(|text| pieces(text).next().is_some()),
            Self::Address => entry.ip_address.is_some(),
        }
    }
}
