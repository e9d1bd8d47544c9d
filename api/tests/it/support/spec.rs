//! The OpenAPI document, held against every answer that a test gets from a [`Caller`](super::app::Caller).

use std::sync::LazyLock;

use reqwest::header::HeaderMap;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::app::Answer;
use super::schema;

/// The document as the service makes it.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(api::openapi::document);

/// Below the base, these are the same once more.
const ALIASED: [&str; 3] = ["/openapi.json", "/docs", "/redoc"];

/// Every operation of the document: path, method, and the rest.
pub(crate) fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// The path without the base where it is only another name.
pub(crate) fn without_alias(path: &str) -> &str {
    let rest = path.strip_prefix("/api/v1").unwrap_or(path);
    let is_alias =
        ALIASED.iter().any(|name| rest == *name || rest.starts_with(&format!("{name}/")));
    if is_alias { rest } else { path }
}

/// The operation that a request is for; one without variables before one with.
fn find(method: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let path = without_alias(path);
    let fits = |template: &str| {
        let (wanted, given) = (template.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted.zip(given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
    };
    let mut found: Vec<_> = operations().filter(|(template, _, _)| fits(template)).collect();
    found.sort_by_key(|(template, _, _)| template.matches('{').count());
    let exact = found.first()?.0;
    let mut found = found.into_iter().filter(|(template, _, _)| *template == exact);
    let (template, _, operation) = found.find(|(_, name, _)| method.eq_ignore_ascii_case(name))?;
    Some((template, operation))
}

/// What a schema at a place of the document says of a value.
pub(crate) fn fits(place: &str, value: &Value) -> Result<(), String> {
    let schema = DOCUMENT.pointer(place).ok_or_else(|| format!("no {place}"))?;
    schema::check(&DOCUMENT, schema, value).map_err(|wrong| format!("{place}: {wrong}"))
}

/// What a reference stands for.
pub(crate) fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(name) => DOCUMENT.pointer(name.trim_start_matches('#')).expect(name),
        None => value,
    }
}

/// A name as a part of a JSON pointer.
pub(crate) fn part(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Whether an answer is one that the document tells of.
pub(crate) fn check(method: &str, path: &str, answer: &Answer) -> Result<(), String> {
    // An answer to HEAD has no body that could be looked at.
    if method == "HEAD" {
        return Ok(());
    }
    let Some((template, operation)) = find(method, path) else { return check_any(answer) };
    let status = answer.status.as_u16();
    if status == 405 {
        return check_any(answer);
    }
    let method = method.to_lowercase();
    let place = format!("/paths/{}/{method}/responses/{status}", part(template));
    let Some(told) = operation["responses"].get(status.to_string()) else {
        return Err(format!(
            "{method} {template} answers {status}, of which it tells nothing: {}",
            answer.text
        ));
    };
    check_headers(told, &answer.headers)?;
    check_body(told, &place, answer).map_err(|wrong| format!("{wrong}: {}", answer.text))
}

/// Where no operation is meant, a refusal is still a problem.
fn check_any(answer: &Answer) -> Result<(), String> {
    if media(&answer.headers) == "application/problem+json" {
        let told = DOCUMENT["components"]["examples"].as_object().unwrap();
        let code = answer.body["code"].as_str().unwrap();
        assert!(told.contains_key(code), "{code}");
        return fits("/components/schemas/Problem", &answer.body);
    }
    Ok(())
}

fn check_headers(told: &'static Value, headers: &HeaderMap) -> Result<(), String> {
    for (name, header) in told["headers"].as_object().unwrap() {
        let header = resolved(header);
        match headers.get(name.as_str()) {
            Some(value) => {
                let value = json!(value.to_str().unwrap());
                schema::check(&DOCUMENT, &header["schema"], &value)
                    .map_err(|wrong| format!("{name}: {wrong}"))?;
            }
            None if header["required"] == true => return Err(format!("{name} is missing")),
            None => {}
        }
    }
    Ok(())
}

fn media(headers: &HeaderMap) -> &str {
    let media = headers.get("content-type").map_or("", |value| value.to_str().unwrap());
    media.split(';').next().unwrap_or_default().trim()
}

fn check_body(told: &Value, place: &str, answer: &Answer) -> Result<(), String> {
    let media = media(&answer.headers);
    let Some(content) = told.get("content") else {
        return if answer.text.is_empty() { Ok(()) } else { Err(format!("{place} has a body")) };
    };
    if content.get(media).is_none() {
        return Err(format!("{place} comes as {media}"));
    }
    let is_json = media.ends_with("json") && media != "application/x-ndjson";
    if is_json && !answer.headers.contains_key("content-encoding") {
        // A number that no float holds is JSON all the same, and no `Value`.
        if answer.body.is_null() && serde_json::from_str::<IgnoredAny>(&answer.text).is_ok() {
            return Ok(());
        }
        return fits(&format!("{place}/content/{}/schema", part(media)), &answer.body);
    }
    Ok(())
}
