//! Reads on, for a while, when a request was answered before all of its body had come.
//!
//! Whoever closes a connection that still receives makes the other side's system throw away what
//! it has not read yet: the client would see a reset instead of its 413.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long the rest of a refused body is read.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of it; who sends more than this is cut off.
const LINGER_BYTES_MAX: usize = 64 << 20;

/// Bodies up to this size are read together with the head of their request.
const SMALL_BYTES_MAX: u64 = 4 << 10;

/// Lends the body out; what of it comes back unread is in the rest.
pub(crate) fn lend(request: Request) -> (Request, Rest) {
    let size = request.body().size_hint();
    let small = size.upper().is_some_and(|bytes| bytes <= SMALL_BYTES_MAX);
    let huge = size.lower() > LINGER_BYTES_MAX as u64;
    // Who waits for "100 Continue" sends nothing after a refusal.
    if small || huge || request.headers().contains_key(EXPECT) {
        return (request, Rest(None));
    }
    let (give_back, rest) = oneshot::channel();
    let lent = request.map(|body| Body::new(Lent { body, give_back: Some(give_back) }));
    (lent, Rest(Some(rest)))
}

/// What comes back of a body.
pub(crate) struct Rest(Option<oneshot::Receiver<Body>>);

impl Rest {
    /// Reads it and throws it away, beside the answer.
    pub(crate) fn discard(self) {
        if let Some(body) = self.0.and_then(|mut rest| rest.try_recv().ok()) {
            tokio::spawn(timeout(LINGER_TIMEOUT, discard(body)));
        }
    }
}

async fn discard(body: Body) {
    let mut body = Limited::new(body, LINGER_BYTES_MAX);
    while let Some(Ok(_)) = body.frame().await {}
}

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Body,
    give_back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.give_back = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(give_back) = self.give_back.take()
            && !self.body.is_end_stream()
        {
            let _ = give_back.send(std::mem::take(&mut self.body));
        }
    }
}
