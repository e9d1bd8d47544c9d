//! `/healthz`: the process answers. `/readyz`: it can do its work.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::App;
use crate::searching::Condition;
use crate::store::partitions;

/// How long the database may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Seconds until a service that is not ready may be.
const RETRY_AFTER_S: &str = "5";

/// The process answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

/// Whether it can do its work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready` or `not ready`.
    status: &'static str,
    /// What it depends on.
    parts: Parts,
}

/// What readiness depends on, and the search index, which does not count.
#[derive(Serialize, ToSchema)]
pub(crate) struct Parts {
    /// `ok` or `unavailable`.
    postgres: &'static str,
    /// `ok`, `missing` or `unknown`.
    partitions: &'static str,
    /// `off`, `ok`, `unknown` or `unavailable`.
    search: &'static str,
}

/// `GET /healthz`: the process runs; says nothing about what it depends on.
pub async fn healthz() -> impl IntoResponse {
    Json(Health { status: "ok" })
}

/// `GET /readyz`: PostgreSQL answers, and the next two days have partitions. Without the search
/// index everything goes on, so it is named and does not count.
pub async fn readyz(State(app): State<App>) -> Response {
    let reach = timeout(PROBE_TIMEOUT, partitions::reach(&app.store.worker, app.profile)).await;
    let (postgres, partitions) = match reach {
        Ok(Ok(true)) => ("ok", "ok"),
        Ok(Ok(false)) => ("ok", "missing"),
        Ok(Err(_)) | Err(_) => ("unavailable", "unknown"),
    };
    let parts = Parts { postgres, partitions, search: search(&app) };
    if parts.partitions == "ok" {
        return Json(Readiness { status: "ready", parts }).into_response();
    }
    let body = Json(Readiness { status: "not ready", parts });
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, RETRY_AFTER_S)], body).into_response()
}

/// What is known of the search index.
fn search(app: &App) -> &'static str {
    match app.searches.condition() {
        None => "off",
        Some(Condition::Unknown) => "unknown",
        Some(Condition::Ok) => "ok",
        Some(Condition::Failing) => "unavailable",
    }
}
