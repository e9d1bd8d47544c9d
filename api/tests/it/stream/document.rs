//! `docs/asyncapi.json` against itself and against real frames.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::record;
use crate::support::app::TestApp;
use crate::support::database::TestDb;
use crate::support::socket::{Came, Socket};

fn document() -> Value {
    serde_json::from_str(include_str!("../../../../docs/asyncapi.json")).unwrap()
}

/// What of JSON Schema the document uses; anything else in it is a mistake.
fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for (word, wanted) in schema.as_object().expect("a schema is an object") {
        let fits = match word.as_str() {
            "$ref" => {
                let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                check(document, document.pointer(pointer).expect(pointer), value)?;
                true
            }
            "description" => true,
            "type" => wanted.as_array().map_or_else(
                || is_a(value, wanted),
                |types| types.iter().any(|one| is_a(value, one)),
            ),
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_i64() >= wanted.as_i64(),
            "pattern" => value.as_str().is_some_and(|text| is_cursor(text, wanted)),
            "required" => {
                let names = wanted.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                names.clone().all(|name| value.get(name).is_some())
            }
            "additionalProperties" => {
                let known = &schema["properties"];
                value.as_object().unwrap().keys().all(|name| known.get(name).is_some())
            }
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    value.get(name).map_or(Ok(()), |value| check(document, schema, value))?;
                }
                true
            }
            other => panic!("the test knows no {other}"),
        };
        if !fits {
            return Err(format!("{value} is not {word} {wanted}"));
        }
    }
    Ok(())
}

fn is_a(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("the test knows no type {other}"),
    }
}

/// The one pattern that there is.
fn is_cursor(text: &str, pattern: &Value) -> bool {
    assert_eq!(pattern, "^[A-Za-z0-9_-]{48}$");
    text.len() == 48 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn check_frame(document: &Value, frame: &Value) -> Result<(), String> {
    let kind = frame["type"].as_str().unwrap();
    check(document, &document["components"]["schemas"][kind], frame)
}

#[test]
fn each_message_has_an_example_that_fits_and_one_that_does_not() {
    let document = document();
    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        let example = &message["examples"][0]["payload"];
        assert_eq!(example["type"], *name);
        assert_eq!(check_frame(&document, example), Ok(()), "{name}");
        let mut more = example.clone();
        more["more"] = json!(1);
        assert!(check_frame(&document, &more).is_err(), "{name}");
        let fields = example.as_object().unwrap().keys().filter(|field| *field != "type");
        for field in fields {
            let mut less = example.clone();
            less.as_object_mut().unwrap().remove(field);
            assert!(check_frame(&document, &less).is_err(), "{name} without {field}");
        }
        let named = format!("#/components/messages/{name}");
        assert_eq!(document["channels"]["stream"]["messages"][name]["$ref"], named);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_frames_of_every_kind_are_as_the_document_says() {
    let document = document();
    let app = TestApp::start_with(TestDb::new().await, &["--stream-hurry", "60"]).await;
    let tenant_id = app.tenant().await;
    let mut socket = Socket::open(&app.base, tenant_id, "").await;
    let begin = socket.expect("hello").await["cursor"].as_str().unwrap().to_owned();
    record(&app.caller(tenant_id, "user"), 0, 1).await;
    let full = json!({
        "message": "m", "session_id": "s", "resource_id": "r", "before": [1], "after": 7,
        "metadata": { "a": null }, "severity": "CRITICAL", "user_name": "A",
    });
    app.caller(tenant_id, "user").post_entry(full).await.created();
    socket.seqs(2).await;
    drop(socket);
    let floor = "update log_floor set floor_seq = 2, floor_at = date_trunc('day', now() at time zone 'utc') at time zone 'utc'";
    crate::support::database::run(&mut app.db.admin().await, floor.to_owned()).await;
    let mut socket = Socket::open(&app.base, tenant_id, &format!("?cursor={begin}")).await;
    socket.filter("x=1").await;
    let mut seen = BTreeSet::new();
    while seen.len() < 5 {
        let Came::Frame(frame) = socket.next().await else { panic!("it ended: {seen:?}") };
        assert_eq!(check_frame(&document, &frame), Ok(()));
        seen.insert(frame["type"].as_str().unwrap().to_owned());
    }
    let documented = document["operations"]["receive"]["messages"].as_array().unwrap();
    assert_eq!(seen.len(), documented.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_document_lets_a_client_say_is_answered() {
    let document = document();
    let app = TestApp::shared().await;
    let mut socket = Socket::open(&app.base, app.tenant().await, "").await;
    socket.expect("hello").await;
    for kind in ["pause", "resume", "filter"] {
        let example = &document["components"]["messages"][kind]["examples"][0]["payload"];
        socket.say(example.clone()).await;
        socket.expect("hello").await;
    }
}

#[test]
fn the_parameters_of_the_document_are_those_of_the_route() {
    let document = document();
    let query = &document["channels"]["stream"]["bindings"]["ws"]["query"]["properties"];
    let named: BTreeSet<_> = query.as_object().unwrap().keys().map(String::as_str).collect();
    let mut taken: BTreeSet<_> = api::streaming::course::Wanted::parameters().into_iter().collect();
    taken.extend(["cursor", "ticket"]);
    assert_eq!(named, taken);
}
