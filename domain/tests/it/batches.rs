//! Many entries in one body.

use domain::{
    BatchRefusal, CheckContext, ENTRIES_MAX, EntryDraft, FieldCode, Masking, ProblemCode,
    Timestamp, UnreadableKind, read_bulk_json, read_ndjson,
};

use crate::{NOW, caller};

fn action_of(draft: &EntryDraft<'_>) -> String {
    let now = Timestamp::parse(NOW).unwrap();
    let context = CheckContext { now, caller: &caller(), masking: &Masking::default() };
    draft.check(&context).unwrap().action.to_string()
}

fn entry(action: &str) -> String {
    format!(r#"{{"action":"{action}","resource_type":"x"}}"#)
}

fn shape(body: &str) -> (String, FieldCode) {
    match read_bulk_json(body) {
        Err(BatchRefusal::Shape(mut problems)) => {
            let problem = problems.remove(0);
            (problem.field, problem.code)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_array_and_an_object_of_logs_are_the_same_batch() {
    let array = format!(" [ {} ,\n{} ] ", entry("a"), entry("b"));
    let object = format!(r#" {{ "lo\u0067s" : {array} }} "#);
    for body in [&array, &object] {
        let drafts = read_bulk_json(body).unwrap();
        assert_eq!(drafts.iter().map(action_of).collect::<Vec<_>>(), ["a", "b"]);
    }
}

#[test]
fn an_object_has_logs_and_nothing_else() {
    assert_eq!(shape(r#"{"logs":[1],"x":1}"#), ("x".to_owned(), FieldCode::UnknownField));
    assert_eq!(shape(r#"{"logs":[1],"logs":[1]}"#), ("logs".to_owned(), FieldCode::DuplicateField));
    assert_eq!(shape(r#"{"logs":{}}"#), ("logs".to_owned(), FieldCode::WrongType));
    assert_eq!(shape(r#"{"logs":null}"#), ("logs".to_owned(), FieldCode::WrongType));
    assert_eq!(shape("{}"), ("logs".to_owned(), FieldCode::Required));
    assert_eq!(shape("5"), (String::new(), FieldCode::WrongType));
    assert_eq!(shape(&entry("a")).1, FieldCode::UnknownField);
}

#[test]
fn a_batch_has_1_to_1000_entries() {
    let array = |n: usize| format!("[{}]", vec!["1"; n].join(","));
    assert_eq!(read_bulk_json(&array(0)).unwrap_err().code(), ProblemCode::EmptyBatch);
    assert_eq!(read_bulk_json(r#"{"logs":[]}"#).unwrap_err(), BatchRefusal::Empty);
    assert_eq!(read_bulk_json(&array(ENTRIES_MAX)).unwrap().len(), 1_000);
    let too_many = read_bulk_json(&array(ENTRIES_MAX + 1)).unwrap_err();
    assert_eq!(too_many.code(), ProblemCode::TooManyEntries);

    assert_eq!(read_ndjson("").unwrap_err(), BatchRefusal::Empty);
    assert_eq!(read_ndjson(" \r\n\n").unwrap_err(), BatchRefusal::Empty);
    assert_eq!(read_ndjson(&"1\n".repeat(ENTRIES_MAX)).unwrap().len(), 1_000);
    assert_eq!(read_ndjson(&"1\n".repeat(ENTRIES_MAX + 1)).unwrap_err(), BatchRefusal::TooMany);
}

#[test]
fn lines_are_read_one_by_one_and_blank_ones_skipped() {
    let body = format!("\n{}\r\n  \n\t{}", entry("a"), entry("b"));
    let drafts = read_ndjson(&body).unwrap().into_iter().map(Result::unwrap);
    assert_eq!(drafts.map(|draft| action_of(&draft)).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_broken_line_is_told_by_its_place_in_the_body_and_spares_the_others() {
    let body = format!("{}\n\n{{\"a\" 1}}\n{}\n[\"\\ud800\"]", entry("a"), entry("b"));
    let items = read_ndjson(&body).unwrap();
    assert_eq!(items.len(), 4);
    assert_eq!(action_of(items[0].as_ref().unwrap()), "a");
    let syntax = items[1].as_ref().unwrap_err();
    assert_eq!((syntax.line, syntax.column, syntax.kind), (3, 6, UnreadableKind::Syntax));
    assert_eq!(action_of(items[2].as_ref().unwrap()), "b");
    let lone = items[3].as_ref().unwrap_err();
    assert_eq!((lone.line, lone.column, lone.kind), (5, 3, UnreadableKind::LoneSurrogate));
}

#[test]
fn an_array_is_read_as_a_whole_or_not_at_all() {
    let body = format!("[{},\n\n  {{\"action\":\"\\ud800\"}}]", entry("a"));
    let Err(BatchRefusal::Unreadable(lone)) = read_bulk_json(&body) else { panic!() };
    assert_eq!((lone.line, lone.column, lone.kind), (3, 14, UnreadableKind::LoneSurrogate));
    let Err(BatchRefusal::Unreadable(broken)) = read_bulk_json("[1,\n 2") else { panic!() };
    assert_eq!((broken.line, broken.column), (2, 2));
    assert_eq!(broken.to_string(), "line 2, column 2: EOF while parsing a list");
}
