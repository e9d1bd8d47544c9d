//! The document against itself and against the router.

use std::collections::BTreeSet;

use api::routes;
use domain::ProblemCode;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp, send};
use crate::support::schema;
use crate::support::spec::{DOCUMENT, check, fits, operations, part, resolved, without_alias};

fn told() -> BTreeSet<(String, String)> {
    operations().map(|(path, method, _)| (method.to_owned(), path.to_owned())).collect()
}

#[test]
fn every_route_is_in_the_document_and_every_operation_has_a_route() {
    let routes = routes::all().into_iter();
    let routes: BTreeSet<_> = routes
        .map(|(method, path)| (method.as_str().to_lowercase(), without_alias(&path).to_owned()))
        .collect();
    assert_eq!(told(), routes);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_in_the_running_service() {
    let app = TestApp::shared().await;
    for (path, method, operation) in operations() {
        let id = uuid::Uuid::now_v7().to_string();
        let path = path.replace("{id}", &id).replace("{version}", "x").replace("{file}", "main.js");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let roles = &operation["x-roles"];
        let caller = match roles[0].as_str() {
            Some("operator") => app.operator(),
            _ => app.caller(app.tenant().await, "admin"),
        };
        let url = format!("{}{path}", app.base);
        let request = app.client.request(method.clone(), url).headers(caller.headers);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_ne!(status, 405, "{method} {path}");
        assert!(!text.contains("there is no such route"), "{method} {path}: {text}");
    }
}

/// What a route says that it takes, when it is given something else.
async fn taken(app: &TestApp, path: &str, method: &str, operation: &Value) -> BTreeSet<String> {
    let tenant_id = app.tenant().await;
    let caller = match operation["x-roles"][0].as_str() {
        Some("operator") => app.operator(),
        _ => app.caller(tenant_id, "admin"),
    };
    let path =
        path.strip_prefix("/api/v1").unwrap().replace("{id}", &uuid::Uuid::now_v7().to_string());
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let request = caller.request(method, &format!("{path}?no_such_parameter=1"));
    let request = request.header("accept", "text/event-stream");
    let request =
        if operation.get("requestBody").is_some() { request.json(&json!({})) } else { request };
    let answer = send(request).await;
    answer.assert_problem(400, "unknown_parameter");
    let detail = answer.body["detail"].as_str().unwrap();
    let names = detail.split("this route takes ").nth(1).unwrap();
    names.split(", ").filter(|name| *name != "none").map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parameters_of_the_document_are_those_that_routes_take() {
    let app = TestApp::shared().await;
    let own = ["/api/v1/logs/board", "/api/v1/logs/board/{version}/{file}"];
    for (path, method, operation) in operations() {
        if operation["security"] == json!([]) || own.contains(&path) {
            continue;
        }
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let mut told: BTreeSet<_> = parameters
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        let schemes = operation["security"].as_array().unwrap();
        if schemes.contains(&json!({ "ticket": [] })) {
            told.insert("ticket".to_owned());
        }
        assert_eq!(told, taken(app, path, method, operation).await, "{method} {path}");
    }
}

#[test]
fn every_problem_is_told_somewhere() {
    let mut told: BTreeSet<&str> = BTreeSet::from(["not_found", "method_not_allowed"]);
    for (_, _, operation) in operations() {
        for answer in operation["responses"].as_object().unwrap().values() {
            let examples = answer.pointer("/content/application~1problem+json/examples");
            told.extend(
                examples
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(code, _)| code.as_str()),
            );
        }
    }
    let all: BTreeSet<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(told, all);
}

#[test]
fn every_example_fits_its_schema() {
    let mut seen = 0;
    for (path, method, operation) in operations() {
        let at = format!("/paths/{}/{method}", part(path));
        let mut places = vec![format!("{at}/requestBody")];
        places.extend(
            operation["responses"]
                .as_object()
                .unwrap()
                .keys()
                .map(|status| format!("{at}/responses/{status}")),
        );
        for place in places {
            let Some(content) = DOCUMENT.pointer(&format!("{place}/content")) else { continue };
            for (media, body) in content.as_object().unwrap() {
                let one = body.get("example");
                let more = body["examples"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(_, example)| &resolved(example)["value"]);
                for example in one.into_iter().chain(more) {
                    fits(&format!("{place}/content/{}/schema", part(media)), example).unwrap();
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 200, "{seen} examples");
    for (name, parameter) in parameters_with_examples() {
        let schema = &parameter["schema"];
        let fits = schema::check(&DOCUMENT, schema, &parameter["example"]);
        assert!(fits.is_ok() || schema["type"] == "boolean", "{name}: {parameter}: {fits:?}");
    }
}

fn parameters_with_examples() -> impl Iterator<Item = (String, &'static Value)> {
    operations().flat_map(|(path, method, operation)| {
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let parameters = parameters.filter(|parameter| parameter.get("example").is_some());
        parameters.map(move |parameter| (format!("{method} {path}"), parameter))
    })
}

#[test]
fn an_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let mut ids: Vec<_> =
        operations().map(|(_, _, operation)| operation["operationId"].as_str().unwrap()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an operation's id is its own");
    for (path, method, operation) in operations() {
        for word in ["summary", "description"] {
            assert!(!operation[word].as_str().unwrap().is_empty(), "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_another_is_found() {
    let app = TestApp::shared().await;
    let caller = app.caller(app.tenant().await, "admin");
    let right = caller.get("/logs").await;
    let is_told = |answer: &Answer| check("GET", "/api/v1/logs", answer).is_ok();
    assert!(is_told(&right));
    let wrong = |change: &dyn Fn(&mut Answer)| {
        let mut answer = Answer {
            text: right.text.clone(),
            body: right.body.clone(),
            headers: right.headers.clone(),
            ..right
        };
        change(&mut answer);
        !is_told(&answer)
    };
    assert!(wrong(&|answer| answer.body["more"] = json!(1)), "a field more");
    assert!(
        wrong(&|answer| drop(answer.body.as_object_mut().unwrap().remove("head_seq"))),
        "a field less"
    );
    assert!(wrong(&|answer| answer.body["head_seq"] = json!("1")), "another type");
    assert!(wrong(&|answer| answer.status = reqwest::StatusCode::ACCEPTED), "another status");
    assert!(wrong(&|answer| drop(answer.headers.remove("x-request-id"))), "a header less");
    assert!(
        wrong(&|answer| drop(answer.headers.insert("content-type", "text/plain".parse().unwrap()))),
        "another type"
    );
}
