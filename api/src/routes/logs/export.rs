//! `GET /logs/export`: a log as one stream.

use std::convert::Infallible;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, TE, TRAILER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse as _, Response};
use domain::{Binding, Filter, Order, Timestamp};
use futures_util::stream;
use uuid::Uuid;

use crate::app::App;
use crate::cursors;
use crate::error::ApiError;
use crate::export::encoding::Format;
use crate::export::{Export, TRAILERS};
use crate::identity::caller::LogAuditor;
use crate::query::{Parameters, invalid};
use crate::serving::OwnPace;
use crate::store::range;

const EXPORT_ID: HeaderName = HeaderName::from_static("x-export-id");
const FIRST_SEQ: HeaderName = HeaderName::from_static("x-export-first-seq");
const LAST_SEQ: HeaderName = HeaderName::from_static("x-export-last-seq");

/// `GET /api/v1/logs/export`: every entry that passes a filter, oldest first, up to the head.
pub async fn export(
    State(app): State<App>,
    method: Method,
    caller: LogAuditor,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let own = ["format", "raw", "cursor", "max_entries"];
    parameters.allow(&[&Filter::PARAMETERS[..], &["q"], &own].concat())?;
    let tenant_id = caller.tenant_id();
    let selection = parameters.selection()?;
    let format = format(&parameters)?;
    let entries_max = parameters.number("max_entries")?;
    let from = cursors::read_export(&parameters, tenant_id, &selection)?;
    let slot = app.exports.admit(tenant_id)?;
    let filter = &selection.filter;
    let finding =
        app.store.read(tenant_id, async |db| range::find(db, tenant_id, filter, from).await);
    let range = finding.await?.map_err(|lost| {
        cursors::lost(lost, &Binding::filtered(tenant_id, selection.digest()), Order::Asc)
    })?;
    let export = Export {
        id: Uuid::now_v7(),
        tenant_id,
        by: caller.defaults.clone(),
        selection,
        range,
        format,
        entries_max,
        slot,
    };
    if method == Method::HEAD {
        // Nobody gets an entry by it: there is nothing to record, and no export to name. How long it
        // would be is not known, which an empty body would claim.
        let unknown = stream::empty::<Result<Bytes, Infallible>>();
        return Ok((describe(&export, false)?, Body::from_stream(unknown)).into_response());
    }
    let trailers = headers.get_all(TE).iter().any(asks_for_trailers);
    let mut headers = describe(&export, trailers)?;
    headers.insert(EXPORT_ID, text(&export.id.to_string())?);
    let body = export.start(app, trailers).await?;
    Ok((headers, Extension(OwnPace), body).into_response())
}

fn format(parameters: &Parameters) -> Result<Format, ApiError> {
    let raw = parameters.flag("raw")?;
    match parameters.one("format")? {
        Some("csv") => Ok(Format::Csv { raw }),
        _ if raw => Err(invalid("raw", "it is for format=csv alone")),
        None | Some("json") => Ok(Format::Json),
        Some("ndjson") => Ok(Format::Ndjson),
        Some(_) => Err(invalid("format", "must be json, ndjson or csv")),
    }
}

fn asks_for_trailers(te: &HeaderValue) -> bool {
    let text = te.to_str().unwrap_or_default();
    text.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

fn describe(export: &Export, trailers: bool) -> Result<HeaderMap, ApiError> {
    let (first, last) = (export.range.first.seq, export.range.last.seq);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(export.format.media()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(CONTENT_DISPOSITION, text(&file_name(export))?);
    headers.insert(FIRST_SEQ, first.into());
    headers.insert(LAST_SEQ, last.max(first - 1).into());
    if trailers {
        let names = TRAILERS.map(|name| name.as_str().to_owned());
        headers.insert(TRAILER, text(&names.join(", "))?);
    }
    Ok(headers)
}

fn text(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(ApiError::internal)
}

/// Tells the log and the moment, in a form that every system takes.
fn file_name(export: &Export) -> String {
    let now = Timestamp::now().to_string();
    let moment: String = now.chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
    let (tenant_id, ending) = (export.tenant_id, export.format.as_str());
    format!("attachment; filename=\"audit-log-{tenant_id}-{moment}Z.{ending}\"")
}
