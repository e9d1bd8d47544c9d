//! What every request passes on its way in and out: its event and id, the proof of identity,
//! a net under panics, and compression for whoever asks for it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, ETAG};
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::ProblemCode;
use futures_util::FutureExt as _;
use tokio::time::timeout;
use tower::ServiceExt as _;
use tower_http::compression::Compression;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};

use super::BASE;
use crate::app::App;
use crate::board;
use crate::documents;
use crate::error::ApiError;
use crate::identity::ticket;
use crate::linger;
use crate::request_log::RequestLog;

/// How long a handler may take, arrival of the body and all, until the head of its answer is
/// there. Streams and exports go on after that.
const HANDLER_TIMEOUT: Duration = Duration::from_mins(1);

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

/// The documents are for everybody. And a browser cannot send a token by itself: the board's page
/// asks for one, and comes without.
fn is_open(app: &App, request: &Request) -> bool {
    let path = request.uri().path();
    let is_open =
        documents::is_document(path) || (app.authenticator.takes_tokens() && board::is_board(path));
    is_open && matches!(*request.method(), Method::GET | Method::HEAD)
}

async fn answer(request: Request, next: Next) -> Response {
    answer_within(HANDLER_TIMEOUT, request, next).await
}

async fn answer_within(time: Duration, request: Request, next: Next) -> Response {
    let compressed = request.headers().contains_key(ACCEPT_ENCODING);
    let is_safe = request.method().is_safe();
    let answering = async {
        if compressed { answer_compressed(request, next).await } else { next.run(request).await }
    };
    // The payload may hold anything, so it goes nowhere; the panic hook has logged the place.
    match timeout(time, AssertUnwindSafe(answering).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => ApiError::internal("a handler panicked").into_response(),
        Err(_) => too_late(is_safe).into_response(),
    }
}

/// What a handler was about to write may be written yet.
fn too_late(is_safe: bool) -> ApiError {
    if is_safe {
        let detail = "this took too long, and was given up: try again";
        return ApiError::new(ProblemCode::Overloaded, detail).retry_after(1);
    }
    let detail = "this took too long, and nobody waits for it any more: it may be done or not; try \
                  again with the same Idempotency-Key, or look first if there was none";
    ApiError::new(ProblemCode::OutcomeUnknown, detail).retry_after(2)
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
    use std::future::pending;

    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::any;

    use super::*;

    /// The answer to a request of a handler that never ends, or of one that does at once.
    async fn answer_of(method: Method, path: &str) -> Response {
        let limit =
            from_fn(|request, next| answer_within(Duration::from_millis(50), request, next));
        let router = Router::new()
            .route("/never", any(pending::<StatusCode>))
            .route("/at-once", any(async || StatusCode::CREATED))
            .layer(limit);
        let request = Request::builder().method(method).uri(path).body(Body::empty());
        router.oneshot(request.expect("a request")).await.expect("an answer")
    }

    #[tokio::test]
    async fn a_handler_that_never_ends_is_given_up_and_a_write_of_it_is_not_called_undone() {
        for (method, code) in [
            (Method::GET, "\"overloaded\""),
            (Method::POST, "\"outcome_unknown\""),
            (Method::DELETE, "\"outcome_unknown\""),
        ] {
            let answer = answer_of(method.clone(), "/never").await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{method}");
            assert!(answer.headers().contains_key("retry-after"), "{method}");
            let body = axum::body::to_bytes(answer.into_body(), 10_000).await.expect("a body");
            assert!(String::from_utf8_lossy(&body).contains(code), "{method}: {body:?}");
            assert_eq!(answer_of(method, "/at-once").await.status(), StatusCode::CREATED);
        }
    }

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
