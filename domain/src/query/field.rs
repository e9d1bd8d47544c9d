//! The fields that a query can name, and what their values mean.

use super::InvalidQuery;
use super::address::AddressRange;
use super::phrase::Phrase;
use super::reader::{Value, invalid};
use super::tree::{Clause, ExactField, HasField, Term, WordField, cut};
use crate::searched::{PAIR_BYTES_MAX, pair_text};
use crate::words::fold;
use crate::{Action, EntryId, Severity, StoredEntry};

/// Fields that hold JSON, whose parts a path names.
const JSON: [&str; 3] = ["before", "after", "metadata"];
/// Fields with an answer of their own to who asks for them.
const ELSEWHERE: [(&str, &str); 3] = [
    ("occurred_at", "times are asked for by the parameters `from` and `to`"),
    ("recorded_at", "times are asked for by the parameters `from` and `to`"),
    ("tenant_id", "a search never leaves the caller's tenant: leave it out"),
];
const LIKENESS_MIN: f64 = 0.7;

/// The name of a field, or a path into one.
#[derive(Debug, Default)]
pub(super) struct Name {
    path: String,
    written: String,
}

impl Name {
    pub(super) fn is_empty(&self) -> bool {
        self.path.is_empty()
    }

    /// A path may hold any sign that ends nothing, a plain name may not.
    pub(super) fn may_go_on_with(&self, c: char) -> bool {
        let is_first = self.path.is_empty();
        let plain = c.is_ascii_alphabetic() || c == '_' || (!is_first && c.is_ascii_digit());
        let in_path = !c.is_whitespace() && !":\"()*".contains(c);
        plain || (!is_first && c == '.') || (!is_first && c == '-') || (self.is_path() && in_path)
    }

    pub(super) fn may_be_quoted_here(&self) -> bool {
        self.is_path() && self.path.ends_with('.')
    }

    fn is_path(&self) -> bool {
        self.path.split_once('.').is_some_and(|(root, _)| JSON.contains(&root))
    }

    pub(super) fn push(&mut self, c: char) {
        self.path.push(c);
        self.written.push(c);
    }

    pub(super) fn push_quoted(&mut self, key: &str) {
        self.path.push_str(key);
        push_quoted(&mut self.written, key);
    }

    /// Whether there is such a field, even if it cannot be asked for.
    pub(super) fn is_known(&self) -> bool {
        self.is_path() || StoredEntry::FIELDS.contains(&self.path.as_str())
    }

    /// What to do about a field that nobody knows.
    pub(super) fn advice(&self) -> String {
        let likeness = |known: &str| strsim::jaro_winkler(&self.path.to_lowercase(), known);
        let known = StoredEntry::FIELDS.into_iter().map(|known| (likeness(known), known));
        let nearest = known
            .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
            .max_by(|(one, _), (other, _)| one.total_cmp(other));
        match nearest {
            Some((_, known)) => {
                format!("no such field; did you mean `{known}:`? To look for the text, put it in quotes")
            }
            None => "no such field; your own data is below `metadata.`, and text with a `:` goes in quotes"
                .to_owned(),
        }
    }
}

/// Words in any text.
pub(super) fn words(value: &Value) -> Result<Clause, InvalidQuery> {
    let phrase = phrase(value)?;
    let exact = (!value.is_prefix).then(|| value.text.clone());
    Ok(Clause::Term { term: Term::Words { phrase, exact }, written: written("", value) })
}

/// What `name:value` asks for; `at` is where it begins.
pub(super) fn term(name: &Name, value: &Value, at: usize) -> Result<Clause, InvalidQuery> {
    if value.text.is_empty() && !value.is_prefix {
        return invalid(
            value.at,
            "a value is missing: write it right behind the `:`, or `*` for any",
        );
    }
    if let Some((_, why)) = ELSEWHERE.iter().find(|(field, _)| *field == name.path) {
        return invalid(at, *why);
    }
    let term = match name.path.as_str() {
        "id" => id(value)?,
        "seq" => seq(value)?,
        "severity" => severity(value)?,
        "ip_address" => address(value)?,
        field => {
            if let Some(field) = ExactField::ALL.into_iter().find(|known| known.name() == field) {
                exact(field, value)
            } else if let Some(field) =
                WordField::ALL.into_iter().find(|known| known.name() == field)
            {
                in_words(field, value)?
            } else {
                pair(field, value)?
            }
        }
    };
    Ok(Clause::Term { term, written: written(&name.written, value) })
}

fn phrase(value: &Value) -> Result<Phrase, InvalidQuery> {
    let words = cut(&value.text);
    if !words.is_empty() {
        return Ok(Phrase::new(words, value.is_prefix && ends_in_a_word(&value.text)));
    }
    match value.text.as_str() {
        "" if value.is_prefix => {
            invalid(value.at, "a `*` alone is in every entry: write letters before it")
        }
        "" => invalid(value.at, "there is nothing in these quotes: leave them out"),
        _ => invalid(value.at, "no letter, digit or emoji to look for here: leave it out"),
    }
}

/// Whether a `*` behind it goes on with its last word.
fn ends_in_a_word(text: &str) -> bool {
    crate::words::pieces(text).last().is_some_and(|piece| piece.end() == text.len())
}

fn exact(field: ExactField, value: &Value) -> Term {
    if value.is_prefix {
        return match value.text.as_str() {
            "" => Term::Has(HasField::Exact(field)),
            text => Term::Begins(field, text.to_owned()),
        };
    }
    let mut values = vec![value.text.clone()];
    let upper = value.text.to_uppercase();
    let known = [Action::CREATE, Action::UPDATE, Action::DELETE, Action::VIEW];
    let is_known = known.iter().any(|action| action.as_str() == upper);
    if field == ExactField::Action && is_known && upper != value.text {
        values.push(upper);
    }
    Term::Is(field, values)
}

fn in_words(field: WordField, value: &Value) -> Result<Term, InvalidQuery> {
    if value.text.is_empty() {
        return Ok(Term::Has(HasField::Words(field)));
    }
    Ok(Term::In(field, phrase(value)?))
}

fn severity(value: &Value) -> Result<Term, InvalidQuery> {
    match Severity::parse(&value.text.to_uppercase()) {
        Ok(severity) if !value.is_prefix => Ok(Term::Severity(severity)),
        _ => invalid(
            value.at,
            "use one of INFO, WARNING, ERROR, CRITICAL; the parameter `severity_min` takes a range",
        ),
    }
}

fn address(value: &Value) -> Result<Term, InvalidQuery> {
    if value.text.is_empty() {
        return Ok(Term::Has(HasField::Address));
    }
    match AddressRange::parse(&value.text) {
        Some(range) if !value.is_prefix => Ok(Term::Address(range)),
        _ => invalid(value.at, "write an address, or a network like `192.0.2.0/24`"),
    }
}

fn seq(value: &Value) -> Result<Term, InvalidQuery> {
    match value.text.parse() {
        Ok(seq) if seq > 0 && !value.is_prefix => Ok(Term::Seq(seq)),
        _ => invalid(value.at, "write the number of an entry, from 1"),
    }
}

fn id(value: &Value) -> Result<Term, InvalidQuery> {
    match EntryId::parse(&value.text).ok().and_then(|id| id.place_said()) {
        Some(place) if !value.is_prefix => Ok(Term::Place(place)),
        _ => invalid(value.at, "write the whole id of an entry"),
    }
}

fn pair(path: &str, value: &Value) -> Result<Term, InvalidQuery> {
    let is_whole = !path.contains('.');
    let term = match (value.text.as_str(), value.is_prefix) {
        ("", _) if is_whole => Term::PairBegins(vec![fold(path)]),
        ("", _) => Term::PairBegins(vec![pair_text(path, ""), fold(&format!("{path}."))]),
        (text, true) => Term::PairBegins(vec![pair_text(path, text)]),
        (text, false) => Term::Pair(pair_text(path, text)),
    };
    if is_whole && path == "metadata" && !value.text.is_empty() {
        return invalid(value.at, "name a key of it, as in `metadata.order:7`");
    }
    let too_long = |text: &String| text.len() > PAIR_BYTES_MAX - CUT_BYTES;
    let texts = match &term {
        Term::Pair(text) => std::slice::from_ref(text),
        Term::PairBegins(texts) => texts,
        _ => &[],
    };
    if texts.iter().any(too_long) {
        return invalid(value.at, "path and value are too long: write the beginning and a `*`");
    }
    Ok(term)
}

/// Of what a pair ends in that was cut.
const CUT_BYTES: usize = '…'.len_utf8();

/// The one way to write a term: in quotes where it needs them.
fn written(name: &str, value: &Value) -> String {
    let mut written = name.to_owned();
    if !name.is_empty() {
        written.push(':');
    }
    let is_plain = |c: char| c.is_alphanumeric() || "_.@/+-".contains(c);
    let is_first_plain = value.text.starts_with(char::is_alphanumeric);
    let is_connective = ["AND", "OR", "NOT"].contains(&value.text.as_str());
    if is_first_plain && !is_connective && value.text.chars().all(is_plain) {
        written.push_str(&value.text);
    } else if !value.text.is_empty() {
        push_quoted(&mut written, &value.text);
    }
    if value.is_prefix {
        written.push('*');
    }
    written
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}
