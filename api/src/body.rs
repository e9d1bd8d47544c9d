//! Bodies: admitted by weight before they are read, read up to a limit, never a byte further.

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

/// Largest body of a single entry: 64 KiB of entry, and room for white space and escapes.
pub const ENTRY_BODY_BYTES_MAX: usize = 512 << 10;

/// Largest decompressed body of a bulk request.
pub const BULK_BODY_BYTES_MAX: usize = 10 << 20;

/// Largest body that changes a tenant.
pub const TENANT_BODY_BYTES_MAX: usize = 64 << 10;

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

/// A body and its share of the memory.
///
/// Comes after the caller among a handler's arguments: the caller's tenant bears the weight.
#[derive(Debug)]
pub struct Admitted<const BYTES_MAX: usize> {
    /// The bytes, decompressed.
    pub bytes: Bytes,
    /// What they are.
    pub media: Media,
    /// Held until the answer.
    pub permit: Arc<Permit>,
}

impl<const BYTES_MAX: usize> Admitted<BYTES_MAX> {
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

impl<const BYTES_MAX: usize> FromRequest<App> for Admitted<BYTES_MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let media = media(request.headers())?;
        let tenant_id = request.extensions().get::<TenantId>().copied();
        let tenant_id = tenant_id.ok_or_else(|| ApiError::internal("a body without a caller"))?;
        let announced = announced_bytes(&request, BYTES_MAX)?;
        let weighed = app.admission.admit(tenant_id, announced.unwrap_or(BYTES_MAX) as u64);
        let mut permit = weighed.map_err(|overloaded| {
            let detail = format!("{overloaded}; nothing was written: try again");
            ApiError::new(ProblemCode::Overloaded, detail).retry_after(1)
        })?;
        let bytes = read(request.into_body(), announced, BYTES_MAX).await?;
        permit.shrink_to(bytes.len() as u64);
        Ok(Self { bytes, media, permit: Arc::new(permit) })
    }
}

/// A small JSON body of a caller without a tenant.
#[derive(Debug)]
pub struct OperatorBody(pub Bytes);

impl FromRequest<App> for OperatorBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _app: &App) -> Result<Self, ApiError> {
        if media(request.headers())? != Media::Json {
            return Err(unsupported_media());
        }
        let announced = announced_bytes(&request, TENANT_BODY_BYTES_MAX)?;
        read(request.into_body(), announced, TENANT_BODY_BYTES_MAX).await.map(Self)
    }
}

/// What the body says it is; a compression that the layer before us did not take off is refused.
fn media(headers: &HeaderMap) -> Result<Media, ApiError> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let detail = "send the body plain, or with Content-Encoding: gzip or zstd";
        return Err(ApiError::new(ProblemCode::UnsupportedEncoding, detail));
    }
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(unsupported_media());
    };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    match essence.trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Media::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Media::Ndjson),
        _ => Err(unsupported_media()),
    }
}

/// The problem of a content type that a route does not take.
pub fn unsupported_media() -> ApiError {
    let detail = "send Content-Type: application/json (for bulk also application/x-ndjson)";
    ApiError::new(ProblemCode::UnsupportedMediaType, detail)
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

/// Reads into one piece of the size that the body will or may have: a collection of pieces would
/// be in memory twice when it is put together.
async fn read(body: Body, announced: Option<usize>, bytes_max: usize) -> Result<Bytes, ApiError> {
    let mut body = Limited::new(body, bytes_max);
    let reading = async {
        let mut bytes = Vec::with_capacity(announced.unwrap_or(bytes_max));
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        if bytes.len() < bytes.capacity() / 2 {
            bytes.shrink_to_fit();
        }
        Ok(Bytes::from(bytes))
    };
    let read = timeout(ARRIVAL_TIMEOUT, reading).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", ARRIVAL_TIMEOUT.as_secs());
        ApiError::new(ProblemCode::InvalidRequest, detail)
    })?;
    read.map_err(|error: axum::BoxError| {
        if error.is::<LengthLimitError>() {
            too_large(bytes_max)
        } else {
            let detail = "the body broke off, or is not what its Content-Encoding says";
            ApiError::new(ProblemCode::InvalidRequest, detail)
        }
    })
}

fn too_large(bytes_max: usize) -> ApiError {
    let detail = format!("the body may have at most {bytes_max} bytes, decompressed");
    ApiError::new(ProblemCode::BodyTooLarge, detail)
}
