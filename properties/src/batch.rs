//! Many entries in one body: a line or an element is the entry that it is alone.

use domain::{
    BatchRefusal, ENTRIES_MAX, EntryDraft, Masking, Unreadable, read_bulk_json, read_ndjson, utf8,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::place::assert_inside;
use crate::sample::check;

pub(crate) fn batch(bytes: &[u8]) {
    match utf8(bytes) {
        Ok(body) => {
            lines(body);
            elements(body);
        }
        Err(broken) => assert_inside(bytes, &broken),
    }
}

fn lines(body: &str) {
    let is_blank = |line: &str| line.bytes().all(|byte| byte.is_ascii_whitespace());
    let numbered = (1..).zip(body.split('\n'));
    let expected: Vec<_> = numbered.filter(|(_, line)| !is_blank(line)).collect();
    match read_ndjson(body) {
        Err(BatchRefusal::Empty) => assert!(expected.is_empty()),
        Err(BatchRefusal::TooMany) => assert!(expected.len() > ENTRIES_MAX),
        Err(refusal) => panic!("lines have no other refusal: {refusal}"),
        Ok(drafts) => {
            assert_eq!(drafts.len(), expected.len());
            assert!((1..=ENTRIES_MAX).contains(&drafts.len()));
            for (draft, (number, line)) in drafts.iter().zip(expected) {
                assert_line(body, draft, number, line);
            }
        }
    }
}

fn assert_line(body: &str, draft: &Result<EntryDraft<'_>, Unreadable>, number: usize, line: &str) {
    match (draft, EntryDraft::read(line)) {
        (Ok(draft), Ok(alone)) => assert_same(draft, &alone),
        (Err(broken), Err(alone)) => {
            assert_eq!((broken.line, broken.column), (number, alone.column));
            assert_inside(body.as_bytes(), broken);
        }
        (draft, alone) => panic!("line {number}: {draft:?}, alone {alone:?}"),
    }
}

fn elements(body: &str) {
    match read_bulk_json(body) {
        Ok(drafts) => {
            let expected = array(body).expect("what was taken is an array");
            assert_eq!(drafts.len(), expected.len());
            assert!((1..=ENTRIES_MAX).contains(&drafts.len()));
            for (draft, element) in drafts.iter().zip(expected) {
                assert_same(draft, &EntryDraft::read(element.get()).expect("it was readable"));
            }
        }
        Err(BatchRefusal::Empty) => assert!(array(body).is_some_and(|items| items.is_empty())),
        Err(BatchRefusal::TooMany) => {
            assert!(array(body).is_some_and(|items| items.len() > ENTRIES_MAX));
        }
        Err(BatchRefusal::Unreadable(broken)) => {
            assert!(EntryDraft::read(body).is_err(), "{broken}");
            assert_inside(body.as_bytes(), &broken);
        }
        Err(BatchRefusal::Shape(problems)) => {
            assert!(EntryDraft::read(body).is_ok() && array(body).is_none());
            assert!(!problems.is_empty());
        }
    }
}

/// The elements, as another parser finds them.
fn array(body: &str) -> Option<Vec<&RawValue>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Logs<'a> {
        #[serde(borrow)]
        logs: Vec<&'a RawValue>,
    }
    let body = body.trim_ascii_start();
    if body.starts_with('{') {
        return serde_json::from_str::<Logs<'_>>(body).ok().map(|body| body.logs);
    }
    serde_json::from_str(body).ok()
}

fn assert_same(draft: &EntryDraft<'_>, alone: &EntryDraft<'_>) {
    let masking = Masking::default();
    assert_eq!(check(draft, &masking), check(alone, &masking));
}
