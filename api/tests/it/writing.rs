//! Recording entries, one and many: what is answered, and what then stands in the log.

use std::io::Write as _;

use domain::{EntryId, TenantId};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{Answer, Caller, TestApp, entry};
use crate::support::log::{self, assert_len};

/// A zstd frame of one raw block: what any compressor may make of short input.
pub(crate) fn raw_zstd(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend(len.to_le_bytes());
    let block = (len << 3) | 1;
    frame.extend(&block.to_le_bytes()[..3]);
    frame.extend(body);
    frame
}

pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

async fn user(app: &TestApp) -> (TenantId, Caller<'_>) {
    let tenant_id = app.tenant().await;
    (tenant_id, app.caller(tenant_id, "user"))
}

/// Fails unless the answer's numbers are these and its ids their places.
fn assert_places(answer: &Answer, tenant_id: TenantId, first: i64, last: i64) {
    assert_eq!(answer.body["accepted"], last - first + 1);
    assert_eq!(
        (&answer.body["first_seq"], &answer.body["last_seq"]),
        (&json!(first), &json!(last))
    );
    let ids = answer.body["ids"].as_array().unwrap();
    let seqs: Vec<_> = ids
        .iter()
        .map(|id| EntryId::parse(id.as_str().unwrap()).unwrap())
        .map(|id| id.place_in(tenant_id).unwrap().seq.get())
        .collect();
    assert_eq!(seqs, (first..=last).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_entry_can_be_read_back_as_it_was_answered() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    for seq in 1..=3 {
        let recorded = caller.post_entry(json!({ "after": { "n": 1.5 } })).await.created();
        assert_eq!(recorded.body["seq"], seq);
        let location = recorded.headers["location"].to_str().unwrap();
        let id = recorded.body["id"].as_str().unwrap();
        assert_eq!(location, format!("/api/v1/logs/{id}"));
        let place = EntryId::parse(id).unwrap().place_in(tenant_id).unwrap();
        assert_eq!(place.seq.get(), seq);
        assert_eq!(recorded.body["recorded_at"], place.recorded_at.to_string());
        let found = caller.get(location.strip_prefix("/api/v1").unwrap()).await;
        assert_eq!(found.status, StatusCode::OK);
        assert_eq!(found.text, recorded.text);
    }
    assert_len(app, tenant_id, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_has_all_its_fields_in_the_contracts_order() {
    let app = TestApp::shared().await;
    let (_, caller) = user(app).await;
    let answer = caller.post_entry(json!({})).await.created();
    let fields = [
        "id",
        "seq",
        "tenant_id",
        "recorded_at",
        "recorded_by",
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
        "before",
        "after",
        "metadata",
    ];
    let places: Vec<_> = fields
        .iter()
        .map(|field| answer.text.find(&format!("\"{field}\":")).expect(field))
        .collect();
    assert!(places.is_sorted(), "{}", answer.text);
    assert_eq!(answer.body.as_object().unwrap().len(), fields.len());
    for absent in ["user_name", "session_id", "resource_id", "message", "before", "metadata"] {
        assert_eq!(answer.body[absent], Value::Null);
    }
    assert_eq!(answer.body["severity"], "INFO");
    assert_eq!(answer.body["occurred_at"], answer.body["recorded_at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_entries_come_as_an_array_as_logs_as_lines_and_compressed() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let entries = json!([entry(json!({ "message": "a" })), entry(json!({ "message": "b" }))]);
    let array = entries.to_string();
    let logs = json!({ "logs": entries }).to_string();
    let lines = format!("{}\n\r\n{}", entries[0], entries[1]);
    let json = "application/json";
    for (n, (media, encoding, body)) in [
        (json, None, array.clone().into_bytes()),
        ("application/json; charset=utf-8", None, logs.clone().into_bytes()),
        ("application/x-ndjson", None, lines.clone().into_bytes()),
        ("Application/NDJSON", Some("identity"), format!("{lines}\n").into_bytes()),
        (json, Some("gzip"), gzip(logs.as_bytes())),
        ("application/x-ndjson", Some("gzip"), gzip(lines.as_bytes())),
        (json, Some("zstd"), raw_zstd(array.as_bytes())),
    ]
    .into_iter()
    .enumerate()
    {
        let caller = match encoding {
            Some(encoding) => caller.clone().with("content-encoding", encoding),
            None => caller.clone(),
        };
        let answer = caller.post_raw("/logs/bulk", media, body).await.created();
        let first = 2 * n as i64 + 1;
        assert_places(&answer, tenant_id, first, first + 1);
        assert_eq!(answer.body.get("errors"), None);
    }
    let messages: Vec<_> = log::rows(&mut app.db.admin().await, tenant_id)
        .await
        .into_iter()
        .map(|row| row.message.unwrap())
        .collect();
    assert_eq!(messages, ["a", "b"].repeat(7));
    let one = caller.clone().with("content-encoding", "zstd");
    one.post_raw("/logs", json, raw_zstd(entries[0].to_string().as_bytes())).await.created();
    let single = caller.with("content-encoding", "gzip");
    single.post_raw("/logs", json, gzip(entries[0].to_string().as_bytes())).await.created();
    assert_len(app, tenant_id, 16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_written_whole_or_not_at_all() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let mut entries = vec![entry(json!({})); 10];
    entries[3] = entry(json!({ "severity": "HIGH", "usr_id": "x" }));
    entries[9] = json!(7);
    let answer = caller.post("/logs/bulk", &json!(entries)).await;
    answer.assert_problem(422, "invalid_entry");
    let problems =
        [(3, "usr_id", "unknown_field"), (3, "severity", "unknown_value"), (9, "", "wrong_type")];
    assert_eq!(answer.field_problems(), problems);
    assert_len(app, tenant_id, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_writes_the_good_ones_and_tells_of_the_others() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let good = |name: &str| entry(json!({ "resource_id": name }));
    let bad = json!({ "action": "VIEW" });

    let all_good = json!([good("a"), good("b")]);
    let answer = caller.post("/logs/bulk?partial=true", &all_good).await.created();
    assert_places(&answer, tenant_id, 1, 2);
    assert_eq!(answer.body.get("errors"), None);

    let mixed = json!([bad, good("c"), 5, good("d")]);
    let answer = caller.post("/logs/bulk?partial=true", &mixed).await;
    assert_eq!(answer.status, StatusCode::MULTI_STATUS);
    assert_places(&answer, tenant_id, 3, 4);
    let problems = [(0, "resource_type", "required"), (2, "", "wrong_type")];
    assert_eq!(answer.field_problems(), problems);

    let answer = caller.post("/logs/bulk?partial=true", &json!([bad, 5])).await;
    answer.assert_problem(422, "invalid_entry");
    assert_eq!(answer.field_problems(), [(0, "resource_type", "required"), (1, "", "wrong_type")]);

    let answer = caller.post("/logs/bulk?partial=false", &mixed).await;
    answer.assert_problem(422, "invalid_entry");

    let rows = log::rows(&mut app.db.admin().await, tenant_id).await;
    let names: Vec<_> = rows.iter().map(|row| row.resource_id.as_deref().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_len(app, tenant_id, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_entry_leaves_out_is_taken_from_its_caller() {
    let app = TestApp::shared().await;
    let (_, caller) = user(app).await;
    let agent = "é".repeat(600);
    let caller = caller
        .with_bytes("x-user-name", "Álice".as_bytes())
        .with("x-request-id", "req-7")
        .with("x-forwarded-for", "10.9.9.9, 203.0.113.7")
        .with("user-agent", &"a".repeat(600));
    let answer = caller.post_entry(json!({})).await.created();
    assert_eq!(answer.headers["x-request-id"], "req-7");
    for (field, value) in [
        ("recorded_by", "alice"),
        ("user_id", "alice"),
        ("user_name", "Álice"),
        ("request_id", "req-7"),
        ("ip_address", "203.0.113.7"),
        ("user_agent", &"a".repeat(512)),
    ] {
        assert_eq!(answer.body[field], value, "{field}");
    }

    let given = json!({
        "user_id": "bob", "request_id": "r", "ip_address": "2001:db8::1", "user_agent": agent,
        "occurred_at": "2020-02-29T23:59:60.1239+02:00", "session_id": "s",
    });
    let answer = caller.post_entry(given.clone()).await;
    // A leap second that never was is no time.
    answer.assert_problem(422, "invalid_entry");
    let mut given = given;
    given["occurred_at"] = json!("2020-02-29T23:59:59.1239+02:00");
    let answer = caller.post_entry(given).await.created();
    for (field, value) in [
        ("recorded_by", json!("alice")),
        ("user_id", json!("bob")),
        // The caller's name is not the name of the actor that the entry names.
        ("user_name", Value::Null),
        ("request_id", json!("r")),
        ("session_id", json!("s")),
        ("ip_address", json!("2001:db8::1")),
        ("user_agent", json!("é".repeat(512))),
        ("occurred_at", json!("2020-02-29T21:59:59.123Z")),
    ] {
        assert_eq!(answer.body[field], value, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_who_is_the_caller_has_the_callers_name() {
    let app = TestApp::shared().await;
    let (_, caller) = user(app).await;
    let caller = caller.with("x-user-name", "Alice");
    for (given, name) in [
        (json!({}), json!("Alice")),
        (json!({ "user_id": "alice" }), json!("Alice")),
        (json!({ "user_id": "bob" }), Value::Null),
        (json!({ "user_id": "alice", "user_name": "A." }), json!("A.")),
    ] {
        let answer = caller.post_entry(given.clone()).await.created();
        assert_eq!(answer.body["user_name"], name, "{given}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_the_last_that_the_gateway_saw() {
    let app = TestApp::shared().await;
    let (_, caller) = user(app).await;
    for (sent, stored) in [
        ("203.0.113.7", json!("203.0.113.7")),
        ("a, [2001:db8::7]:443", json!("2001:db8::7")),
        ("203.0.113.7, unknown", Value::Null),
        ("203.0.113.7, ,", json!("203.0.113.7")),
    ] {
        let answer = caller.clone().with("x-forwarded-for", sent).post_entry(json!({})).await;
        assert_eq!(answer.created().body["ip_address"], stored, "{sent}");
    }
    let twice = caller
        .clone()
        .with("x-forwarded-for", "10.0.0.1")
        .with_another("x-forwarded-for", "10.0.0.2");
    assert_eq!(twice.post_entry(json!({})).await.created().body["ip_address"], "10.0.0.2");
    assert_eq!(caller.post_entry(json!({})).await.created().body["ip_address"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_stays_as_it_was_written_but_for_white_space() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let written = r#"{ "z" : 1.50, "a": 1e400 ,"n":123456789012345678901234567890,
        "e":[-0.0,1E+2 ], "s":"\u00e9\/ \n é", "": { } }"#;
    let stored = r#"{"z":1.50,"a":1e400,"n":123456789012345678901234567890,"#.to_owned()
        + r#""e":[-0.0,1E+2],"s":"\u00e9\/ \n é","":{}}"#;
    let body = format!(
        r#"{{"action":"UPDATE","resource_type":"x","before_state":{written},
            "after_state": "\u0061", "log_metadata":{written} }}"#
    );
    let answer = caller.post_raw("/logs", "application/json", body).await.created();
    let told = format!(r#""before":{stored},"after":"\u0061","metadata":{stored}}}"#);
    assert!(answer.text.ends_with(&told), "{}", answer.text);
    let location = answer.headers["location"].to_str().unwrap();
    let found = caller.get(location.strip_prefix("/api/v1").unwrap()).await;
    assert_eq!(found.text, answer.text);
    let rows = log::rows(&mut app.db.admin().await, tenant_id).await;
    assert_eq!(rows[0].before.as_ref(), Some(&stored));
    assert_eq!(rows[0].after.as_deref(), Some(r#""\u0061""#));
    assert_eq!(rows[0].metadata.as_ref(), Some(&stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_null_is_an_absent_field() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let nulls = json!({
        "occurred_at": null, "user_id": null, "severity": null, "message": null, "before": null,
        "metadata": null,
    });
    let answer = caller.post_entry(nulls).await.created();
    assert_eq!(answer.body["user_id"], "alice");
    let rows = log::rows(&mut app.db.admin().await, tenant_id).await;
    assert_eq!((&rows[0].before, &rows[0].metadata), (&None, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_masked_before_they_are_stored_unless_the_tenant_wants_otherwise() {
    let app = TestApp::start().await;
    let (tenant_id, caller) = user(&app).await;
    let path = format!("/tenants/{tenant_id}");
    let secrets = json!({
        "message": "paid with 4111 1111 1111 1111",
        "before": { "Api-Key": "planted", "deep": [{ "userPassword": { "a": "planted" } }] },
        "metadata": { "badge_no": "planted", "card": "4111-1111-1111-1111", "n": 1 },
    });
    let stored = async || {
        let row = log::rows(&mut app.db.admin().await, tenant_id).await.pop().unwrap();
        (row.message.unwrap(), row.before.unwrap(), row.metadata.unwrap())
    };

    caller.post_entry(secrets.clone()).await.created();
    let (message, before, metadata) = stored().await;
    assert_eq!(message, "paid with [masked]");
    assert_eq!(before, r#"{"Api-Key":"[masked]","deep":[{"userPassword":"[masked]"}]}"#);
    assert_eq!(metadata, r#"{"badge_no":"planted","card":"[masked]","n":1}"#);

    let keys = json!({ "masked_keys": ["BADGE-NO"] });
    assert_eq!(app.operator().patch(&path, &keys).await.status, StatusCode::OK);
    let answer = caller.post_entry(secrets.clone()).await.created();
    assert_eq!(answer.body["metadata"]["badge_no"], "[masked]");
    assert!(!answer.text.contains("planted"));

    let off = json!({ "masking": false });
    assert_eq!(app.operator().patch(&path, &off).await.status, StatusCode::OK);
    let answer = caller.post_entry(secrets.clone()).await.created();
    assert_eq!(answer.body["message"], secrets["message"]);
    let (_, before, metadata) = stored().await;
    assert_eq!(before, secrets["before"].to_string());
    assert_eq!(metadata, secrets["metadata"].to_string());
}
