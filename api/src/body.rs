//! Bodies: admitted by weight before they are read, read up to a limit, never a byte further.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use bytes::Bytes;
use domain::{ProblemCode, TenantId, Unreadable};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::admission::Permit;
use crate::app::App;
use crate::error::ApiError;

/// How long a body may take to arrive.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// What a route takes for a body.
pub trait Content: Send + Sync + 'static {
    /// Largest body, decompressed.
    const BYTES_MAX: usize;
    /// What it may be.
    const MEDIA: &'static [Media];
}

/// A single entry: 64 KiB, and room for white space and escapes.
#[derive(Debug)]
pub struct OneEntry;

impl Content for OneEntry {
    const BYTES_MAX: usize = 512 << 10;
    const MEDIA: &'static [Media] = &[Media::Json];
}

/// Entries in bulk.
#[derive(Debug)]
pub struct ManyEntries;

impl Content for ManyEntries {
    const BYTES_MAX: usize = 10 << 20;
    const MEDIA: &'static [Media] = &[Media::Json, Media::Ndjson];
}

/// What is to change about a tenant.
#[derive(Debug)]
pub struct TenantChange;

impl Content for TenantChange {
    const BYTES_MAX: usize = 64 << 10;
    const MEDIA: &'static [Media] = &[Media::Json];
}

/// From this size on, reading and checking a body takes longer than a task should.
const HEAVY_BYTES_MIN: usize = 64 << 10;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `application/x-ndjson`.
    Ndjson,
}

impl Media {
    fn parse(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Some(Self::Ndjson)
            }
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// A body and its share of the memory.
///
/// Comes after the caller among a handler's arguments: the caller's tenant bears the weight.
#[derive(Debug)]
pub struct Admitted<C: Content> {
    /// The bytes, decompressed.
    pub bytes: Bytes,
    /// What they are.
    pub media: Media,
    /// Held until the answer.
    pub permit: Arc<Permit>,
    content: PhantomData<C>,
}

impl<C: Content> Admitted<C> {
    /// Works on the body; a heavy one does not hold up other requests' tasks meanwhile.
    pub fn work<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.bytes.len() < HEAVY_BYTES_MIN {
            return work();
        }
        tokio::task::block_in_place(work)
    }

    /// The body as text, or where it stops being UTF-8.
    pub fn text(&self) -> Result<&str, Unreadable> {
        domain::utf8(&self.bytes)
    }
}

impl<C: Content> FromRequest<App> for Admitted<C> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let media = media(request.headers(), C::MEDIA)?;
        let tenant_id = request.extensions().get::<TenantId>().copied();
        let tenant_id = tenant_id.ok_or_else(|| ApiError::internal("a body without a caller"))?;
        let announced = announced_bytes(&request, C::BYTES_MAX)?;
        let weighed = app.admission.admit(tenant_id, announced.unwrap_or(C::BYTES_MAX) as u64);
        let mut permit = weighed.map_err(|overloaded| {
            let detail = format!("{overloaded}; nothing was written: try again");
            ApiError::new(ProblemCode::Overloaded, detail).retry_after(1)
        })?;
        let bytes = read(request.into_body(), C::BYTES_MAX).await?;
        permit.shrink_to(bytes.len() as u64);
        Ok(Self { bytes, media, permit: Arc::new(permit), content: PhantomData })
    }
}

/// A small JSON body of a caller without a tenant.
#[derive(Debug)]
pub struct OperatorBody(pub Bytes);

impl FromRequest<App> for OperatorBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _app: &App) -> Result<Self, ApiError> {
        media(request.headers(), TenantChange::MEDIA)?;
        announced_bytes(&request, TenantChange::BYTES_MAX)?;
        read(request.into_body(), TenantChange::BYTES_MAX).await.map(Self)
    }
}

/// What the body says it is; a compression that the layer before us did not take off is refused.
fn media(headers: &HeaderMap, taken: &'static [Media]) -> Result<Media, ApiError> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let detail = "send the body plain, or with Content-Encoding: gzip or zstd";
        return Err(ApiError::new(ProblemCode::UnsupportedEncoding, detail));
    }
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let media = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().and_then(Media::parse),
        _ => None,
    };
    media.filter(|media| taken.contains(media)).ok_or_else(|| {
        let names: Vec<_> = taken.iter().map(|media| media.as_str()).collect();
        let detail = format!("send Content-Type: {}", names.join(" or "));
        ApiError::new(ProblemCode::UnsupportedMediaType, detail)
    })
}

/// The size that the body will have, where that is known: not when compressed or chunked.
fn announced_bytes(request: &Request, bytes_max: usize) -> Result<Option<usize>, ApiError> {
    let header = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let exact = request.body().size_hint().exact();
    let announced = exact.or_else(|| header?.parse().ok());
    match announced.map(usize::try_from) {
        None => Ok(None),
        Some(Ok(bytes)) if bytes <= bytes_max => Ok(Some(bytes)),
        Some(_) => Err(too_large(bytes_max)),
    }
}

async fn read(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    let collecting = Limited::new(body, bytes_max).collect();
    let collected = timeout(ARRIVAL_TIMEOUT, collecting).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", ARRIVAL_TIMEOUT.as_secs());
        ApiError::new(ProblemCode::InvalidRequest, detail)
    })?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Err(_) => {
            let detail = "the body broke off, or is not what its Content-Encoding says";
            Err(ApiError::new(ProblemCode::InvalidRequest, detail))
        }
    }
}

fn too_large(bytes_max: usize) -> ApiError {
    let detail = format!("the body may have at most {bytes_max} bytes, decompressed");
    ApiError::new(ProblemCode::BodyTooLarge, detail)
}
