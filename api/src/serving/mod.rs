//! Connections: who is let in, how long they may keep silent, and how they end.
//!
//! A connection is cut that sends no request, sends one byte by byte, or does not take its answer;
//! see `clock`. What a request means is none of its business.

mod clock;
mod conversation;
pub mod places;
mod refusal;
pub mod tls;
mod watched;

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

pub use self::clock::Times;
use self::conversation::Conversation;
use self::places::{Place, Places};
use self::refusal::Refusals;
use self::tls::Tls;
use crate::metrics::{ConnectionState, Counted, Metrics};

/// How long it rests when no connection can be accepted, as when files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// An answer that its client takes at its own pace: an export, or events of a stream. An
/// extension of the response; who makes such an answer bounds what it keeps in memory.
#[derive(Debug, Clone, Copy)]
pub struct OwnPace;

/// What serves.
#[derive(Debug)]
pub struct Serving {
    /// Answers requests.
    pub router: Router,
    /// How long what may take.
    pub times: Times,
    /// How many connections there may be.
    pub places: Places,
    /// What they are encrypted with, if they are.
    pub tls: Option<Tls>,
    /// Who counts the connections.
    pub metrics: Metrics,
}

impl Serving {
    /// Accepts until `stop`, then lets requests under way end.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()> + Send) {
        let stopping = CancellationToken::new();
        let conversations = TaskTracker::new();
        self.metrics.connections.limited_to(self.places.max());
        let serving = Arc::new(self);
        tokio::select! {
            () = serving.accept_all(&listener, &conversations, &stopping) => {}
            () = serving.watch_certificate() => {}
            () = stop => {}
        }
        drop(listener);
        stopping.cancel();
        conversations.close();
        conversations.wait().await;
    }

    async fn accept_all(
        self: &Arc<Self>,
        listener: &TcpListener,
        conversations: &TaskTracker,
        stopping: &CancellationToken,
    ) {
        let refusals = Refusals::new(self.metrics.clone());
        loop {
            let Some((socket, peer)) = accept(listener).await else { continue };
            match self.places.take(peer.ip()) {
                Ok(place) => {
                    let (serving, stopping) = (Arc::clone(self), stopping.clone());
                    conversations.spawn(serving.hold(socket, peer, place, stopping));
                }
                Err(full) => {
                    self.metrics.connections.refused(full.as_str());
                    // Shaking hands first would cost more than the answer is worth.
                    if self.tls.is_none() {
                        refusals.answer(socket, full);
                    }
                }
            }
        }
    }

    async fn hold(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        place: Place,
        stopping: CancellationToken,
    ) {
        let begun =
            if self.tls.is_some() { ConnectionState::Handshake } else { ConnectionState::Head };
        let counted = Counted::new(self.metrics.clone(), begun);
        let conversation = Conversation { serving: &self, peer, stopping: stopping.clone() };
        let Some(tls) = &self.tls else {
            return conversation.hold(socket, place, counted).await;
        };
        let shaking = timeout(self.times.head, tls.accept(socket));
        match stopping.run_until_cancelled(shaking).await {
            Some(Ok(Ok(socket))) => conversation.hold(socket, place, counted).await,
            Some(Ok(Err(_))) => self.metrics.connections.handshake_failed(),
            Some(Err(_)) => counted.cut(),
            None => {}
        }
    }

    async fn watch_certificate(&self) {
        match &self.tls {
            Some(tls) => tls.watch().await,
            None => pending().await,
        }
    }
}

/// The next connection; `None` when that failed.
async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((socket, peer)) => {
            // Answers are small and awaited: none is held back to be sent with the next.
            if let Err(error) = socket.set_nodelay(true) {
                warn!(error = %error, "cannot set TCP_NODELAY");
            }
            Some((socket, peer))
        }
        Err(error) => {
            if !is_of_one_connection(&error) {
                error!(error = %error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}

/// Its other side was gone before it was accepted; the next may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
