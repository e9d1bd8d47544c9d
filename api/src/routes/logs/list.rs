//! `GET /logs`: pages of a tenant's log.

use std::fmt::Write as _;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use domain::{Binding, Cursor, Filter, LogOwner, Order, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

use super::BASE;
use crate::app::App;
use crate::cursors;
use crate::error::ApiError;
use crate::identity::caller::Reader;
use crate::query::{Parameters, invalid};
use crate::request_log::Facts;
use crate::store::pages::{self, Page, Wanted};
use crate::store::range::From;

/// Entries on a page, unless it is said otherwise.
pub(super) const LIMIT_DEFAULT: u32 = 100;

/// Entries on a page.
pub(crate) const LIMIT_MAX: u32 = 1_000;

/// What stands behind the entries of a page.
#[derive(Serialize, ToSchema)]
pub(crate) struct Footer {
    /// Goes on; `null` at the end.
    next_cursor: Option<String>,
    /// The last number of the log as this walk sees it; 0 when it is empty.
    head_seq: i64,
    /// The first number that has not expired.
    floor_seq: i64,
    /// Goes on from the head as a stream, without gap or repeat.
    live_cursor: String,
    /// The number of the last entry that was looked at.
    scanned_to: Option<i64>,
}

/// `GET /api/v1/logs`: entries that pass a filter, by place, current to the last commit.
pub async fn list(
    State(app): State<App>,
    caller: Reader,
    Extension(facts): Extension<Facts>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let known = [&Filter::PARAMETERS[..], &["limit", "order", "cursor"]].concat();
    parameters.allow(&known)?;
    let tenant_id = caller.tenant_id();
    let filter = parameters.filter()?;
    let order = order(&parameters)?;
    let from = cursors::read_list(&parameters, tenant_id, &filter, order)?;
    let limit = parameters.limit("limit", LIMIT_DEFAULT, LIMIT_MAX)? as usize;
    let owner = LogOwner::of(tenant_id);
    let wanted = Wanted { owner: &owner, filter: &filter, from, limit };
    let reading = app.store.read(tenant_id, async |db| pages::read(db, tenant_id, wanted).await);
    let page = reading.await?.map_err(|lost| {
        cursors::lost(lost, &Binding::filtered(tenant_id, filter.digest()), order)
    })?;
    facts.set_entries(page.count);
    app.reads.note(&caller, "GET /logs", &filter.clone().into(), page.count);
    answer(&parameters, tenant_id, &filter, from, page)
}

/// `asc` or `desc`; from new to old when absent.
fn order(parameters: &Parameters) -> Result<Order, ApiError> {
    let Some(text) = parameters.one("order")? else { return Ok(Order::default()) };
    Order::parse(text).ok_or_else(|| invalid("order", "must be asc or desc"))
}

fn answer(
    parameters: &Parameters,
    tenant_id: TenantId,
    filter: &Filter,
    from: From,
    page: Page,
) -> Result<Response, ApiError> {
    let next = page.next.map(|place| {
        let cursor = Cursor { place: Some(place), until: page.until, order: from.order };
        cursor.encode(&Binding::filtered(tenant_id, filter.digest()))
    });
    let headers = headers(parameters, "/logs", next.as_deref())?;
    let footer = Footer {
        next_cursor: next,
        head_seq: page.until.map_or(0, |head| head.seq.get()),
        floor_seq: page.floor_seq,
        live_cursor: cursors::live(tenant_id, page.until),
        scanned_to: page.scanned_to,
    };
    Ok((headers, body(page.data, &footer)?).into_response())
}

/// The headers of a page, with the way to the next one.
pub(super) fn headers(
    parameters: &Parameters,
    path: &str,
    next: Option<&str>,
) -> Result<HeaderMap, ApiError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if let Some(next) = next {
        headers.insert(LINK, link(parameters, path, next)?);
    }
    Ok(headers)
}

/// The entries, which are JSON already, and around them the braces of what stands behind them.
pub(super) fn body(data: Vec<u8>, footer: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    let footer = serde_json::to_vec(footer).map_err(ApiError::internal)?;
    let mut body = data;
    body.splice(0..0, *b"{\"data\":[");
    body.extend_from_slice(b"],");
    body.extend_from_slice(&footer[1..]);
    Ok(body)
}

/// The same request with the next cursor.
fn link(parameters: &Parameters, path: &str, next: &str) -> Result<HeaderValue, ApiError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.pairs().filter(|(name, _)| *name != "cursor"));
    query.append_pair("cursor", next);
    let mut link = format!("<{BASE}{path}?");
    let _ = write!(link, "{}>; rel=\"next\"", query.finish());
    HeaderValue::from_str(&link).map_err(ApiError::internal)
}
