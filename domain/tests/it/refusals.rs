//! Entries that are refused: every limit, at it and one over.

use domain::{FieldCode, FieldCode::*};

use crate::{check, entry_with};

/// The problems of an entry, as field and code.
fn problems(body: &str) -> Vec<(String, FieldCode)> {
    let problems = check(body).err().unwrap_or_default();
    problems.into_iter().map(|problem| (problem.field, problem.code)).collect()
}

/// The problems of a good entry with one more member.
fn with(member: &str) -> Vec<(String, FieldCode)> {
    problems(&entry_with(&format!(",{member}")))
}

fn one(field: &str, code: FieldCode) -> Vec<(String, FieldCode)> {
    vec![(field.to_owned(), code)]
}

fn text(field: &str, character: &str, count: usize) -> String {
    format!(r#""{field}":"{}""#, character.repeat(count))
}

#[test]
fn an_entry_is_an_object() {
    for body in ["null", "1", "true", r#""x""#, "[]", "[{}]"] {
        assert_eq!(problems(body), one("", WrongType), "{body}");
    }
}

#[test]
fn action_and_resource_type_are_required() {
    let both = [one("action", Required), one("resource_type", Required)].concat();
    assert_eq!(problems("{}"), both);
    assert_eq!(problems(r#"{"action":null,"resource_type":null}"#), both);
}

#[test]
fn nobody_writes_entries_that_look_like_the_services_own() {
    let body = r#"{"action":"export.completed","resource_type":"audit_log"}"#;
    assert_eq!(problems(body), one("resource_type", UnknownValue));
}

#[test]
fn all_problems_are_told_at_once() {
    let body = r#"{
        "usr_id": 1, "user_id": 5, "resource_type": "", "severity": "info",
        "occurred_at": "yesterday", "ip_address": "here", "message": ["x"],
        "metadata": {"a": {"b": 1, "b": 2}}, "log_metadata": {}
    }"#;
    let expected = [
        ("usr_id", UnknownField),
        ("log_metadata", DuplicateField),
        ("action", Required),
        ("resource_type", TooShort),
        ("occurred_at", InvalidTime),
        ("user_id", WrongType),
        ("severity", UnknownValue),
        ("message", WrongType),
        ("ip_address", InvalidIp),
        ("metadata.a.b", DuplicateKey),
    ];
    assert_eq!(problems(body), expected.map(|(field, code)| (field.to_owned(), code)));
}

#[test]
fn unknown_fields_are_refused_with_advice() {
    for (name, advice) in [
        ("usr_id", "no such field; did you mean `user_id`?"),
        ("sevrity", "no such field; did you mean `severity`?"),
        ("Action", "no such field; did you mean `action`?"),
        ("colour", "no such field; put your own data into `metadata`"),
        ("tenant_id", "leave it out: the service sets it"),
        ("seq", "leave it out: the service sets it"),
    ] {
        let problem = check(&entry_with(&format!(r#","{name}":1"#))).unwrap_err().remove(0);
        assert_eq!((problem.field.as_str(), problem.code), (name, UnknownField));
        assert_eq!(problem.detail, advice);
    }
}

#[test]
fn a_field_is_given_once_also_by_its_alias() {
    assert_eq!(with(r#""user_id":"a","user_id":"a""#), one("user_id", DuplicateField));
    assert_eq!(with(r#""user_id":"a","\u0075ser_id":"a""#), one("user_id", DuplicateField));
    assert_eq!(with(r#""before":1,"before_state":1"#), one("before_state", DuplicateField));
    assert_eq!(with(r#""after_state":null,"after":null"#), one("after", DuplicateField));
}

#[test]
fn a_text_is_not_a_number_and_metadata_is_an_object() {
    for value in ["5", "true", "[]", "{}"] {
        for field in ["user_id", "message", "severity", "occurred_at", "ip_address", "user_agent"] {
            assert_eq!(with(&format!(r#""{field}":{value}"#)), one(field, WrongType));
        }
    }
    for value in ["5", "true", "[]", r#""{}""#] {
        assert_eq!(with(&format!(r#""metadata":{value}"#)), one("metadata", WrongType));
    }
    assert_eq!(with(r#""log_metadata":1"#), one("log_metadata", WrongType));
    assert_eq!(problems(r#"{"action":1,"resource_type":"x"}"#), one("action", WrongType));
}

#[test]
fn texts_keep_their_limits() {
    for field in ["user_id", "user_name", "session_id", "request_id"] {
        assert_eq!(with(&text(field, "é", 256)), []);
        assert_eq!(with(&text(field, "é", 257)), one(field, TooLong));
        assert_eq!(with(&text(field, "", 0)), one(field, TooShort));
    }
    assert_eq!(with(&text("resource_id", "é", 256)), []);
    assert_eq!(with(&text("resource_id", "é", 257)), one("resource_id", TooLong));
    assert_eq!(with(&text("message", "é", 4_096)), []);
    assert_eq!(with(&text("message", "x", 8_193)), one("message", TooLong));
    assert_eq!(with(&text("user_agent", "é", 5_000)), []);

    let typed =
        |n: usize| problems(&format!(r#"{{"action":"VIEW","resource_type":"{}"}}"#, "é".repeat(n)));
    assert_eq!(typed(64), []);
    assert_eq!(typed(65), one("resource_type", TooLong));
    assert_eq!(typed(0), one("resource_type", TooShort));
}

#[test]
fn an_action_keeps_its_alphabet() {
    let acted = |action: &str| problems(&format!(r#"{{"action":"{action}","resource_type":"x"}}"#));
    assert_eq!(acted(&"a".repeat(64)), []);
    assert_eq!(acted(&"a".repeat(65)), one("action", TooLong));
    assert_eq!(acted(""), one("action", TooShort));
    assert_eq!(acted("a b"), one("action", InvalidCharacters));
    assert_eq!(acted(r"a\u0000"), one("action", InvalidCharacters));
}

#[test]
fn a_time_lies_between_1970_and_five_minutes_ahead() {
    let occurred = |time: &str| with(&format!(r#""occurred_at":"{time}""#));
    assert_eq!(occurred("1970-01-01T00:00:00Z"), []);
    assert_eq!(occurred("1969-12-31T23:59:59.999999Z"), one("occurred_at", TimeOutOfRange));
    assert_eq!(occurred("2026-11-21T12:55:11.1239Z"), []);
    assert_eq!(occurred("2026-11-21T12:55:11.124Z"), one("occurred_at", TimeOutOfRange));
    assert_eq!(occurred("2026-11-21 12:50:11Z"), one("occurred_at", InvalidTime));
    assert_eq!(occurred(""), one("occurred_at", InvalidTime));
}

#[test]
fn an_address_is_an_address() {
    for good in ["127.0.0.1", "::1", "::ffff:192.0.2.1"] {
        assert_eq!(with(&format!(r#""ip_address":"{good}""#)), []);
    }
    for bad in ["", "localhost", "127.0.0.1:80", "[::1]", "fe80::1%eth0", "127.0.0.01", "1.2.3"] {
        assert_eq!(with(&format!(r#""ip_address":"{bad}""#)), one("ip_address", InvalidIp));
    }
}

#[test]
fn nul_stands_nowhere() {
    for field in ["user_id", "session_id", "resource_id", "message", "user_agent", "before"] {
        let member = format!(r#""{field}":"a\u0000""#);
        assert_eq!(with(&member), one(field, NulCharacter));
        assert_eq!(with(&member.replace("0000", "0001")), []);
    }
    assert_eq!(with(r#""metadata":{"a":["\u0000"]}"#), one("metadata.a.0", NulCharacter));
    assert_eq!(with(r#""\u0000":1"#), one("\u{fffd}", UnknownField));
}

#[test]
fn an_entry_over_64_kib_is_refused_by_what_is_stored_of_it() {
    let spaces = " ".repeat(70_000);
    assert_eq!(with(&format!(r#""before":[{spaces}]"#)), []);
    assert_eq!(with(&format!(r#""before":{{"secret":"{spaces}"}}"#)), []);
    assert_eq!(with(&format!(r#""before":"{spaces}""#)), one("", EntryTooLarge));
    let controls = r"\u0001".repeat(8_000);
    assert_eq!(
        with(&format!(r#""message":"{controls}","before":"{controls}""#)),
        one("", EntryTooLarge)
    );
}

#[test]
fn a_refusal_never_repeats_a_value() {
    let body = r#"{"action":"hunter2!","resource_type":5,"occurred_at":"hunter2","severity":"hunter2",
        "ip_address":"hunter2","user_id":"hunter2\u0000","metadata":{"a":"hunter2\u0000"}}"#;
    let problems = check(body).unwrap_err();
    assert_eq!(problems.len(), 7);
    assert!(problems.iter().all(|problem| !problem.detail.contains("hunter2")));
}
