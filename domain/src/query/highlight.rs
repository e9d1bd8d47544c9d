//! Where in an entry a query matches, for who shows it: plain text and offsets, nothing to escape.

use std::ops::ControlFlow;

use serde::Serialize;

use super::Query;
use super::phrase::Phrase;
use super::tree::{Clause, Term};
use crate::StoredEntry;
use crate::searched::{pair, visit_pairs};
use crate::values::Part;

/// Highlights of one entry.
pub const HIGHLIGHTS_MAX: usize = 10;
/// Ranges in one of them.
pub const RANGES_MAX: usize = 10;
/// Characters of one of them; of a longer text, what is around the first match.
pub const FRAGMENT_CHARS_MAX: usize = 200;
/// Of these, before the first match.
const LEAD_CHARS: usize = 40;

/// A text of an entry, or a part of it, in which something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Highlight {
    /// The field, or the path inside it; for a key, the path of the object it is in.
    pub field: String,
    /// As the entry has it, or a part of that.
    pub text: String,
    /// What was found in `text`, in order and apart: the first character of each, and the one
    /// behind its last.
    pub ranges: Vec<(usize, usize)>,
}

impl Query {
    /// Where an entry that matches has what was asked for, the fields that say most first.
    pub fn highlights(&self, entry: &StoredEntry<'_>) -> Vec<Highlight> {
        let mut terms = Vec::new();
        collect(self.root(), &mut terms);
        let mut found = Found { terms, highlights: Vec::new() };
        found.look_at_texts(entry);
        found.look_at_json(entry);
        found.highlights
    }
}

/// What was asked for, and not what was left out.
fn collect<'q>(clause: &'q Clause, terms: &mut Vec<&'q Term>) {
    match clause {
        Clause::All(parts) | Clause::Any(parts) => {
            for part in parts {
                collect(part, terms);
            }
        }
        Clause::Not(_) => {}
        Clause::Term { term, .. } => terms.push(term),
    }
}

struct Found<'q> {
    terms: Vec<&'q Term>,
    highlights: Vec<Highlight>,
}

impl Found<'_> {
    fn look_at_texts(&mut self, entry: &StoredEntry<'_>) {
        for (name, text) in entry.searched_texts() {
            let Some(text) = text else { continue };
            let of_term = |term: &&Term| ranges_in_field(term, entry, name, text);
            let ranges = self.terms.iter().flat_map(of_term).collect();
            self.note(|| name.to_owned(), text, ranges);
        }
    }

    fn look_at_json(&mut self, entry: &StoredEntry<'_>) {
        let pairs = self.pairs(entry);
        let mut at = 0;
        let _ = entry.visit_json::<()>(&mut |path, part| {
            let (text, is_value) = match part {
                Part::Key(text) => (text, false),
                Part::Value(text) => (text, true),
                Part::Null => ("null", true),
            };
            let mut ranges: Vec<_> = match part {
                Part::Null => Vec::new(),
                _ => self.phrases().flat_map(|phrase| phrase.ranges_in(text)).collect(),
            };
            if is_value && pairs.get(at).is_some_and(|is_found| *is_found) {
                ranges.push((0, text.len()));
            }
            at += usize::from(is_value);
            self.note(|| path.to_string(), text, ranges);
            if self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }

    /// Of each value that is kept as a pair, whether it was asked for by its path.
    fn pairs(&self, entry: &StoredEntry<'_>) -> Vec<bool> {
        let is_asked_for = |text: &str| {
            self.terms.iter().any(|term| match term {
                Term::Pair(asked) => text == asked,
                Term::PairBegins(asked) => asked.iter().any(|asked| text.starts_with(asked)),
                _ => false,
            })
        };
        let mut found = Vec::new();
        if self.terms.iter().any(|term| matches!(term, Term::Pair(_) | Term::PairBegins(_))) {
            let _ = visit_pairs::<()>(entry, &mut |path, value| {
                found.push(is_asked_for(&pair(path, value)));
                ControlFlow::Continue(())
            });
        }
        found
    }

    fn phrases(&self) -> impl Iterator<Item = &Phrase> {
        self.terms.iter().filter_map(|term| match term {
            Term::Words { phrase, .. } => Some(phrase),
            _ => None,
        })
    }

    fn is_full(&self) -> bool {
        self.highlights.len() == HIGHLIGHTS_MAX
    }

    fn note(&mut self, field: impl Fn() -> String, text: &str, mut ranges: Vec<(usize, usize)>) {
        ranges.retain(|(start, end)| start < end);
        if ranges.is_empty() || self.is_full() {
            return;
        }
        let (text, ranges) = fragment(text, joined(ranges));
        self.highlights.push(Highlight { field: field(), text, ranges });
    }
}

fn ranges_in_field(
    term: &Term,
    entry: &StoredEntry<'_>,
    name: &str,
    text: &str,
) -> Vec<(usize, usize)> {
    let whole = |is_it: bool| if is_it { vec![(0, text.len())] } else { Vec::new() };
    match term {
        Term::Words { phrase, .. } => phrase.ranges_in(text),
        Term::In(field, phrase) if field.name() == name => phrase.ranges_in(text),
        Term::Begins(field, with) if field.name() == name && text.starts_with(with) => {
            vec![(0, with.len())]
        }
        Term::Is(field, _) => whole(field.name() == name && term.matches(entry)),
        Term::Address(_) => whole(name == "ip_address" && term.matches(entry)),
        _ => Vec::new(),
    }
}

/// In order, and those that touch as one.
fn joined(mut ranges: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    ranges.sort_unstable();
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for (start, end) in ranges {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// What is shown of a text, and the ranges in it, in characters.
fn fragment(text: &str, ranges: Vec<(usize, usize)>) -> (String, Vec<(usize, usize)>) {
    let count = |part: &str| part.chars().count();
    let first = ranges.first().map_or(0, |(start, _)| count(&text[..*start]));
    let is_long = crate::text::is_longer_than(text, FRAGMENT_CHARS_MAX);
    let skipped = if is_long { first.saturating_sub(LEAD_CHARS) } else { 0 };
    let shown: String = text.chars().skip(skipped).take(FRAGMENT_CHARS_MAX).collect();
    let len = count(&shown);
    let mut in_chars = Vec::new();
    let (mut byte, mut at) = (0, 0);
    for (start, end) in ranges.into_iter().take(RANGES_MAX) {
        let begins = at + count(&text[byte..start]);
        let ends = begins + count(&text[start..end]);
        (byte, at) = (end, ends);
        let shown = (begins - skipped, (ends - skipped).min(len));
        if shown.0 < shown.1 {
            in_chars.push(shown);
        }
    }
    (shown, in_chars)
}
