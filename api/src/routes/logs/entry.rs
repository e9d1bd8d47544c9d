//! `/logs/{id}`: one entry.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use domain::{EntryId, ProblemCode, Selection};

use super::find;
use crate::app::App;
use crate::error::ApiError;
use crate::identity::caller::Reader;
use crate::query::Parameters;

/// `GET /api/v1/logs/{id}`: an entry never changes, so its id is its tag for ever.
pub async fn get(
    State(app): State<App>,
    caller: Reader,
    id: Result<Path<String>, PathRejection>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    parameters.allow(&[])?;
    // Another tenant's id is told from the id alone, without a query.
    let id = id.ok().and_then(|Path(id)| EntryId::parse(&id).ok()).ok_or_else(not_found)?;
    let place = id.place_in(caller.tenant_id()).ok_or_else(not_found)?;
    let entry = find(&app, caller.tenant_id(), place).await?.ok_or_else(not_found)?;
    app.reads.note(&caller, "GET /logs/{id}", &Selection::default(), 1);
    let etag = format!("\"{id}\"");
    let tags = [
        (ETAG, HeaderValue::from_str(&etag).map_err(ApiError::internal)?),
        (CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ];
    if matches(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, tags).into_response());
    }
    Ok((tags, axum::Json(entry)).into_response())
}

fn not_found() -> ApiError {
    ApiError::new(ProblemCode::NotFound, "there is no such entry in this tenant's log")
}

/// Whether the client has this version: weak comparison, as `If-None-Match` asks for.
fn matches(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
