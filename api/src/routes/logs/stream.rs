//! `/logs/stream`: a log as it grows, and tickets for that.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, UPGRADE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use domain::{ProblemCode, Timestamp};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::app::App;
use crate::cursors;
use crate::error::{ApiError, shutting_down};
use crate::identity::caller::LogAuditor;
use crate::identity::{Proof, ticket};
use crate::query::{Parameters, invalid};
use crate::serving::OwnPace;
use crate::store::streaming::After;
use crate::streaming::course::Wanted;
use crate::streaming::{Opening, Session};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A ticket on its way out.
#[derive(Serialize, ToSchema)]
pub(crate) struct Issued {
    /// The proof, for `?ticket=`.
    ticket: String,
    /// When it counts no more.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// `POST /api/v1/logs/stream/ticket`: a proof for one stream, within 30 s.
pub async fn issue_ticket(
    State(app): State<App>,
    caller: LogAuditor,
    Extension(proof): Extension<Proof>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    parameters.allow(&[])?;
    let identity = proof.identity(&headers)?;
    let lasts = proof.lasts(app.streams.periods().max_age);
    let ends_at = lasts.map(|lasts| {
        Timestamp::now().plus_millis(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX))
    });
    let issuing = ticket::issue(&app.store.worker, caller.tenant_id(), &identity, ends_at);
    let (ticket, expires_at) = issuing.await?;
    app.metrics.streams.ticket_issued();
    let headers = [(CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, headers, Json(Issued { ticket, expires_at })).into_response())
}

/// `GET /api/v1/logs/stream`: entries as they are committed, over a WebSocket or as events.
pub async fn open(
    State(app): State<App>,
    caller: LogAuditor,
    Extension(proof): Extension<Proof>,
    parameters: Parameters,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    app.streams.origins().check(&headers)?;
    let upgrade = transport(&headers, upgrade)?;
    parameters.allow(&[&Wanted::parameters()[..], &["cursor", ticket::PARAMETER]].concat())?;
    let wanted = Wanted::read(&parameters)?;
    let cursor = cursor(&caller, &parameters, &headers, upgrade.is_none())?;
    let slot = app.streams.slots().admit(caller.tenant_id())?;
    if app.streams.is_stopping() {
        return Err(shutting_down());
    }
    let beginning = app.streams.begin(&app.store, caller.tenant_id(), cursor).await?;
    let lasts = proof.lasts(app.streams.periods().max_age);
    let ends_at = lasts.map(|lasts| Instant::now() + lasts);
    let opening = Opening { caller, wanted, beginning, slot, ends_at };
    let session = Session::new(app, opening);
    Ok(match upgrade {
        Some(upgrade) => session.upgrade(upgrade),
        None => events(session),
    })
}

/// A WebSocket, or `None` for events.
fn transport(
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Option<WebSocketUpgrade>, ApiError> {
    if headers.contains_key(UPGRADE) {
        return upgrade.map(Some).map_err(|rejection| {
            let detail = format!("this opens no WebSocket: {}", rejection.body_text());
            ApiError::new(ProblemCode::InvalidRequest, detail)
        });
    }
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let media = accepts.flat_map(|accept| accept.split(','));
    let mut names = media.filter_map(|media| media.split(';').next());
    if names.any(|name| name.trim().eq_ignore_ascii_case("text/event-stream")) {
        return Ok(None);
    }
    let detail = "a stream is a WebSocket (Upgrade: websocket) or events (Accept: \
                  text/event-stream): ask for one of them";
    Err(ApiError::new(ProblemCode::NotAcceptable, detail))
}

/// Where it goes on; an event that was received is newer than what the page's address says.
fn cursor(
    caller: &LogAuditor,
    parameters: &Parameters,
    headers: &HeaderMap,
    events: bool,
) -> Result<Option<After>, ApiError> {
    let from_address = parameters.one("cursor")?;
    let last = headers.get(LAST_EVENT_ID).filter(|id| events && !id.is_empty());
    let last = last.map(|id| id.to_str().map_err(|_| invalid("cursor", "it is no cursor")));
    let text = last.transpose()?.or(from_address);
    text.map(|text| cursors::read_live(text, caller.tenant_id())).transpose()
}

fn events(session: Session) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "private, no-store"),
        // Some proxies keep answers back until they are whole.
        (BUFFERING, "no"),
    ];
    (headers, Extension(OwnPace), session.events()).into_response()
}
