//! What every request passes on its way in and out: its event and id, the proof of identity,
//! a net under panics, and compression for whoever asks for it.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, ETAG};
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tower::ServiceExt as _;
use tower_http::compression::Compression;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};

use super::BASE;
use crate::app::App;
use crate::board;
use crate::error::ApiError;
use crate::identity::ticket;
use crate::linger;
use crate::request_log::RequestLog;

/// Answers below this size are not worth compressing.
const COMPRESSED_BYTES_MIN: u64 = 1_024;

/// Around every route.
pub(super) async fn serve(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let log = RequestLog::begin(&mut request, &app.traces);
    let (request, rest) = linger::lend(request);
    let answering = answer_proven(&app, request, next);
    let mut response = traces::within(log.context(), answering).await;
    rest.discard();
    log.end(&mut response, &app.metrics);
    response
}

async fn answer_proven(app: &App, mut request: Request, next: Next) -> Response {
    match prove(app, &mut request).await {
        Ok(()) => answer(request, next).await,
        Err(error) => {
            drop(request);
            error.into_response()
        }
    }
}

/// Lets nobody below the base without a proof, not even to learn which routes there are.
async fn prove(app: &App, request: &mut Request) -> Result<(), ApiError> {
    if !is_below_base(request.uri().path()) || is_open(app, request) {
        return Ok(());
    }
    if let Some(ticket) = ticket::of(request) {
        let digest = ticket.map_err(|unproved| ticket::refused(&unproved))?;
        let proof = ticket::redeem(&app.store.worker, digest).await?;
        app.metrics.requests.ticket_redeemed();
        request.extensions_mut().insert(proof);
        return Ok(());
    }
    let proved = app.authenticator.prove(request.headers()).await;
    let proof =
        proved.map_err(|unproved| ApiError::unproved(&unproved, app.authenticator.challenge()))?;
    request.extensions_mut().insert(proof);
    Ok(())
}

fn is_below_base(path: &str) -> bool {
    path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A browser cannot send a token by itself: the board's page asks for one, and comes without.
fn is_open(app: &App, request: &Request) -> bool {
    app.authenticator.takes_tokens()
        && request.method() == Method::GET
        && board::is_board(request.uri().path())
}

async fn answer(request: Request, next: Next) -> Response {
    let compressed = request.headers().contains_key(ACCEPT_ENCODING);
    let answering = async {
        if compressed { answer_compressed(request, next).await } else { next.run(request).await }
    };
    // The payload may hold anything, so it goes nowhere; the panic hook has logged the place.
    let answered = AssertUnwindSafe(answering).catch_unwind().await;
    answered.unwrap_or_else(|_| ApiError::internal("a handler panicked").into_response())
}

async fn answer_compressed(request: Request, next: Next) -> Response {
    // Events go out one by one; a compressor would keep them back.
    let wanted = SizeAbove::new(COMPRESSED_BYTES_MIN).and(NotForContentType::SSE).and(is_untagged);
    let Ok(response) = Compression::new(next).compress_when(wanted).oneshot(request).await;
    response.map(Body::new)
}

/// An answer with a strong `ETag` goes out as it is, or the tag would name two forms of it.
fn is_untagged(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    !headers.contains_key(ETAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_below_the_base_needs_a_proof_and_nothing_else_does() {
        for path in ["/api/v1", "/api/v1/", "/api/v1/logs", "/api/v1/nothing/here"] {
            assert!(is_below_base(path), "{path}");
        }
        for path in ["/", "/healthz", "/api/v10", "/api", "/docs"] {
            assert!(!is_below_base(path), "{path}");
        }
    }
}
