//! What comes from a WebSocket.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{self, WebSocket};
use futures_util::StreamExt as _;
use futures_util::stream::SplitStream;
use tokio::sync::mpsc;

use super::message::{MESSAGE_BYTES_MAX, Message};

/// What a client has said, or done wrong.
pub(super) type Said = Result<Message, &'static str>;

/// Things said that wait for their answer; until then no more is read.
pub(super) const SAID_MAX: usize = 4;

/// A message above this is not even read.
const READ_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;

/// Buffers of a WebSocket: small, since there are thousands; they grow while they are needed.
const READ_BUFFER_BYTES: usize = 1 << 10;
const WRITE_BUFFER_BYTES: usize = 16 << 10;

/// When something was last heard.
#[derive(Debug)]
pub(super) struct Heard {
    begun: Instant,
    after_ms: AtomicU64,
}

impl Heard {
    pub(super) fn now() -> Self {
        Self { begun: Instant::now(), after_ms: AtomicU64::new(0) }
    }

    fn again(&self) {
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.after_ms.store(ms, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.after_ms.load(Ordering::Relaxed))
    }
}

/// Bounds what a WebSocket may take.
pub(super) fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(READ_BYTES_MAX)
        .max_frame_size(READ_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
}

/// Hands on what is said; done when the other side is gone.
pub(super) async fn listen(
    mut socket: SplitStream<WebSocket>,
    said: mpsc::Sender<Said>,
    heard: &Heard,
) {
    while let Some(received) = socket.next().await {
        heard.again();
        let is_broken = received.is_err();
        let read = match received {
            Ok(ws::Message::Text(text)) => Message::read(&text),
            Ok(ws::Message::Binary(_)) => Err("messages are text, not binary"),
            Ok(ws::Message::Ping(_) | ws::Message::Pong(_) | ws::Message::Close(_)) => continue,
            Err(_) => Err("this is no WebSocket frame that is read here"),
        };
        // Nobody listens when the stream is at its end; what comes then is thrown away.
        let _ = said.send(read).await;
        if is_broken {
            return pending().await;
        }
    }
}
