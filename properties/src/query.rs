//! The query language: read, written again, matched, and put to OpenSearch.

use domain::{
    Clause, FRAGMENT_CHARS_MAX, HIGHLIGHTS_MAX, Highlight, Phrase, QUERY_BYTES_MAX,
    QUERY_TERMS_MAX, Query, RANGES_MAX, SearchedText, StoredEntry, Term, WordField,
};
use serde_json::Value;

use crate::sample::{place, plain};

/// Of a query as OpenSearch gets it: each text stands there up to ten times, and folding makes some
/// characters many.
const DSL_BYTES_MAX: usize = 256 << 10;
/// `bool` in `bool`: OpenSearch takes 20.
const BOOLS_MAX: usize = 20;

/// The first line is the query, the rest a text to look in; the query itself where there is none.
pub(crate) fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (asked, text) = text.split_once('\n').unwrap_or((&text, &text));
    let query = match Query::parse(asked) {
        Ok(query) => query,
        Err(invalid) => {
            assert!((1..=asked.chars().count() + 1).contains(&invalid.column), "{invalid}");
            assert!(!invalid.why.is_empty());
            return;
        }
    };
    assert!(asked.len() <= QUERY_BYTES_MAX);
    let form = query.to_string();
    // The form may be longer than what was written, but within the limit it is the same query.
    if form.len() <= QUERY_BYTES_MAX {
        assert_eq!(Query::parse(&form), Ok(query.clone()), "{form}");
    }
    assert_dsl(&query);
    assert_looked_for(&query, text);
    assert_finds_itself(text);
}

fn assert_dsl(query: &Query) {
    let dsl = search::dsl(query);
    let text = dsl.to_string();
    assert!(text.len() <= DSL_BYTES_MAX, "{} bytes", text.len());
    assert_eq!(serde_json::from_str::<Value>(&text).ok().as_ref(), Some(&dsl));
    assert!(bools(&dsl) <= BOOLS_MAX, "{text}");
}

fn bools(value: &Value) -> usize {
    match value {
        Value::Object(members) => {
            let inside =
                |(key, value): (&String, &Value)| usize::from(key == "bool") + bools(value);
            members.iter().map(inside).max().unwrap_or(0)
        }
        Value::Array(items) => items.iter().map(bools).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// In an entry with this text in several of its fields.
fn assert_looked_for(query: &Query, text: &str) {
    let json = serde_json::json!({ "a": text, "k": [1, null, { text: true }] }).to_string();
    let entry = StoredEntry {
        user_name: Some(text),
        resource_id: Some(text),
        message: Some(text),
        ip_address: Some("192.0.2.7"),
        after: Some(&json),
        ..plain(place(7))
    };
    let score = query.score(&entry);
    assert!(score.is_finite() && score >= 0.0);
    assert!(query.matches(&entry) || score == 0.0);
    let mut terms = Vec::new();
    collect(query.root(), &mut terms);
    assert!((1..=QUERY_TERMS_MAX).contains(&terms.len()));
    let searched = SearchedText::of(&entry);
    for (term, written) in terms {
        assert_alike(term, written, &entry, &searched);
    }
    assert_shown(&query.highlights(&entry));
}

fn collect<'q>(clause: &'q Clause, terms: &mut Vec<(&'q Term, &'q str)>) {
    match clause {
        Clause::All(parts) | Clause::Any(parts) => {
            for part in parts {
                collect(part, terms);
            }
        }
        Clause::Not(inner) => collect(inner, terms),
        Clause::Term { term, written } => terms.push((term, written)),
    }
}

/// The matcher and what the index is given say the same of each term alone.
fn assert_alike(term: &Term, written: &str, entry: &StoredEntry<'_>, searched: &SearchedText) {
    if written.len() > QUERY_BYTES_MAX {
        return;
    }
    let alone = Query::parse(written).unwrap_or_else(|invalid| panic!("{written}: {invalid}"));
    let Clause::Term { term: again, .. } = alone.root() else { panic!("{written} is no term") };
    assert_eq!(again, term, "{written}");
    if let Some(found) = found_in_index(term, searched) {
        assert_eq!(alone.matches(entry), found, "{written} in {searched:?}");
    }
}

/// What OpenSearch would find in the fields that are made for searching; `None`: in others.
fn found_in_index(term: &Term, searched: &SearchedText) -> Option<bool> {
    let is_in = |text: Option<&String>, phrase| text.is_some_and(|text| has(text, phrase));
    Some(match term {
        Term::Words { phrase, .. } => searched.text.iter().any(|text| has(text, phrase)),
        Term::In(WordField::Message, phrase) => is_in(searched.message.as_ref(), phrase),
        Term::In(WordField::UserName, phrase) => is_in(searched.user_name.as_ref(), phrase),
        Term::In(WordField::UserAgent, phrase) => is_in(searched.user_agent.as_ref(), phrase),
        Term::Pair(pair) => searched.kv.contains(pair),
        Term::PairBegins(begins) => {
            searched.kv.iter().any(|pair| begins.iter().any(|begin| pair.starts_with(begin)))
        }
        _ => return None,
    })
}

/// The words in a row, where a text is cut at its spaces.
fn has(text: &str, phrase: &Phrase) -> bool {
    let words: Vec<_> = text.split(' ').collect();
    let asked = phrase.words();
    words.windows(asked.len()).any(|window| {
        (1..).zip(window.iter().zip(asked)).all(|(at, (word, wanted))| {
            let begins = phrase.is_prefix() && at == asked.len();
            if begins { word.starts_with(wanted.as_str()) } else { word == wanted }
        })
    })
}

/// What is shown can be cut by characters, in order, within its bounds.
fn assert_shown(highlights: &[Highlight]) {
    assert!(highlights.len() <= HIGHLIGHTS_MAX);
    for Highlight { text, ranges, .. } in highlights {
        let len = text.chars().count();
        assert!(len <= FRAGMENT_CHARS_MAX);
        assert!((1..=RANGES_MAX).contains(&ranges.len()));
        let mut behind = 0;
        for (start, end) in ranges {
            assert!(behind <= *start && start < end && *end <= len, "{ranges:?} of {len}");
            behind = *end;
        }
    }
}

/// A text in quotes finds the entry that says just that.
fn assert_finds_itself(text: &str) {
    let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let Ok(query) = Query::parse(&quoted) else { return };
    let entry = StoredEntry { message: Some(text), ..plain(place(7)) };
    assert!(query.matches(&entry), "{quoted}");
    assert!(!query.highlights(&entry).is_empty(), "{quoted}");
}
