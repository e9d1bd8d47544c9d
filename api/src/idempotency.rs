//! Idempotency keys: what makes a request the same as an earlier one.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use domain::ProblemCode;
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::error::ApiError;
use crate::writer::Key;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Set on an answer that was given before.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest key.
const KEY_LEN_MAX: usize = 255;

/// The key that a request came with, if any, and the parts of the request it stands for.
#[derive(Debug)]
pub struct IdempotencyKey {
    text: Option<String>,
    method: Method,
    uri: Uri,
}

impl FromRequestParts<App> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let first = values.next();
        if values.next().is_some() || first.is_some_and(|value| !is_key(value)) {
            let detail =
                format!("send one Idempotency-Key of 1 to {KEY_LEN_MAX} visible characters");
            return Err(ApiError::new(ProblemCode::InvalidIdempotencyKey, detail));
        }
        let text = first.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Below the base the URI has lost its prefix; what is left tells routes apart as well.
        Ok(Self { text, method: parts.method.clone(), uri: parts.uri.clone() })
    }
}

fn is_key(value: &HeaderValue) -> bool {
    (1..=KEY_LEN_MAX).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

impl IdempotencyKey {
    /// The key with its fingerprint over method, path, query, principal and body.
    pub fn of(&self, principal: &str, body: &[u8]) -> Option<Key> {
        let text = self.text.clone()?;
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
        Some(Key { text, fingerprint: digest.finalize().into() })
    }
}
