//! The query language: what can be read, what is told of what cannot, and what is shown of a match.

use domain::{HIGHLIGHTS_MAX, QUERY_BYTES_MAX, QUERY_TERMS_MAX, Query, RANGES_MAX};
use proptest::prelude::*;

use crate::search_cases::{Sample, cases, samples};

fn sample(json: &str) -> Sample {
    serde_json::from_str(json).unwrap()
}

#[test]
fn what_cannot_be_read_is_told_with_its_column_and_what_to_do() {
    for (text, column, why) in [
        ("", 1, "the query is empty"),
        (" \t ", 1, "the query is empty"),
        ("a -", 3, "a `-` alone"),
        ("a - b", 3, "a `-` alone"),
        ("(a -)", 4, "a `-` alone"),
        ("--force", 1, "write one `-`"),
        ("NOT", 1, "`NOT` needs something behind it"),
        ("NOT NOT a", 1, "`NOT` needs something behind it"),
        ("-OR", 2, "put this word in quotes"),
        ("NOT OR a", 1, "`NOT` needs something behind it"),
        ("(NOT )", 2, "`NOT` needs something behind it"),
        ("*", 1, "a `*` alone"),
        ("a *", 3, "a `*` alone"),
        ("a*b", 2, "`*` stands at the end"),
        ("a**", 2, "`*` stands at the end"),
        ("a \"b c", 3, "this `\"` has no second one"),
        ("größer \"", 8, "this `\"` has no second one"),
        ("user_id:\"b", 9, "this `\"` has no second one"),
        ("metadata.\"b", 10, "this `\"` has no second one"),
        ("\"\"", 1, "there is nothing in these quotes"),
        ("\"-\"", 1, "no letter, digit or emoji"),
        ("a & b", 3, "no letter, digit or emoji"),
        ("message:\"!\"", 9, "no letter, digit or emoji"),
        ("OR a", 1, "`OR` needs something on both sides"),
        ("a OR", 3, "`OR` needs something on both sides"),
        ("a OR OR b", 6, "`OR` needs something on both sides"),
        ("(a OR )", 4, "`OR` needs something on both sides"),
        ("AND a", 1, "`AND` needs something on both sides"),
        ("a AND", 3, "`AND` needs something on both sides"),
        ("a AND OR b", 3, "`AND` needs something on both sides"),
        ("(a b", 1, "this `(` has no `)`"),
        ("a (b (c)", 3, "this `(` has no `)`"),
        ("login)", 6, "no `(` is open here"),
        ("a) b", 2, "no `(` is open here"),
        ("f(x))", 5, "no `(` is open here"),
        ("message:a)", 10, "no `(` is open here"),
        ("appr*)", 6, "no `(` is open here"),
        ("user_id:(anna OR ben)", 9, "a field has one value"),
        (") a", 1, "no `(` is open"),
        ("(a)) b", 4, "no `(` is open"),
        ("()", 2, "there is nothing in these parentheses"),
        ("((((((a))))))", 6, "nest at most"),
        ("user_id:", 9, "a value is missing"),
        ("user_id: anna", 9, "a value is missing"),
        ("user_id:\"\"", 9, "a value is missing"),
        ("a usr_id:anna", 3, "did you mean `user_id:`"),
        ("User_Id:anna", 1, "did you mean `user_id:`"),
        ("mesage:x", 1, "did you mean `message:`"),
        ("zzz:x", 1, "below `metadata.`"),
        ("severity:worse", 10, "one of INFO, WARNING, ERROR, CRITICAL"),
        ("severity:ERR*", 10, "one of INFO, WARNING, ERROR, CRITICAL"),
        ("ip_address:10.0", 12, "write an address"),
        ("ip_address:10.0.*", 12, "write an address"),
        ("seq:-1", 5, "the number of an entry"),
        ("seq:0", 5, "the number of an entry"),
        ("id:0199aa00", 4, "the whole id"),
        ("tenant_id:x", 1, "never leaves"),
        ("occurred_at:2026-11-21", 1, "`from` and `to`"),
        ("a recorded_at:x", 3, "`from` and `to`"),
        ("metadata:red", 10, "name a key of it"),
    ] {
        let invalid = Query::parse(text).expect_err(text);
        assert_eq!(invalid.column, column, "{text}: {invalid}");
        assert!(invalid.why.contains(why), "{text}: {invalid}");
    }
}

#[test]
fn a_query_is_bounded_in_bytes_terms_and_values() {
    let error = |text: &str| Query::parse(text).map_err(|invalid| invalid.column);
    let terms = |n: usize| vec!["a"; n].join(" ");
    assert!(error(&terms(QUERY_TERMS_MAX)).is_ok());
    assert_eq!(error(&terms(QUERY_TERMS_MAX + 1)), Err(2 * QUERY_TERMS_MAX + 1));
    let long = |n: usize| format!("\"{}\"", "é".repeat(n / 2 - 1));
    assert!(error(&long(QUERY_BYTES_MAX)).is_ok());
    assert_eq!(error(&long(QUERY_BYTES_MAX + 2)), Err(QUERY_BYTES_MAX / 2 + 1));
    let pair = |n: usize| format!("metadata.a:{}", "x".repeat(n));
    assert!(error(&pair(498)).is_ok());
    assert_eq!(error(&pair(499)), Err(12));
}

#[test]
fn a_query_has_one_form() {
    for (text, form) in [
        ("  a   b ", "a b"),
        ("\"a\"", "a"),
        ("a AND b", "a b"),
        ("NOT a", "-a"),
        ("(a)", "a"),
        ("((a b))", "a b"),
        ("a (b c)", "a (b c)"),
        ("a b OR c", "a b OR c"),
        ("(a b) OR c", "a b OR c"),
        ("a (b OR c)", "a (b OR c)"),
        ("-(-a)", "-(-a)"),
        ("-(a OR b)", "-(a OR b)"),
        ("\"two words\"*", "\"two words\"*"),
        ("inv-1/2*", "inv-1/2*"),
        ("user_id:\"anna\"", "user_id:anna"),
        ("user_id:*", "user_id:*"),
        ("\"OR\" \"-a\" \"a:b\"", "\"OR\" \"-a\" \"a:b\""),
        ("metadata.\"a b\".c:\"\\\"\"", "metadata.\"a b\".c:\"\\\"\""),
    ] {
        assert_eq!(Query::parse(text).unwrap().to_string(), form, "{text}");
        let json = serde_json::to_value(Query::parse(text).unwrap()).unwrap();
        assert_eq!(json, form, "{text}");
    }
    let digest = |text| Query::parse(text).unwrap().digest();
    assert_eq!(digest("a AND  \"b\""), digest("a b"));
    assert_ne!(digest("a b"), digest("b a"));
    assert_ne!(digest("a b"), digest("\"a b\""));
}

#[test]
fn every_query_of_the_table_reads_as_the_same_when_it_is_written_in_its_form() {
    for case in cases() {
        let Ok(query) = Query::parse(&case.query) else { continue };
        assert_eq!(Query::parse(&query.to_string()).as_ref(), Ok(&query), "{}", case.query);
    }
}

#[test]
fn an_id_finds_its_entry() {
    let tenant = domain::TenantId::new(uuid::Uuid::from_u128(1));
    let sample = sample(r#"{"message":"x"}"#);
    let (entry, next) = (sample.stored(7), sample.stored(8));
    let id = domain::EntryId::of(entry.place, tenant);
    let query = Query::parse(&format!("id:{id}")).unwrap();
    assert!(query.matches(&entry) && !query.matches(&next));
    assert!(!Query::parse("seq:8").unwrap().matches(&entry));
}

fn shown(query: &str, sample: &Sample) -> Vec<String> {
    let entry = sample.stored(1);
    let query = Query::parse(query).unwrap();
    assert!(query.matches(&entry), "{query}");
    let mark = |highlight: domain::Highlight| {
        let chars: Vec<char> = highlight.text.chars().collect();
        let mut text = String::new();
        let mut at = 0;
        for (start, end) in highlight.ranges {
            text.extend(&chars[at..start]);
            text.push('[');
            text.extend(&chars[start..end]);
            text.push(']');
            at = end;
        }
        text.extend(&chars[at..]);
        format!("{}: {text}", highlight.field)
    };
    query.highlights(&entry).into_iter().map(mark).collect()
}

#[test]
fn what_was_found_is_shown_where_it_stands() {
    let sample = sample(
        r#"{"message": "Größe der Straße, STRASSE 👍🏽 <b>", "user_id": "anna", "user_name": "Anna S.",
            "ip_address": "10.1.2.3", "metadata": {"Straße": {"city": ["Köln", "Bonn"]}, "n": 42, "x": null}}"#,
    );
    for (query, expected) in [
        ("strasse", &["message: Größe der [Straße], [STRASSE] 👍🏽 <b>", "metadata: [Straße]"][..]),
        ("\"der straße\"", &["message: Größe [der Straße], STRASSE 👍🏽 <b>"]),
        ("👍🏽", &["message: Größe der Straße, STRASSE [👍🏽] <b>"]),
        ("b", &["message: Größe der Straße, STRASSE 👍🏽 <[b]>"]),
        ("grö*", &["message: [Größe] der Straße, STRASSE 👍🏽 <b>"]),
        ("anna -bob", &["user_name: [Anna] S.", "user_id: [anna]"]),
        ("user_id:an*", &["user_id: [an]na"]),
        ("user_name:anna", &["user_name: [Anna] S."]),
        ("ip_address:10.0.0.0/8", &["ip_address: [10.1.2.3]"]),
        ("köln OR bonn", &["metadata.Straße.city: [Köln]", "metadata.Straße.city: [Bonn]"]),
        ("metadata.straße.city:bonn", &["metadata.Straße.city: [Bonn]"]),
        ("metadata.n:4* metadata.x:null", &["metadata.n: [42]", "metadata.x: [null]"]),
        ("severity:info", &[]),
    ] {
        assert_eq!(shown(query, &sample), expected, "{query}");
    }
}

#[test]
fn of_long_texts_what_is_around_the_first_match_is_shown() {
    let long = format!("{} needle {} needle", "früh ".repeat(100), "spät ".repeat(100));
    let sample = sample(&format!(r#"{{"message": "{long}"}}"#));
    let shown = shown("needle", &sample);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].chars().count(), "message: []".len() + domain::FRAGMENT_CHARS_MAX);
    assert!(shown[0].contains("früh  [needle] spät"), "{shown:?}");
}

#[test]
fn highlights_are_bounded() {
    let values = vec!["\"needle\""; 100].join(",");
    let json =
        format!(r#"{{"message": "{}", "metadata": {{"a": [{values}]}}}}"#, "needle ".repeat(25));
    let sample = sample(&json);
    let found = Query::parse("needle").unwrap().highlights(&sample.stored(1));
    assert_eq!(found.len(), HIGHLIGHTS_MAX);
    assert!(found.iter().all(|one| (1..=RANGES_MAX).contains(&one.ranges.len())));
}

fn queries() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => "[a-c\"*():\\\\ -]{1,6}",
        2 => "-?\\(-?[ab]( OR| -)? ?[ab]\\)",
        1 => proptest::sample::select(vec![
            " OR ", " AND ", " NOT ", "user_id:", "metadata.", "ip_address:10.0.0.0/8", "after.\"x y\":", "größe",
            "severity:info", "👍🏽 ",
        ]).prop_map(str::to_owned),
        1 => ".{0,4}",
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_or_refused_within_it(text in queries()) {
        match Query::parse(&text) {
            Ok(query) => {
                let form = query.to_string();
                prop_assert_eq!(Query::parse(&form), Ok(query), "{}", form);
            }
            Err(invalid) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&invalid.column));
                prop_assert!(!invalid.why.is_empty());
            }
        }
    }
}

#[test]
fn what_is_shown_lies_inside_the_text() {
    for (_, sample) in samples() {
        let entry = sample.stored(1);
        for case in cases() {
            let Ok(query) = Query::parse(&case.query) else { continue };
            for one in query.highlights(&entry) {
                let len = one.text.chars().count();
                assert_in_order(&one.ranges, len);
            }
        }
    }
}

fn assert_in_order(ranges: &[(usize, usize)], len: usize) {
    let mut behind = 0;
    for (start, end) in ranges {
        assert!(behind <= *start && start < end && *end <= len, "{ranges:?} of {len}");
        behind = *end;
    }
}
