//! The document as a collection for Postman (v2.1) and as a file of requests for editors.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::requests::{Given, KEPT, Request, all};
use crate::support::spec::DOCUMENT;

/// Where `make run` serves.
const BASE: &str = "http://127.0.0.1:8000";

/// What a gateway sends; in dev mode nothing of it is needed, and nothing of it counts.
const IDENTITY: [(&str, &str); 5] = [
    ("X-Gateway-Secret", "gatewaySecret"),
    ("X-User-Id", "userId"),
    ("X-User-Role", "userRole"),
    ("X-Tenant-Id", "ownTenantId"),
    ("Authorization", "authorization"),
];

const ABOUT: &str = "Made from docs/openapi.json. Against `make run` it works as it is; for a service in gateway or jwt mode \
    enable the headers of identity and set their variables. Send `recordEntry` and `createTenant` first: the ids that \
    others need come from their answers.";

/// The collection.
pub(super) fn collection() -> Value {
    let requests = all();
    let tags = DOCUMENT["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap());
    let folders = tags.map(|tag| {
        let items = requests.iter().filter(|request| request.tag == tag).map(item);
        json!({ "name": tag, "item": items.collect::<Vec<_>>() })
    });
    let identity = IDENTITY.map(|(_, variable)| json!({ "key": variable, "value": "" }));
    let kept = KEPT.map(|(_, variable, _)| json!({ "key": variable, "value": "" }));
    let mut variables = vec![json!({ "key": "base", "value": BASE })];
    variables.extend(kept.into_iter().chain(identity));
    json!({
        "info": {
            "name": "Audit log",
            "description": ABOUT,
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "variable": variables,
        "item": folders.collect::<Vec<_>>(),
    })
}

fn item(request: &Request) -> Value {
    let mut headers: Vec<_> = request.headers.iter().map(pair).collect();
    if request.proved {
        headers.extend(IDENTITY.map(|(name, variable)| {
            json!({ "key": name, "value": format!("{{{{{variable}}}}}"), "disabled": true })
        }));
    }
    if let Some((media, _)) = &request.body {
        headers.push(json!({ "key": "Content-Type", "value": media }));
    }
    let path: Vec<_> = request.path.trim_start_matches('/').split('/').map(variable).collect();
    let sent: Vec<_> = request.query.iter().filter(|given| given.sent).collect();
    let query: Vec<_> =
        sent.iter().map(|given| format!("{}={}", given.name, given.value)).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut item = json!({
        "name": request.summary,
        "request": {
            "method": request.method,
            "description": request.about,
            "header": headers,
            "url": {
                "raw": format!("{{{{base}}}}/{}{query}", path.join("/")),
                "host": ["{{base}}"],
                "path": path,
                "query": request.query.iter().map(pair).collect::<Vec<_>>(),
            },
        },
    });
    if let Some((_, text)) = &request.body {
        item["request"]["body"] =
            json!({ "mode": "raw", "raw": text, "options": { "raw": { "language": "json" } } });
    }
    if let Some((_, variable, field)) = KEPT.iter().find(|(id, _, _)| *id == request.id) {
        let script = format!(
            "if (pm.response.code === 201) pm.collectionVariables.set('{variable}', pm.response.json().{field});"
        );
        item["event"] = json!([{ "listen": "test", "script": { "type": "text/javascript", "exec": [script] } }]);
    }
    item
}

fn pair(given: &Given) -> Value {
    json!({ "key": given.name, "value": given.value, "description": given.about, "disabled": !given.sent })
}

/// `{name}` as a variable of the collection.
fn variable(part: &str) -> String {
    match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => format!("{{{{{name}}}}}"),
        None => part.to_owned(),
    }
}

/// The same as text, as the REST client of VS Code reads it.
pub(super) fn file() -> String {
    let mut file = String::from(
        "# Made from docs/openapi.json, for the REST client of VS Code. Against `make run` it works as it\n\
         # is; for a service in gateway or jwt mode add the headers of identity to each request:\n\
         #   X-Gateway-Secret, X-User-Id, X-User-Role, X-Tenant-Id, or Authorization: Bearer …\n\
         # The ids that others need come from the answers of the first two.\n\n",
    );
    let _ = writeln!(file, "@base = {BASE}\n");
    for request in all() {
        write_request(&mut file, &request);
    }
    file
}

fn write_request(file: &mut String, request: &Request) {
    let _ = writeln!(file, "### {}\n# @name {}", request.summary, request.id);
    let more: Vec<_> =
        request.query.iter().filter(|given| !given.sent).map(|given| given.name.as_str()).collect();
    if !more.is_empty() {
        let _ = writeln!(file, "# also: {}", more.join(", "));
    }
    let sent: Vec<_> = request.query.iter().filter(|given| given.sent).collect();
    let query: Vec<_> =
        sent.iter().map(|given| format!("{}={}", given.name, given.value)).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut path = request.path.clone();
    for (id, variable, field) in KEPT {
        path = path
            .replace(&format!("{{{variable}}}"), &format!("{{{{{id}.response.body.$.{field}}}}}"));
    }
    let _ = writeln!(file, "{} {{{{base}}}}{path}{query}", request.method);
    for given in request.headers.iter().filter(|given| given.sent) {
        let _ = writeln!(file, "{}: {}", given.name, given.value);
    }
    if let Some((media, text)) = &request.body {
        let _ = writeln!(file, "Content-Type: {media}\n\n{text}");
    }
    file.push('\n');
}
