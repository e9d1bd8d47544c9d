//! Bodies made to hurt: they are refused, in time and stack in proportion to their size.

use std::time::{Duration, Instant};

use domain::{
    CheckContext, ENTRY_BYTES_MAX, EntryDraft, FieldCode, JsonText, Masking, NewEntry,
    PROBLEMS_MAX, Place, Seq, TenantId, Timestamp, read_bulk_json, read_ndjson, utf8,
};
use proptest::prelude::*;

use crate::{NOW, caller, check, entry_with};

const MEGABYTE: usize = 1_000_000;

/// Far above what any of these takes in a debug build, far below what squares would take.
const PATIENCE: Duration = Duration::from_secs(20);

fn codes(body: &str) -> Vec<FieldCode> {
    let start = Instant::now();
    let problems = check(body).err().unwrap_or_default();
    assert!(start.elapsed() < PATIENCE);
    problems.into_iter().map(|problem| problem.code).collect()
}

/// With little stack, as a runtime's worker may have.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(work);
    thread.unwrap().join().unwrap();
}

#[test]
fn brackets_do_not_overflow_the_stack() {
    on_a_small_stack(|| {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let bomb = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
            assert_eq!(codes(&entry_with(&format!(r#","before":{bomb}"#))), [FieldCode::TooDeep]);
            assert_eq!(codes(&entry_with(&format!(r#","x":{bomb}"#))), [FieldCode::UnknownField]);
            assert_eq!(
                codes(&entry_with(&format!(r#","message":{bomb}"#))),
                [FieldCode::WrongType]
            );
            assert!(JsonText::parse(&bomb, &Masking::default()).is_err());
            assert!(EntryDraft::read(&open.repeat(200_000)).is_err());
            assert_eq!(read_bulk_json(&format!("[{bomb}]")).unwrap().len(), 1);
            assert_eq!(read_ndjson(&bomb).unwrap().len(), 1);
            drop(read_bulk_json(&bomb));
        }
    });
}

#[test]
fn very_many_keys_are_not_compared_with_each_other() {
    let keys: Vec<_> = (0..60_000).map(|i| format!(r#""k{i}":1"#)).collect();
    let keys = keys.join(",");
    assert_eq!(
        codes(&entry_with(&format!(r#","metadata":{{{keys}}}"#))),
        [FieldCode::EntryTooLarge]
    );
    let twice = format!(r#","metadata":{{{keys},"k59999":2}}"#);
    assert_eq!(codes(&entry_with(&twice)), [FieldCode::DuplicateKey]);
    assert_eq!(
        codes(&entry_with(&format!(",{keys}"))),
        vec![FieldCode::UnknownField; PROBLEMS_MAX]
    );
}

#[test]
fn very_long_strings_are_read_once() {
    let long = "x".repeat(10_000_000);
    for body in [
        entry_with(&format!(r#","user_id":"{long}""#)),
        entry_with(&format!(r#","metadata":{{"a":"{long}"}}"#)),
        entry_with(&format!(r#","message":"\n{}""#, &long[..MEGABYTE])),
        entry_with(&format!(r#","ip_address":"{}""#, &long[..MEGABYTE])),
        entry_with(&format!(r#","metadata":{{"{}":1}}"#, &long[..MEGABYTE])),
        entry_with(&format!(r#","{}":1"#, &long[..MEGABYTE])),
        entry_with(&format!(r#","before":"{}""#, "1 ".repeat(MEGABYTE / 2))),
        entry_with(&format!(r#","before":"{}""#, r"\\".repeat(MEGABYTE / 2))),
        entry_with(&format!(r#","before":[{}]"#, "1".repeat(MEGABYTE))),
        entry_with(&format!(r#","before":[{}1]"#, "1,".repeat(MEGABYTE / 2))),
        entry_with(&format!(r#","before":[{}1]"#, r#"{"token":[]},"#.repeat(MEGABYTE / 13))),
    ] {
        assert_eq!(codes(&body).len(), 1);
    }
}

#[test]
fn an_answer_to_very_many_problems_stays_short() {
    let bad = r#"{"a":1,"a":1}"#;
    let body = entry_with(&format!(
        r#","metadata":{{"{}":[{bad}{}]}}"#,
        "é".repeat(300),
        format!(",{bad}").repeat(50_000)
    ));
    let problems = check(&body).unwrap_err();
    assert_eq!(problems.len(), PROBLEMS_MAX);
    assert!(serde_json::to_string(&problems).unwrap().len() < 32 * 1024);
}

/// Whatever was accepted can be stored and answered.
fn assert_sound(entry: &NewEntry) {
    let place = Place { recorded_at: Timestamp::parse(NOW).unwrap(), seq: Seq::MAX };
    let tenant = TenantId::parse("0193a5f2-7b1c-7000-8000-000000000001").unwrap();
    let entry = domain::Entry::new(tenant, place, entry.clone());
    let text = serde_json::to_string(&entry).unwrap();
    assert!(text.len() <= ENTRY_BYTES_MAX);
    assert!(!text.contains('\0'));
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(fields.len(), 20);
}

fn try_everything(body: &str) {
    let now = Timestamp::parse(NOW).unwrap();
    let context = CheckContext { now, caller: &caller(), masking: &Masking::default() };
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
    match EntryDraft::read(body) {
        Ok(draft) => {
            assert!(is_json);
            match draft.check(&context) {
                Ok(entry) => assert_sound(&entry),
                Err(problems) => assert!((1..=PROBLEMS_MAX).contains(&problems.len())),
            }
        }
        Err(unreadable) => assert!(!is_json || body.contains(r"\u") && unreadable.line > 0),
    }
    let bulk = read_bulk_json(body).unwrap_or_default();
    let lines = read_ndjson(body).unwrap_or_default().into_iter().flatten();
    for draft in bulk.into_iter().chain(lines) {
        if let Ok(entry) = draft.check(&context) {
            assert_sound(&entry);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        match utf8(&body) {
            Ok(text) => try_everything(text),
            Err(broken) => prop_assert!(broken.line >= 1 && broken.column >= 1),
        }
    }

    #[test]
    fn any_text_like_json_is_read_or_refused(body in r#"[\[\]{}":,\\u0d8e \n1a.-]{0,60}"#) {
        try_everything(&body);
    }

    #[test]
    fn a_damaged_entry_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        cut in 0..12_usize,
        patch in r#"[\[\]{}":,\\ud80-9a-c \n]{0,8}|"\\ud83d\\ude00"|null"#,
    ) {
        let body = entry_with(r#", "metadata": {"a\u0041": [1, "4111 1111 1111 1111", {"token": {}}]}, "user_id": "ann""#);
        let at = at.index(body.len());
        let end = (at + cut).min(body.len());
        try_everything(&format!("{}{patch}{}", &body[..at], &body[end..]));
    }
}
