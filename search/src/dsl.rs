//! A query of ours as OpenSearch asks it: values in a tree of JSON, never text that is put together.
//!
//! Each part scores what `domain`'s matcher gives it: every score stands here, none is left to
//! OpenSearch's statistics, so a document's score is the same whatever else is in the index.

use domain::{Clause, ExactField, HasField, Phrase, Query, Term, WordField, weight};
use serde_json::{Value, json};

/// The fields made for searching, see [`domain::SearchedText`].
mod field {
    pub(super) const TEXT: &str = "text";
    pub(super) const KV: &str = "kv";
    pub(super) const MESSAGE_WORDS: &str = "message_words";
    pub(super) const USER_NAME_WORDS: &str = "user_name_words";
    pub(super) const USER_AGENT_WORDS: &str = "user_agent_words";
}

/// Words that a prefix inside a phrase may stand for; above it OpenSearch refuses the search.
pub const PHRASE_PREFIX_WORDS_MAX: u32 = 1_024;

/// What OpenSearch is asked for a query, with scores.
pub fn dsl(query: &Query) -> Value {
    clause(query.root(), scored)
}

/// The same where nobody looks at scores: what only adds to them is not even parsed.
pub(crate) fn dsl_unscored(query: &Query) -> Value {
    clause(query.root(), plain)
}

fn clause(part: &Clause, ask: fn(&Term) -> Value) -> Value {
    match part {
        Clause::All(parts) => all(parts, ask),
        Clause::Any(parts) => {
            let should: Vec<_> = parts.iter().map(|part| clause(part, ask)).collect();
            json!({ "bool": { "should": should, "minimum_should_match": 1 } })
        }
        Clause::Not(_) => all(std::slice::from_ref(part), ask),
        Clause::Term { term, .. } => ask(term),
    }
}

/// All that is not left out; of nothing but what is left out, everything else, without a score.
fn all(parts: &[Clause], ask: fn(&Term) -> Value) -> Value {
    let (mut must, mut must_not) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Clause::Not(inner) => must_not.push(clause(inner, ask)),
            _ => must.push(clause(part, ask)),
        }
    }
    if must.is_empty() {
        return json!({ "bool": { "filter": [{ "match_all": {} }], "must_not": must_not } });
    }
    json!({ "bool": { "must": must, "must_not": must_not } })
}

fn scored(term: &Term) -> Value {
    let base = constant(&plain(term), weight::MATCH);
    let Term::Words { phrase, exact } = term else { return base };
    let in_message = in_text(field::MESSAGE_WORDS, phrase);
    let mut should = vec![constant(&in_message, weight::IN_MESSAGE)];
    if let Some(exact) = exact {
        let fields = ExactField::ALL.map(|field| json!({ "term": { (field.name()): exact } }));
        let any = json!({ "bool": { "should": fields, "minimum_should_match": 1 } });
        should.push(constant(&any, weight::EXACT));
    }
    json!({ "bool": { "must": [base], "should": should } })
}

fn constant(filter: &Value, boost: f32) -> Value {
    json!({ "constant_score": { "filter": filter, "boost": boost } })
}

fn plain(term: &Term) -> Value {
    match term {
        Term::Words { phrase, .. } => in_text(field::TEXT, phrase),
        Term::In(field, phrase) => in_text(words_of(*field), phrase),
        Term::Is(field, values) => json!({ "terms": { (field.name()): values } }),
        Term::Begins(field, with) => begins(field.name(), with),
        Term::Has(field) => json!({ "exists": { "field": name(*field) } }),
        Term::Severity(severity) => json!({ "term": { "severity": severity.as_str() } }),
        Term::Address(range) => {
            let (first, last) = range.ends();
            json!({ "range": { "ip_address": { "gte": first, "lte": last } } })
        }
        Term::Seq(seq) => json!({ "term": { "seq": seq } }),
        Term::Place(place) => {
            let at = place.recorded_at.as_millis();
            let recorded_at = json!({ "range": { "recorded_at": { "gte": at, "lte": at, "format": "epoch_millis" } } });
            let seq = json!({ "term": { "seq": place.seq.get() } });
            json!({ "bool": { "filter": [recorded_at, seq] } })
        }
        Term::Pair(text) => json!({ "term": { (field::KV): text } }),
        Term::PairBegins(texts) => {
            let should: Vec<_> = texts.iter().map(|text| begins(field::KV, text)).collect();
            json!({ "bool": { "should": should, "minimum_should_match": 1 } })
        }
    }
}

fn begins(field: &str, with: &str) -> Value {
    json!({ "prefix": { (field): { "value": with } } })
}

/// The words in a row. They are cut already, and OpenSearch splits what we join.
fn in_text(field: &str, phrase: &Phrase) -> Value {
    match (phrase.words(), phrase.is_prefix()) {
        ([word], true) => begins(field, word),
        ([word], false) => json!({ "term": { (field): word } }),
        (words, false) => json!({ "match_phrase": { (field): words.join(" ") } }),
        (words, true) => begins_in_a_row(field, words),
    }
}

/// As `match_phrase_prefix`, which would look at the first few words that begin so and keep
/// silent about the others. This one refuses when there are too many.
fn begins_in_a_row(field: &str, words: &[String]) -> Value {
    let Some((last, first)) = words.split_last() else { return json!({ "match_none": {} }) };
    let row = json!({ "match": { "query": first.join(" "), "ordered": true, "max_gaps": 0 } });
    let pattern = format!("{}*", escaped(last));
    let end =
        json!({ "wildcard": { "pattern": pattern, "max_expansions": PHRASE_PREFIX_WORDS_MAX } });
    let rule = json!({ "all_of": { "intervals": [row, end], "ordered": true, "max_gaps": 0 } });
    json!({ "intervals": { (field): rule } })
}

/// A word as a pattern that stands for itself.
fn escaped(word: &str) -> String {
    let mut pattern = String::with_capacity(word.len());
    for c in word.chars() {
        if matches!(c, '*' | '?' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

fn words_of(field: WordField) -> &'static str {
    match field {
        WordField::Message => field::MESSAGE_WORDS,
        WordField::UserName => field::USER_NAME_WORDS,
        WordField::UserAgent => field::USER_AGENT_WORDS,
    }
}

fn name(field: HasField) -> &'static str {
    match field {
        HasField::Exact(field) => field.name(),
        HasField::Words(field) => words_of(field),
        HasField::Address => "ip_address",
    }
}
