//! `/openapi.json`, `/docs`, `/redoc`: the service described, for programs and people; no proof of
//! identity, below the base either.

use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use domain::ProblemCode;

use crate::error::ApiError;
use crate::{documents, openapi};

/// Nothing runs that is not one of our files, and no other host hears of it.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'self'";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Random bytes of a nonce.
const NONCE_LEN: usize = 16;

/// `GET /openapi.json`: the document.
pub async fn document(headers: HeaderMap) -> Response {
    let told = describe("application/json", "no-cache");
    (told, packed(&headers, openapi::text(), documents::packed_document)).into_response()
}

/// `GET /docs`: the document in Swagger UI.
pub async fn swagger() -> Result<Response, ApiError> {
    page(documents::swagger(), POLICY)
}

/// `GET /redoc`: the document in ReDoc, which makes style elements: a nonce of this answer allows them.
pub async fn redoc() -> Result<Response, ApiError> {
    let nonce = BASE64_STANDARD.encode(rand::random::<[u8; NONCE_LEN]>());
    page(documents::redoc(&nonce), &format!("{POLICY} 'nonce-{nonce}'"))
}

/// `GET /docs/{version}/{file}`: what the pages need.
pub async fn file(
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let found = documents::find(&version, &name);
    let (file, gzip, is_current) = found.ok_or_else(|| {
        ApiError::new(ProblemCode::NotFound, "there is no such file: load the page anew")
    })?;
    let kept = if is_current { "public, max-age=31536000, immutable" } else { "no-cache" };
    let told = describe(file.media(), kept);
    Ok((told, packed(&headers, file.text, || gzip.gzip(file.text))).into_response())
}

fn page(text: String, policy: &str) -> Result<Response, ApiError> {
    let mut headers = describe("text/html; charset=utf-8", "no-store");
    let policy = HeaderValue::from_str(policy).map_err(ApiError::internal)?;
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    Ok((headers, text).into_response())
}

fn describe(media: &'static str, kept: &'static str) -> HeaderMap {
    let headers = [
        (CONTENT_TYPE, media),
        (CACHE_CONTROL, kept),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
    ];
    headers.map(|(name, value)| (name, HeaderValue::from_static(value))).into_iter().collect()
}

/// A text as it is, or compressed beforehand for who takes that.
fn packed(headers: &HeaderMap, text: &'static str, gzip: impl FnOnce() -> Bytes) -> Response {
    let vary = (VARY, HeaderValue::from_static("accept-encoding"));
    if !takes_gzip(headers) {
        return ([vary], text).into_response();
    }
    let encoding = (CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    ([vary, encoding], gzip()).into_response()
}

/// Whether gzip is named and not refused; whoever says it in another way gets the plain text.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}
