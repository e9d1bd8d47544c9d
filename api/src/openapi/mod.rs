//! The service described for programs: OpenAPI 3.1, made from what the code knows.
//!
//! What an answer holds comes from the types that are serialised, with their documentation; limits,
//! roles, parameters and problem codes from the constants that the service itself obeys. The rest is
//! said here, near the routes and not in them. Tests hold it against the router and real answers.

mod bodies;
mod documents;
mod examples;
mod headers;
mod logs;
mod operation;
mod parameters;
mod problems;
mod schemas;
mod security;
mod tenants;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use self::operation::Operation;

const ABOUT: &str = "An append-only log for each tenant: entries are numbered 1, 2, 3 … without gaps, in the order in \
    which they were committed. A cursor is a place in that order, so lists, searches, exports and streams resume \
    exactly. Every answer to a request that can be read has `X-Request-Id`, and `Cache-Control: no-store` where it \
    says nothing else. Bodies may come and answers go as gzip or zstd. Every refusal is \
    `application/problem+json` with a stable `code`. Below `/api/v1`, 404 `not_found` answers a path that there is \
    not, 405 `method_not_allowed` with `Allow` a method that a path has not, and `HEAD` goes wherever `GET` does. In \
    dev mode (`make run`) no proof of identity is asked for. The frames of the live stream are described by \
    `docs/asyncapi.json`.";

/// The document as text, made once.
static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// The document as it is served.
pub fn text() -> &'static str {
    &TEXT
}

/// The document.
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Audit log",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "Where this document comes from" }],
        "tags": [
            { "name": "entries", "description": "Entries recorded and read." },
            { "name": "stream", "description": "A log as it grows." },
            { "name": "expiry", "description": "What ends, and what says so." },
            { "name": "board", "description": "The page for people." },
            { "name": "tenants", "description": "For who runs the instance, and for a tenant's admin." },
            { "name": "service", "description": "The service itself; no proof of identity." },
        ],
        "paths": paths(),
        "components": {
            "schemas": schemas::all(),
            "headers": headers::all(),
            "examples": problems::all_examples(),
            "securitySchemes": security::schemes(),
        },
    })
}

fn paths() -> Map<String, Value> {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let (path, method, described) = operation.describe();
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[method] = described;
    }
    paths
}

fn operations() -> impl Iterator<Item = Operation> {
    logs::operations().into_iter().chain(tenants::operations()).chain(documents::operations())
}
