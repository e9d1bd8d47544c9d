//! Entries that are refused: each with its reason, and nothing of them stored.

use serde_json::{Value, json};

use crate::support::app::{Answer, Caller, TestApp, entry};
use crate::support::log::assert_len;

const JSON: &str = "application/json";

/// A caller of a log of its own, which has to stay empty until it is said otherwise.
async fn user(app: &TestApp) -> (domain::TenantId, Caller<'_>) {
    let tenant_id = app.tenant().await;
    (tenant_id, app.caller(tenant_id, "user"))
}

/// The entry with one more member, written as given.
fn with(member: &str) -> String {
    format!(r#"{{"action":"UPDATE","resource_type":"thing",{member}}}"#)
}

fn field(name: &str, character: &str, count: usize) -> String {
    format!(r#""{name}":"{}""#, character.repeat(count))
}

/// A value of this depth, of which a scalar is 1.
fn nested(depth: usize) -> String {
    format!("{}0{}", "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[track_caller]
fn assert_field(answer: &Answer, field: &str, code: &str) {
    answer.assert_problem(422, "invalid_entry");
    assert_eq!(answer.field_problems(), [(-1, field, code)], "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_field_is_refused_with_the_nearest_name() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    for (name, advice) in [
        ("usr_id", "did you mean `user_id`?"),
        ("sevrity", "did you mean `severity`?"),
        ("meta", "did you mean `metadata`?"),
        ("tenant_id", "leave it out"),
        ("recorded_at", "leave it out"),
        ("zzz", "put your own data into `metadata`"),
    ] {
        let answer = caller.post_entry(json!({ name: "x" })).await;
        assert_field(&answer, name, "unknown_field");
        let detail = answer.body["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(advice), "{detail}");
    }
    assert_len(app, tenant_id, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_the_wrong_type_is_refused() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    for name in [
        "occurred_at",
        "user_id",
        "user_name",
        "session_id",
        "request_id",
        "action",
        "resource_type",
        "resource_id",
        "severity",
        "message",
        "ip_address",
        "user_agent",
    ] {
        for value in [json!(5), json!(true), json!([]), json!({})] {
            let answer = caller.post_entry(json!({ name: value })).await;
            assert_field(&answer, name, "wrong_type");
        }
    }
    for name in ["metadata", "log_metadata"] {
        for value in [json!(5), json!("{}"), json!([]), json!(false)] {
            let answer = caller.post_entry(json!({ name: value })).await;
            assert_field(&answer, name, "wrong_type");
        }
    }
    for body in ["7", "null", "\"x\"", "[]", "[{}]"] {
        let answer = caller.post_raw("/logs", JSON, body).await;
        assert_field(&answer, "", "wrong_type");
    }
    assert_len(app, tenant_id, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_taken_at_its_limit_and_refused_one_over() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let key = |n: usize| format!(r#""metadata":{{"{}":1}}"#, "é".repeat(n));
    let number = |n: usize| format!(r#""before":{}"#, "7".repeat(n));
    let depth = |n: usize| format!(r#""before":{}"#, nested(n));
    let deep = |n: usize| format!(r#""metadata":{{"a":{}}}"#, nested(n - 1));
    let mut cases = vec![
        (field("resource_id", "é", 256), field("resource_id", "é", 257), "too_long"),
        (field("message", "é", 4_096), field("message", "é", 4_097), "too_long"),
        (field("message", "x", 8_192), field("message", "x", 8_193), "too_long"),
        (field("resource_id", "", 0), field("user_id", "", 0), "too_short"),
        (key(256), key(257), "key_too_long"),
        (number(128), number(129), "number_too_long"),
        (depth(16), depth(17), "too_deep"),
        (deep(16), deep(17), "too_deep"),
    ];
    for name in ["user_id", "user_name", "session_id", "request_id"] {
        cases.push((field(name, "é", 256), field(name, "é", 257), "too_long"));
        cases.push((field(name, "é", 1), field(name, "", 0), "too_short"));
    }
    for (n, (good, bad, code)) in (1..).zip(cases) {
        let answer = caller.post_raw("/logs", JSON, with(&bad)).await;
        answer.assert_problem(422, "invalid_entry");
        assert_eq!(answer.body["errors"][0]["code"], code, "{answer:?}");
        assert_len(app, tenant_id, n - 1).await;
        caller.post_raw("/logs", JSON, with(&good)).await.created();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_required_fields_and_the_whole_entry_have_limits() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    for (name, good, bad, code) in [
        ("action", "a".repeat(64), "a".repeat(65), "too_long"),
        ("action", "invoice.approved:v2-x_Y".to_owned(), "a b".to_owned(), "invalid_characters"),
        ("action", "VIEW".to_owned(), "é".to_owned(), "invalid_characters"),
        ("action", "VIEW".to_owned(), String::new(), "too_short"),
        ("resource_type", "é".repeat(64), "é".repeat(65), "too_long"),
        ("resource_type", "x".to_owned(), String::new(), "too_short"),
        ("severity", "CRITICAL".to_owned(), "critical".to_owned(), "unknown_value"),
        ("ip_address", "::ffff:192.0.2.1".to_owned(), "127.0.0.1:80".to_owned(), "invalid_ip"),
    ] {
        assert_field(&caller.post_entry(json!({ name: bad })).await, name, code);
        caller.post_entry(json!({ name: good })).await.created();
    }
    assert_len(app, tenant_id, 8).await;
    let answer = caller.post("/logs", &json!({})).await;
    answer.assert_problem(422, "invalid_entry");
    let missing = [(-1, "action", "required"), (-1, "resource_type", "required")];
    assert_eq!(answer.field_problems(), missing);

    // 64 KiB as stored: what white space and masking take away does not count.
    let stored = caller.post_entry(json!({ "before": "" })).await.created().text.len();
    let room = 65_536 - stored - 32;
    caller.post_entry(json!({ "before": "x".repeat(room) })).await.created();
    let masked = json!({ "before": { "secret": "x".repeat(70_000) } });
    caller.post_entry(masked).await.created();
    let spaces = format!(r#""before":[{}]"#, " ".repeat(400_000));
    caller.post_raw("/logs", JSON, with(&spaces)).await.created();
    assert_len(app, tenant_id, 12).await;
    let over = caller.post_entry(json!({ "before": "x".repeat(65_537 - stored) })).await;
    assert_field(&over, "", "entry_too_large");
    assert_len(app, tenant_id, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nul_is_stored_nowhere() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    for (member, named) in [
        (r#""message":"a\u0000b""#, "message"),
        (r#""user_id":"\u0000""#, "user_id"),
        (r#""user_agent":"\u0000""#, "user_agent"),
        (r#""before":"\u0000""#, "before"),
        (r#""metadata":{"a":[{"b":"\u0000"}]}"#, "metadata.a.0.b"),
    ] {
        let answer = caller.post_raw("/logs", JSON, with(member)).await;
        assert_field(&answer, named, "nul_character");
    }
    let key = caller.post_raw("/logs", JSON, with(r#""after":{"\u0000":1}"#)).await;
    key.assert_problem(422, "invalid_entry");
    assert_eq!(key.body["errors"][0]["code"], "nul_character");
    // Raw, it is no JSON at all.
    let raw = caller.post_raw("/logs", JSON, with("\"message\":\"a\0b\"")).await;
    raw.assert_problem(400, "unreadable_json");
    assert_len(app, tenant_id, 0).await;
    caller.post_raw("/logs", JSON, with(r#""message":"a\u0001b""#)).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_body_is_told_by_line_and_column() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    for (body, place) in [
        (&b""[..], "line 1, column "),
        (b"{", "line 1, column "),
        (b"{\n \"action\": }", "line 2, column 12"),
        (b"{\"action\":\"VIEW\"} x", "line 1, column 19"),
        (b"{'action':1}", "line 1, column 2"),
        (b"{\"a\":NaN}", "line 1, column "),
        (b"{\"a\":01}", "line 1, column "),
        (b"{\"a\":\"\\ud800\"}", "line 1, column "),
        (b"{\n\"a\":\"x\\udc00y\"}", "line 2, column "),
        (b"{\"\\ud800\":1}", "line 1, column "),
        (b"{\"a\":\"\xff\"}", "line 1, column 7"),
        (b"{\n\n  \"a\":\"\xc3\xa9\xc3\"}", "line 3, column 10"),
        (b"\xef\xbb\xbf{}", "line 1, column 1"),
    ] {
        for path in ["/logs", "/logs/bulk"] {
            let answer = caller.post_raw(path, JSON, body.to_vec()).await;
            answer.assert_problem(400, "unreadable_json");
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(detail.starts_with(place), "{detail} for {}", body.escape_ascii());
        }
    }
    assert_len(app, tenant_id, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_rfc_3339_from_1970_to_five_minutes_ahead() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let now = time::UtcDateTime::now();
    let text = |at: time::UtcDateTime| {
        let (date, (hour, minute, second)) = (at.date(), at.as_hms());
        format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
    };
    for (at, code) in [
        (text(now + time::Duration::hours(1)), "time_out_of_range"),
        (text(now + time::Duration::minutes(6)), "time_out_of_range"),
        ("0001-01-01T00:00:00Z".to_owned(), "time_out_of_range"),
        ("1969-12-31T23:59:59Z".to_owned(), "time_out_of_range"),
        ("9999-12-31T23:59:59Z".to_owned(), "time_out_of_range"),
        ("2026-11-21".to_owned(), "invalid_time"),
        ("2026-11-21T12:00:00".to_owned(), "invalid_time"),
        ("2026-11-21 12:00:00Z".to_owned(), "invalid_time"),
        ("2026-02-30T12:00:00Z".to_owned(), "invalid_time"),
        ("1763726400".to_owned(), "invalid_time"),
        ("now".to_owned(), "invalid_time"),
        (String::new(), "invalid_time"),
    ] {
        let answer = caller.post_entry(json!({ "occurred_at": at })).await;
        assert_field(&answer, "occurred_at", code);
    }
    assert_len(app, tenant_id, 0).await;
    for at in [text(now + time::Duration::minutes(4)), "1970-01-01T00:00:00Z".to_owned()] {
        caller.post_entry(json!({ "occurred_at": at })).await.created();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_comes_once_whatever_it_is_called() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    for (member, named, code) in [
        (r#""user_id":"a","user_id":"a""#, "user_id", "duplicate_field"),
        (r#""user_id":"a","\u0075ser_id":"a""#, "user_id", "duplicate_field"),
        (r#""before":1,"before_state":1"#, "before_state", "duplicate_field"),
        (r#""after_state":null,"after":2"#, "after", "duplicate_field"),
        (r#""metadata":{},"log_metadata":{}"#, "log_metadata", "duplicate_field"),
        (r#""metadata":{"a":[{"b":1,"b":1}]}"#, "metadata.a.0.b", "duplicate_key"),
        (r#""before":{"a":1,"\u0061":2}"#, "before.a", "duplicate_key"),
    ] {
        let answer = caller.post_raw("/logs", JSON, with(member)).await;
        assert_field(&answer, named, code);
    }
    let logs = caller.post_raw("/logs/bulk", JSON, r#"{"logs":[],"logs":[]}"#).await;
    assert_field(&logs, "logs", "duplicate_field");
    assert_len(app, tenant_id, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_one_to_a_thousand_entries() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    for empty in ["[]", r#"{"logs":[]}"#] {
        caller.post_raw("/logs/bulk", JSON, empty).await.assert_problem(422, "empty_batch");
    }
    let lines = caller.post_raw("/logs/bulk", "application/x-ndjson", "\n \n").await;
    lines.assert_problem(422, "empty_batch");
    let too_many = vec![entry(json!({})); 1_001];
    for path in ["/logs/bulk", "/logs/bulk?partial=true"] {
        let answer = caller.post(path, &json!(too_many)).await;
        answer.assert_problem(422, "too_many_entries");
    }
    for (body, named, code) in [
        ("{}", "logs", "required"),
        (r#"{"logs":{}}"#, "logs", "wrong_type"),
        (r#"{"logs":[],"more":1}"#, "more", "unknown_field"),
        ("7", "", "wrong_type"),
    ] {
        assert_field(&caller.post_raw("/logs/bulk", JSON, body).await, named, code);
    }
    assert_len(app, tenant_id, 0).await;
    caller.post("/logs/bulk", &json!(too_many[1..])).await.created();
    assert_len(app, tenant_id, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_fails_all_lines_or_with_partial_itself() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let good = entry(json!({})).to_string();
    let body = format!("{good}\n\n{{\"action\":\n{good}\n");
    let lines = "application/x-ndjson";
    let answer = caller.post_raw("/logs/bulk", lines, body.clone()).await;
    answer.assert_problem(400, "unreadable_json");
    assert!(answer.body["detail"].as_str().unwrap().starts_with("line 3, "), "{answer:?}");
    assert_len(app, tenant_id, 0).await;
    let answer = caller.post_raw("/logs/bulk?partial=true", lines, body).await;
    assert_eq!((answer.status.as_u16(), &answer.body["accepted"]), (207, &json!(2)));
    assert_eq!(answer.field_problems(), [(1, "", "unreadable_json")]);
    let detail = answer.body["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("line 3, "), "{detail}");
    assert_len(app, tenant_id, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lists_no_more_problems_than_anybody_reads() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let answer = caller.post("/logs/bulk", &Value::Array(vec![json!({ "x": 1 }); 1_000])).await;
    answer.assert_problem(422, "invalid_entry");
    assert_eq!(answer.field_problems().len(), 1_000);
    let told = "3000 problems, the first 1000 listed in `errors`";
    assert_eq!(answer.body["detail"], told);
    let answer = caller.post_raw("/logs", JSON, with(&many_unknown(40_000))).await;
    answer.assert_problem(422, "invalid_entry");
    assert!(answer.text.len() < 128 << 10, "{} bytes", answer.text.len());
    assert_len(app, tenant_id, 0).await;
}

fn many_unknown(count: usize) -> String {
    let members: Vec<_> = (0..count).map(|n| format!("\"{n}\":0")).collect();
    members.join(",")
}
