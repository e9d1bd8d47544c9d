//! `/logs/board`: the page for people, and who they are.

use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use domain::{ProblemCode, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::board;
use crate::error::ApiError;
use crate::identity::Proof;
use crate::identity::caller::LogAuditor;
use crate::query::Parameters;

/// Nothing runs that is not one of our files, and no other host hears of it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Refusals that the page explains: it asks once more who is there, and is told the same.
const SAID_BY_THE_PAGE: [StatusCode; 2] = [StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE];

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// `GET /api/v1/logs/board`: the page. Its parameters are the page's own: what it shows.
///
/// Where a browser cannot send a proof by itself, the page comes without, and asks for one. Who
/// may not use it, or not now, gets the same page, which says so, with the status that programs
/// look at.
pub async fn page(
    State(app): State<App>,
    caller: Result<LogAuditor, ApiError>,
    headers: HeaderMap,
) -> Response {
    let refused = caller.err().filter(|_| !app.authenticator.takes_tokens());
    let Some(refused) = refused else {
        return (describe("text/html; charset=utf-8"), board::page()).into_response();
    };
    let mut answer = refused.into_response();
    if SAID_BY_THE_PAGE.contains(&answer.status()) && wants_a_page(&headers) {
        answer.headers_mut().extend(describe("text/html; charset=utf-8"));
        *answer.body_mut() = board::page().into();
    }
    answer
}

/// `GET /api/v1/logs/board/{version}/{file}`: a part of the page.
pub async fn file(Path((version, name)): Path<(String, String)>) -> Result<Response, ApiError> {
    let found = board::find(&version, &name);
    let (file, is_current) = found.ok_or_else(|| {
        ApiError::new(ProblemCode::NotFound, "the board has no such file: load its page anew")
    })?;
    let mut headers = describe(file.media());
    if is_current {
        let for_ever = HeaderValue::from_static("private, max-age=31536000, immutable");
        headers.insert(CACHE_CONTROL, for_ever);
    }
    Ok((headers, file.text).into_response())
}

/// Who looks at the board.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// How callers prove who they are: `gateway`, `jwt` or `dev`.
    auth: &'static str,
    /// The principal.
    user_id: String,
    /// The principal's name.
    user_name: Option<String>,
    /// What it may do.
    roles: Vec<&'static str>,
    /// Whose log.
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
    /// The tenant's name.
    tenant_name: String,
    /// Whether the tenant may not write.
    suspended: bool,
}

/// `GET /api/v1/logs/board/session`: who is calling, for the page to say.
pub async fn session(
    State(app): State<App>,
    caller: LogAuditor,
    Extension(proof): Extension<Proof>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    parameters.allow(&[])?;
    let identity = proof.identity(&headers)?;
    let session = Session {
        auth: app.authenticator.mode(),
        user_id: identity.user_id,
        user_name: identity.user_name,
        roles: identity.roles.iter().map(|role| role.as_str()).collect(),
        tenant_id: caller.tenant_id(),
        tenant_name: caller.tenant.name.clone(),
        suspended: caller.tenant.suspended,
    };
    Ok(([(CACHE_CONTROL, "private, no-store")], Json(session)).into_response())
}

/// A program that says nothing of pages gets problems as everywhere.
fn wants_a_page(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("text/html"))
}

fn describe(media: &'static str) -> HeaderMap {
    let headers = [
        (CONTENT_TYPE, media),
        (CACHE_CONTROL, "private, no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
    ];
    headers.map(|(name, value)| (name, HeaderValue::from_static(value))).into_iter().collect()
}
