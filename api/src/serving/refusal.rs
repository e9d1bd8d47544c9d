//! Connections for which there is no place: they are told so, while that costs little.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use traces::Traces;

use super::places::Full;
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::request_log::RequestLog;

/// Connections that are told at the same time; others are closed at once.
const TOLD_MAX: usize = 64;

/// How long that may take.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Refusals {
    turns: Arc<Semaphore>,
    metrics: Metrics,
}

impl Refusals {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { turns: Arc::new(Semaphore::new(TOLD_MAX)), metrics }
    }

    /// Answers its first request with what is wrong, and closes it.
    pub(super) fn answer(&self, socket: TcpStream, full: Full) {
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else { return };
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            let refused =
                service_fn(|request| ready(Ok::<_, Infallible>(refuse(request, full, &metrics))));
            let mut builder = http1::Builder::new();
            let builder = builder.keep_alive(false).header_read_timeout(None);
            let _ =
                timeout(TOLD_WITHIN, builder.serve_connection(TokioIo::new(socket), refused)).await;
            drop(turn);
        });
    }
}

/// A request like any other: it has an id and an event, and is counted. Only a span it has none: there
/// may be a flood of them.
fn refuse(request: Request<Incoming>, full: Full, metrics: &Metrics) -> Response {
    let log = RequestLog::begin(&mut request.map(Body::new), &Traces::default());
    let mut response = ApiError::from(full).into_response();
    log.end(&mut response, metrics);
    response
}
