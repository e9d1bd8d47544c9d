//! Where frames go: a WebSocket, or a body of server-sent events.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, unfold};
use futures_util::{FutureExt as _, SinkExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::Streams;
use super::frames;

/// Events that are gathered before they go out, unless there is nothing more to send.
const EVENTS_BYTES: usize = 16 << 10;

/// Gathered events that wait for the client.
const EVENTS_WAITING_MAX: usize = 1;

/// How long the last words to a client may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why nothing more can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The client is gone.
    Gone,
    /// It takes nothing any more.
    TooSlow,
}

/// See the module.
#[derive(Debug)]
pub(super) enum Outlet {
    WebSocket(SplitSink<WebSocket, Message>),
    Events { body: mpsc::Sender<Bytes>, gathered: String },
}

/// A frame on its way out.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: &'static str,
    pub(super) cursor: String,
    pub(super) json: Utf8Bytes,
}

impl Outlet {
    /// A body of events, and where they come from.
    pub(super) fn events() -> (Self, Body) {
        let (body, events) = mpsc::channel::<Bytes>(EVENTS_WAITING_MAX);
        let events = unfold(events, |mut events| async move {
            events.recv().await.map(|event| (Ok::<_, Infallible>(event), events))
        });
        (Self::Events { body, gathered: String::new() }, Body::from_stream(events))
    }

    /// Whether frames need their cursor beside them.
    pub(super) fn shows_cursors(&self) -> bool {
        matches!(self, Self::Events { .. })
    }

    /// Sends a frame, at the latest when it is flushed.
    pub(super) async fn send(&mut self, frame: Frame, streams: &Streams) -> Result<(), Unsent> {
        match self {
            Self::WebSocket(sink) => {
                patiently(streams, sink.feed(Message::Text(frame.json))).await?.map_err(gone)
            }
            Self::Events { gathered, .. } => {
                frames::event(gathered, frame.kind, &frame.cursor, &frame.json);
                if gathered.len() >= EVENTS_BYTES { self.flush(streams).await } else { Ok(()) }
            }
        }
    }

    /// Sends all that is gathered.
    pub(super) async fn flush(&mut self, streams: &Streams) -> Result<(), Unsent> {
        match self {
            Self::WebSocket(sink) => patiently(streams, sink.flush()).await?.map_err(gone),
            Self::Events { gathered, .. } if gathered.is_empty() => Ok(()),
            Self::Events { body, gathered } => {
                let events = Bytes::from(std::mem::take(gathered));
                patiently(streams, body.send(events)).await?.map_err(|_| Unsent::Gone)
            }
        }
    }

    /// Asks a WebSocket whether it is still there.
    pub(super) async fn ping(&mut self, streams: &Streams) -> Result<(), Unsent> {
        let Self::WebSocket(sink) = self else { return Ok(()) };
        patiently(streams, sink.send(Message::Ping(Bytes::new()))).await?.map_err(gone)
    }

    /// Done when nobody listens any more, where that shows.
    pub(super) async fn gone(&self) {
        match self {
            Self::WebSocket(_) => pending().await,
            Self::Events { body, .. } => body.closed().await,
        }
    }

    /// Says why it ends; whether that went out.
    pub(super) async fn close(&mut self, code: u16, reason: &'static str) -> bool {
        let Self::WebSocket(sink) = self else { return true };
        let close = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let closing = sink.send(Message::Close(Some(close)));
        matches!(timeout(CLOSE_TIMEOUT, closing).await, Ok(Ok(())))
    }
}

fn gone(_: axum::Error) -> Unsent {
    Unsent::Gone
}

/// Waits as long as a client may take, and less long while others wait for memory.
async fn patiently<T>(streams: &Streams, sending: impl Future<Output = T>) -> Result<T, Unsent> {
    tokio::pin!(sending);
    if let Some(sent) = sending.as_mut().now_or_never() {
        return Ok(sent);
    }
    let periods = streams.periods();
    let begun = Instant::now();
    let short = begun + periods.short_patience;
    let mut until = short;
    loop {
        tokio::select! {
            biased;
            sent = &mut sending => return Ok(sent),
            () = sleep_until(until) => {}
        }
        if begun.elapsed() >= periods.patience || streams.is_short_of_memory() {
            return Err(Unsent::TooSlow);
        }
        until = (until + periods.short_patience).min(begun + periods.patience);
    }
}
