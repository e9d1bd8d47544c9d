//! One entry as a client sends it: read, checked, answered, sent again, queued, indexed.

use std::collections::BTreeMap;

use domain::{
    ENTRY_BYTES_MAX, Entry, EntryDraft, FieldProblem, KeptEntry, MASK, Masking, MessageWriter,
    NewEntry, PAIR_BYTES_MAX, PAIRS_MAX, PROBLEMS_MAX, SearchedText, StoredEntry, read_message,
    utf8, write_queued,
};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::place::assert_inside;
use crate::sample::{TENANT, check, last_place, owner};

/// Of an answer that tells of so many problems, each with a path and advice.
const PROBLEMS_BYTES_MAX: usize = 32 << 10;

/// Fields that the service gives, which nobody may send.
const GIVEN: [&str; 5] = ["id", "seq", "tenant_id", "recorded_at", "recorded_by"];

pub(crate) fn entry(bytes: &[u8]) {
    let text = match utf8(bytes) {
        Ok(text) => text,
        Err(broken) => return assert_inside(bytes, &broken),
    };
    let draft = match EntryDraft::read(text) {
        Ok(draft) => draft,
        Err(broken) => return assert_inside(bytes, &broken),
    };
    for masking in [Masking::default(), Masking::off()] {
        match check(&draft, &masking) {
            Ok(entry) => assert_sound(text, &entry, &masking),
            Err(problems) => assert_told(&problems),
        }
    }
}

fn assert_told(problems: &[FieldProblem]) {
    assert!((1..=PROBLEMS_MAX).contains(&problems.len()));
    let answer = serde_json::to_string(problems).expect("problems have a JSON form");
    assert!(answer.len() <= PROBLEMS_BYTES_MAX, "{} bytes of problems", answer.len());
}

/// What was accepted can be kept, answered and sent on, and stays what it is on each of these ways.
fn assert_sound(sent: &str, entry: &NewEntry, masking: &Masking) {
    let address = entry.ip_address.map(|address| address.to_string());
    let stored = entry.stored_at(last_place(), address.as_deref());
    let answer = assert_answered(entry, &stored);
    assert_accepted_again(&answer, entry, masking);
    if masking.is_enabled() {
        assert_masked(&stored);
    } else {
        assert_meant(sent, &stored);
    }
    assert_queued(&stored);
    assert_indexed(&stored);
    assert_eq!(KeptEntry::of(&stored).entry(), stored);
}

/// Both ways to write an entry say the same, within the limit.
fn assert_answered(entry: &NewEntry, stored: &StoredEntry<'_>) -> String {
    let answer = Entry::new(TENANT, stored.place, entry.clone());
    let answer = serde_json::to_string(&answer).expect("an entry has a JSON form");
    let mut written = Vec::new();
    stored.write_json(&owner(), &mut written);
    assert_eq!(answer.as_bytes(), written);
    assert!(answer.len() <= ENTRY_BYTES_MAX);
    assert!(!answer.contains('\0') && !answer.contains('\n'));
    answer
}

/// Who sends an answer back, without what only the service gives, sends the same entry.
fn assert_accepted_again(answer: &str, entry: &NewEntry, masking: &Masking) {
    let mut fields: BTreeMap<&str, &RawValue> =
        serde_json::from_str(answer).expect("an answer is JSON without escapes in its names");
    assert_eq!(fields.len(), StoredEntry::FIELDS.len());
    for name in GIVEN {
        fields.remove(name).unwrap_or_else(|| panic!("{name} is missing"));
    }
    let again = serde_json::to_string(&fields).expect("parts of JSON are JSON");
    let draft = EntryDraft::read(&again).expect("an answer is readable");
    let occurred_at = entry.occurred_at.or(Some(last_place().recorded_at));
    let expected = NewEntry { occurred_at, ..entry.clone() };
    assert_eq!(check(&draft, masking), Ok(expected), "{again}");
}

/// With nothing masked, JSON means what it meant as it was sent.
fn assert_meant(sent: &str, stored: &StoredEntry<'_>) {
    let Ok(Value::Object(sent)) = serde_json::from_str(sent) else { return };
    for (names, kept) in [
        (["before", "before_state"], stored.before),
        (["after", "after_state"], stored.after),
        (["metadata", "log_metadata"], stored.metadata),
    ] {
        let given = names.iter().find_map(|name| sent.get(*name)).unwrap_or(&Value::Null);
        let kept: Value = serde_json::from_str(kept.unwrap_or("null")).expect("it was readable");
        assert_eq!(kept, *given);
    }
}

fn assert_masked(stored: &StoredEntry<'_>) {
    assert!(stored.message.is_none_or(|message| !has_card_number(message)));
    for json in [stored.before, stored.after, stored.metadata].into_iter().flatten() {
        // A number that is no `f64` is not for this parser.
        if let Ok(value) = serde_json::from_str(json) {
            assert!(is_masked(&value), "{json}");
        }
    }
}

fn is_masked(value: &Value) -> bool {
    match value {
        Value::String(text) => !has_card_number(text),
        Value::Array(items) => items.iter().all(is_masked),
        Value::Object(members) => members
            .iter()
            .all(|(key, value)| if is_secret(key) { *value == MASK } else { is_masked(value) }),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace(['-', '_'], "");
    ["password", "token", "secret", "apikey", "cvv", "ssn"].iter().any(|end| key.ends_with(end))
}

/// 16 digits that pass the check, with nothing around them that a number could go on with.
fn has_card_number(text: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_digit() || c == ' ' || c == '-';
    text.split(|c| !goes_on(c)).any(|run| {
        run.len() == 16 && run.bytes().all(|byte| byte.is_ascii_digit()) && passes_luhn(run)
    })
}

fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = (0..)
        .zip(digits.bytes().rev().map(|byte| u32::from(byte - b'0')))
        .map(|(at, digit)| if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    sum.is_multiple_of(10)
}

/// It is the same behind the queue, and the queue takes it.
fn assert_queued(stored: &StoredEntry<'_>) {
    let mut json = Vec::new();
    write_queued(stored, &owner(), &mut json);
    let mut message = MessageWriter::new();
    message.push(&json);
    let message = message.finish().expect("JSON is text");
    let is_taken = |c: char| c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}');
    assert!(message.chars().all(is_taken), "{message}");
    let read = read_message(&message).expect("what is written is read");
    let [read] = read.as_slice() else { panic!("{} entries of one", read.len()) };
    let read = read.as_stored();
    let StoredEntry { before, after, metadata, .. } = read;
    assert_eq!(read, StoredEntry { before, after, metadata, ..*stored });
    for (read, stored) in
        [(before, stored.before), (after, stored.after), (metadata, stored.metadata)]
    {
        let plain = |json: &str| json.replace("\\ufffe", "\u{fffe}").replace("\\uffff", "\u{ffff}");
        // An escaped backslash before such an escape is no escape: then both sides change alike.
        assert_eq!(read.map(plain), stored.map(plain));
    }
}

/// What the index gets is bounded, and words are joined by single spaces alone.
fn assert_indexed(stored: &StoredEntry<'_>) {
    let searched = SearchedText::of(stored);
    assert!(searched.kv.len() <= PAIRS_MAX);
    assert!(searched.kv.iter().all(|pair| pair.len() <= PAIR_BYTES_MAX));
    let one = [searched.message, searched.user_name, searched.user_agent];
    for text in searched.text.iter().chain(one.iter().flatten()) {
        assert!(
            text.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace))
        );
    }
    let document = search::Document::of(stored, &owner());
    assert_eq!(document.place(), stored.place);
}
