//! One connection, from its first request to its last.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::debug;

use super::clock::Clock;
use super::places::Place;
use super::watched::Watched;
use super::{OwnPace, Serving};
use crate::metrics::Counted;

/// The head of a request, with its address.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Its headers.
const HEADERS_MAX: usize = 100;

/// What a connection has read and nobody has taken yet, and the same of what it is to send: room
/// for a head and the body of most requests.
const BUFFER_BYTES_MAX: usize = 128 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    pub(super) serving: &'a Serving,
    pub(super) peer: SocketAddr,
    pub(super) stopping: CancellationToken,
}

impl Conversation<'_> {
    /// Answers requests until the client goes, the service stops, or the clock says so.
    pub(super) async fn hold<S>(self, socket: S, place: Place, counted: Counted)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let clock = Arc::new(Clock::start(self.serving.times, counted));
        let io = TokioIo::new(Watched::new(socket, Arc::clone(&clock), place));
        let service = service_fn(|request| self.answer(request, &clock));
        let connection = builder().serve_connection(io, service).with_upgrades();
        let mut connection = pin!(connection);
        let mut is_told = false;
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = self.overdue(&clock) => {
                    clock.cut();
                    return debug!("a silent or slow connection is cut");
                }
                () = self.stopping.cancelled(), if !is_told => {
                    is_told = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        clock: &Arc<Clock>,
    ) -> impl Future<Output = Result<Response<Taken>, Infallible>> + Send + use<> {
        let (router, peer) = (self.serving.router.clone(), self.peer);
        answer(router, request, peer, Arc::clone(clock))
    }

    /// Done when the connection is to be cut.
    async fn overdue(&self, clock: &Clock) {
        loop {
            let (now, deadline) = (Instant::now(), clock.deadline());
            if deadline.is_some_and(|deadline| deadline <= now) {
                return;
            }
            // A deadline may come nearer meanwhile, but never nearer than to the next look.
            let look = now + self.serving.times.look();
            sleep_until(deadline.map_or(look, |deadline| deadline.min(look))).await;
        }
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The clock keeps the time; hyper's own would count the time between requests, too.
    builder.header_read_timeout(None).max_header_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    builder.max_buf_size(BUFFER_BYTES_MAX);
    builder
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    clock: Arc<Clock>,
) -> Result<Response<Taken>, Infallible> {
    clock.asked();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router.oneshot(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        clock.upgraded();
    } else {
        clock.answering(response.extensions().get::<OwnPace>().is_some());
    }
    Ok(response.map(|body| Taken { body, clock }))
}

/// The body of an answer, that says when the connection has taken all of it.
#[derive(Debug)]
struct Taken {
    body: Body,
    clock: Arc<Clock>,
}

impl HttpBody for Taken {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.clock.made();
    }
}
