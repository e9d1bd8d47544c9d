//! `docs/openapi.json` and what is made of it, kept in step with the code; and each request tried.

use std::collections::HashMap;
use std::path::PathBuf;

use reqwest::Method;
use serde_json::Value;

use super::postman;
use super::requests::KEPT;
use crate::support::app::TestApp;
use crate::support::database::TestDb;
use crate::support::spec::DOCUMENT;

/// Writes the files instead of comparing them: `make documents`.
const REWRITE: &str = "AUDIT_TEST_REWRITE";

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

fn assert_in_step(name: &str, wanted: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "docs", name].iter().collect();
    if std::env::var_os(REWRITE).is_some_and(|value| value == "1") {
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/{name} is not what the code says: `make documents` writes it anew"
    );
}

#[test]
fn the_files_in_docs_are_what_the_code_says() {
    assert_in_step("openapi.json", &pretty(&DOCUMENT));
    assert_in_step("audit-log.postman_collection.json", &pretty(&postman::collection()));
    assert_in_step("audit-log.http", &postman::file());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_the_collection_works_in_dev_mode_as_it_is() {
    let app = TestApp::start_with(TestDb::new().await, &["--auth", "dev"]).await;
    let collection = postman::collection();
    let variables = collection["variable"].as_array().unwrap().iter();
    let mut variables: HashMap<_, _> =
        variables.map(|variable| (text(&variable["key"]), text(&variable["value"]))).collect();
    variables.insert("base".to_owned(), app.base.clone());
    let folders = collection["item"].as_array().unwrap();
    let items: Vec<_> =
        folders.iter().flat_map(|folder| folder["item"].as_array().unwrap()).collect();
    // A runner goes by folders; who needs another's answer says so, and waits.
    for waits in [false, true] {
        for item in &items {
            let raw = text(&item["request"]["url"]["raw"]);
            if KEPT.iter().any(|(_, variable, _)| raw.contains(&format!("{{{{{variable}}}}}")))
                == waits
            {
                send(&app, item, &mut variables).await;
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn filled(text: &str, variables: &HashMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in variables {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    text
}

async fn send(app: &TestApp, item: &Value, variables: &mut HashMap<String, String>) {
    let request = &item["request"];
    let url = filled(&text(&request["url"]["raw"]), variables);
    assert!(!url.contains("{{") && !url.contains("//api"), "{url}");
    let method = Method::from_bytes(text(&request["method"]).as_bytes()).unwrap();
    let mut sent = app.client.request(method, &url);
    for header in
        request["header"].as_array().unwrap().iter().filter(|header| header["disabled"] != true)
    {
        sent = sent.header(text(&header["key"]), filled(&text(&header["value"]), variables));
    }
    if let Some(body) = request["body"]["raw"].as_str() {
        sent = sent.body(body.to_owned());
    }
    let answer = sent.send().await.unwrap();
    let status = answer.status();
    let endless =
        answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream");
    let body = if endless { String::new() } else { answer.text().await.unwrap() };
    assert!(status.is_success(), "{url}: {status} {body}");
    let name = text(&item["name"]);
    let Some(script) = item.pointer("/event/0/script/exec/0").and_then(Value::as_str) else {
        return;
    };
    let (_, variable, field) =
        KEPT.iter().find(|(_, variable, _)| script.contains(variable)).expect(&name);
    let body: Value = serde_json::from_str(&body).unwrap();
    variables.insert((*variable).to_owned(), text(&body[field]));
}
