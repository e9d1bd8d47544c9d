//! Idempotency keys: what makes a request the same as an earlier one.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use domain::ProblemCode;
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::error::ApiError;
use crate::writer::Key;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Set on an answer that was given before.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest key.
pub const KEY_LEN_MAX: usize = 255;

/// The key that a request came with, if any, and the parts of the request it stands for.
///
/// A wrong one is told by [`of`](Self::of): what is wrong with the body's form comes first.
#[derive(Debug)]
pub struct IdempotencyKey {
    text: Result<Option<String>, InvalidKey>,
    method: Method,
    uri: Uri,
}

impl FromRequestParts<App> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, ApiError> {
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        Ok(Self { text: read(&parts.headers), method, uri })
    }
}

fn read(headers: &HeaderMap) -> Result<Option<String>, InvalidKey> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if is_key(value) => {
            value.to_str().map(|text| Some(text.to_owned())).map_err(|_| InvalidKey)
        }
        (Some(_), _) => Err(InvalidKey),
    }
}

fn is_key(value: &HeaderValue) -> bool {
    (1..=KEY_LEN_MAX).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// More than one key, or one that is empty, too long or not visible.
#[derive(Debug, Clone, Copy)]
struct InvalidKey;

impl From<InvalidKey> for ApiError {
    fn from(InvalidKey: InvalidKey) -> Self {
        let detail = format!("send one Idempotency-Key of 1 to {KEY_LEN_MAX} visible characters");
        Self::new(ProblemCode::InvalidIdempotencyKey, detail)
    }
}

impl IdempotencyKey {
    /// The key with its fingerprint over method, path, query, principal and body.
    pub fn of(&self, principal: &str, body: &[u8]) -> Result<Option<Key>, ApiError> {
        let Some(text) = self.text.clone()? else { return Ok(None) };
        let query = self.uri.query().unwrap_or_default();
        let parts: [&[u8]; 5] = [
            self.method.as_str().as_bytes(),
            self.uri.path().as_bytes(),
            query.as_bytes(),
            principal.as_bytes(),
            body,
        ];
        let mut digest = Sha256::new();
        for part in parts {
            // With its length, so that no two lists of parts run together to the same bytes.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Ok(Some(Key { text, fingerprint: digest.finalize().into() }))
    }
}
