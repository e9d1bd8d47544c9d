//! Connections for which there is no place: they are told so, while that costs little.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::places::Full;
use crate::error::ApiError;

/// Connections that are told at the same time; others are closed at once.
const TOLD_MAX: usize = 64;

/// How long that may take.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Refusals(Arc<Semaphore>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOLD_MAX)))
    }
}

impl Refusals {
    /// Answers its first request with what is wrong, and closes it.
    pub(super) fn answer(&self, socket: TcpStream, full: Full) {
        let Ok(turn) = Arc::clone(&self.0).try_acquire_owned() else { return };
        tokio::spawn(async move {
            let refused = service_fn(|_: Request<Incoming>| async move {
                Ok::<_, Infallible>(ApiError::from(full).into_response())
            });
            let mut builder = http1::Builder::new();
            let builder = builder.keep_alive(false).header_read_timeout(None);
            let _ =
                timeout(TOLD_WITHIN, builder.serve_connection(TokioIo::new(socket), refused)).await;
            drop(turn);
        });
    }
}
