//! Bodies: admitted by weight before they are read, read up to a limit, never a byte further.

use std::fmt::Display;
use std::io;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use bytes::Bytes;
use domain::{ProblemCode, TenantId, Unreadable};
use futures_util::TryStreamExt;
use http_body::Frame;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;
use tokio_util::io::StreamReader;

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
        let encoding = Encoding::of(request.headers())?;
        let announced = announced_bytes(&request, encoding, C::BYTES_MAX)?;
        if app.writer.is_behind(tenant_id) {
            return Err(overloaded("this tenant's entries wait too long to be written"));
        }
        let weighed = app.admission.admit(tenant_id, announced.unwrap_or(C::BYTES_MAX) as u64);
        let mut permit = weighed.map_err(overloaded)?;
        let bytes = read(request.into_body(), encoding, C::BYTES_MAX).await?;
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
        let encoding = Encoding::of(request.headers())?;
        announced_bytes(&request, encoding, TenantChange::BYTES_MAX)?;
        read(request.into_body(), encoding, TenantChange::BYTES_MAX).await.map(Self)
    }
}

/// How the body comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let encoding = match (values.next(), values.next()) {
            (None, _) => Some(Self::Identity),
            (Some(value), None) => value.to_str().ok().and_then(Self::parse),
            (Some(_), Some(_)) => None,
        };
        encoding.ok_or_else(|| {
            let detail = "send the body plain, or with Content-Encoding: gzip or zstd";
            ApiError::new(ProblemCode::UnsupportedEncoding, detail)
        })
    }

    fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// What the body says it is.
fn media(headers: &HeaderMap, taken: &'static [Media]) -> Result<Media, ApiError> {
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
fn announced_bytes(
    request: &Request,
    encoding: Encoding,
    bytes_max: usize,
) -> Result<Option<usize>, ApiError> {
    match request.body().size_hint().exact().map(usize::try_from) {
        None => Ok(None),
        Some(Ok(bytes)) if bytes <= bytes_max => {
            Ok(Some(bytes).filter(|_| encoding == Encoding::Identity))
        }
        Some(_) => Err(too_large(bytes_max)),
    }
}

/// Reads all of a body, decompressed, and never more than `bytes_max`.
async fn read(body: Body, encoding: Encoding, bytes_max: usize) -> Result<Bytes, ApiError> {
    let reading = async {
        match encoding {
            Encoding::Identity => read_plain(body, bytes_max).await,
            Encoding::Gzip => {
                let mut decoder = GzipDecoder::new(stream(body));
                decoder.multiple_members(true);
                read_decoded(decoder, bytes_max).await
            }
            Encoding::Zstd => {
                let mut decoder = ZstdDecoder::new(stream(body));
                decoder.multiple_members(true);
                read_decoded(decoder, bytes_max).await
            }
        }
    };
    timeout(ARRIVAL_TIMEOUT, reading).await.unwrap_or_else(|_| {
        let detail = format!("the body did not arrive within {} s", ARRIVAL_TIMEOUT.as_secs());
        Err(ApiError::new(ProblemCode::InvalidRequest, detail))
    })
}

/// Reads into one piece of the size that the body will or may have: a collection of pieces would
/// be in memory twice when it is put together.
async fn read_plain(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    let announced = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let mut bytes = Vec::with_capacity(announced.unwrap_or(bytes_max).min(bytes_max));
    let mut body = Limited::new(body, bytes_max);
    while let Some(frame) = body.frame().await {
        let data = frame.map(Frame::into_data).map_err(|error| match error {
            error if error.is::<LengthLimitError>() => too_large(bytes_max),
            _ => ApiError::new(ProblemCode::InvalidRequest, "the body broke off: send it again"),
        })?;
        bytes.extend_from_slice(&data.unwrap_or_default());
    }
    if bytes.len() < bytes.capacity() / 2 {
        bytes.shrink_to_fit();
    }
    Ok(bytes.into())
}

/// One byte more than allowed is read, to know that there is one: no bomb goes off.
async fn read_decoded(decoder: impl AsyncRead, bytes_max: usize) -> Result<Bytes, ApiError> {
    let mut bytes = Vec::new();
    let mut limited = pin!(decoder.take(bytes_max as u64 + 1));
    limited.read_to_end(&mut bytes).await.map_err(|_| {
        let detail = "the body broke off, or is not what its Content-Encoding says";
        ApiError::new(ProblemCode::InvalidRequest, detail)
    })?;
    if bytes.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    Ok(bytes.into())
}

fn stream(body: Body) -> impl AsyncBufRead {
    StreamReader::new(TryStreamExt::map_err(body.into_data_stream(), io::Error::other))
}

fn overloaded(why: impl Display) -> ApiError {
    let detail = format!("{why}; nothing was written: try again");
    ApiError::new(ProblemCode::Overloaded, detail).retry_after(1)
}

fn too_large(bytes_max: usize) -> ApiError {
    let detail = format!("the body may have at most {bytes_max} bytes, decompressed");
    ApiError::new(ProblemCode::BodyTooLarge, detail)
}
