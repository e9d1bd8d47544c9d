//! A request for each operation of the document, that does something against `make run` as it is.

use serde_json::Value;

use crate::support::spec::operations;

/// What a later request needs of an earlier one's answer: after which, the variable, the field.
pub(super) const KEPT: [(&str, &str, &str); 2] =
    [("recordEntry", "entryId", "id"), ("createTenant", "tenantId", "id")];

/// Requests whose answers others need go first, then in the order of the tags.
const FIRST: [&str; 2] = ["recordEntry", "createTenant"];

/// A parameter, and whether it is sent.
pub(super) struct Given {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) about: String,
    pub(super) sent: bool,
}

/// One request.
pub(super) struct Request {
    pub(super) id: String,
    pub(super) summary: String,
    pub(super) about: String,
    pub(super) tag: String,
    pub(super) method: String,
    /// With `{name}` where a variable stands.
    pub(super) path: String,
    pub(super) query: Vec<Given>,
    pub(super) headers: Vec<Given>,
    /// Media type and text.
    pub(super) body: Option<(String, String)>,
    /// Whether a proof of identity is needed, outside of dev mode.
    pub(super) proved: bool,
}

/// All of them. What a browser alone asks for is left out: files of pages.
pub(super) fn all() -> Vec<Request> {
    let asked = operations().filter(|(path, _, _)| !path.contains("{file}"));
    let mut requests: Vec<_> =
        asked.map(|(path, method, operation)| read(path, method, operation)).collect();
    requests.sort_by_key(|request| {
        FIRST.iter().position(|first| *first == request.id).unwrap_or(FIRST.len())
    });
    requests
}

fn read(path: &str, method: &str, operation: &Value) -> Request {
    let text = |name: &str| operation[name].as_str().unwrap().to_owned();
    let given = |place: &str| {
        let parameters = operation["parameters"].as_array().unwrap().iter();
        parameters
            .filter(|parameter| parameter["in"] == place)
            .map(read_parameter)
            .collect::<Vec<_>>()
    };
    let mut headers = given("header");
    let events = operation.pointer("/responses/200/content/text~1event-stream").is_some();
    if events {
        let about = "Events, not a WebSocket.".to_owned();
        headers.push(Given {
            name: "Accept".to_owned(),
            value: "text/event-stream".to_owned(),
            about,
            sent: true,
        });
    }
    let body = operation.pointer("/requestBody/content/application~1json/example");
    let variable = if path.contains("/tenants/") { "{tenantId}" } else { "{entryId}" };
    Request {
        id: text("operationId"),
        summary: text("summary"),
        about: text("description"),
        tag: operation["tags"][0].as_str().unwrap().to_owned(),
        method: method.to_uppercase(),
        path: path.replace("{id}", variable),
        query: given("query"),
        headers,
        body: body.map(|body| {
            ("application/json".to_owned(), serde_json::to_string_pretty(body).unwrap())
        }),
        proved: operation["security"] != Value::Array(Vec::new()),
    }
}

/// What a request cannot do without is sent; `dry_run` as well, or a cleanup would clean up.
fn read_parameter(parameter: &Value) -> Given {
    let name = parameter["name"].as_str().unwrap().to_owned();
    let sent = parameter["required"] == true || name == "dry_run";
    let about = parameter["description"].as_str().unwrap().to_owned();
    let schema = &parameter["schema"];
    let known = [
        &parameter["example"],
        &schema["default"],
        &schema["enum"][0],
        &schema["items"]["enum"][0],
        &schema["const"],
    ];
    let value = known.into_iter().find(|value| !value.is_null());
    let value = value.map_or_else(String::new, |value| {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    });
    Given { name, value, about, sent }
}
