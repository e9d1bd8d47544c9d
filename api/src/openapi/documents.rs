//! What is asked for without a proof of identity: health, and these documents.

use domain::ProblemCode as Code;
use serde_json::json;

use super::operation::Operation;
use super::parameters as p;
use super::{examples, schemas};

const JSON: &str = "application/json";

pub(super) fn operations() -> Vec<Operation> {
    health().into_iter().chain(documents()).collect()
}

fn health() -> [Operation; 2] {
    let health = Operation::open("get", "/healthz")
        .named(
            "health",
            "service",
            "Whether the process answers",
            "Says nothing about what it depends on.",
        )
        .answers(200, "It does.", &[], &[(JSON, schemas::named("Health"), examples::health())]);
    let readiness = |ready| [(JSON, schemas::named("Readiness"), examples::readiness(ready))];
    let about = "PostgreSQL answers, and the next two days have partitions. The search index is named and does not count.";
    let ready = Operation::open("get", "/readyz")
        .named("readiness", "service", "Whether it can do its work", about)
        .answers(200, "It can.", &[], &readiness(true))
        .answers(503, "It cannot.", &[], &readiness(false));
    [health, ready]
}

fn documents() -> [Operation; 4] {
    let told = ["Cache-Control"];
    let page = || [("text/html", json!({ "type": "string" }), examples::html())];
    let also = "Also below /api/v1, there without a proof, too.";
    let document = Operation::open("get", "/openapi.json")
        .named("openapi", "service", "This document", also)
        .answers(
            200,
            "The document.",
            &told,
            &[(JSON, json!({ "type": "object" }), json!({ "openapi": "3.1.0" }))],
        );
    let html = ["Cache-Control", "Content-Security-Policy"];
    let swagger = Operation::open("get", "/docs")
        .named("swaggerUi", "service", "This document in Swagger UI", also)
        .answers(200, "The page.", &html, &page());
    let redoc = Operation::open("get", "/redoc")
        .named("redoc", "service", "This document in ReDoc", also)
        .answers(200, "The page.", &html, &page());
    let file = Operation::open("get", "/docs/{version}/{file}")
        .named(
            "docsFile",
            "service",
            "A part of these pages",
            "Asset files; kept by browsers for ever.",
        )
        .takes_headers([p::version(), p::file("swagger.js")])
        .problems(&[Code::NotFound])
        .answers(
            200,
            "The file.",
            &["Cache-Control"],
            &[
                ("text/javascript", json!({ "type": "string" }), json!("…")),
                ("text/css", json!({ "type": "string" }), json!("…")),
            ],
        );
    [document, swagger, redoc, file]
}
