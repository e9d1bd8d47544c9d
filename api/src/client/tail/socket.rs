//! A WebSocket to the service.
//!
//! The connection is made as for every other request, with the same headers and the same trust in
//! certificates; from the answer to the upgrade on, `tokio-tungstenite` speaks.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Upgraded;
use reqwest::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use super::Closing;
use crate::client::fault::{Fault, innermost};
use crate::client::service::Service;

/// Many times what the largest entry needs.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// The service says something every 15 s; after so much silence nobody is there any more.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Socket(WebSocketStream<Upgraded>);

impl Socket {
    /// Connects, with these parameters.
    pub(super) async fn connect(
        service: &Service,
        query: &[(String, String)],
    ) -> Result<Self, Fault> {
        let key = generate_key();
        let request = service
            .get("/logs/stream", query)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        let answer = service.switch(request).await?;
        let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|accepted| {
            accepted.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()
        }) {
            return Err(Fault::Broken("what answered speaks no WebSocket".to_owned()));
        }
        let connection = answer.upgrade().await;
        let connection = connection.map_err(|error| Fault::Broken(innermost(&error)))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let socket = WebSocketStream::from_raw_socket(connection, Role::Client, Some(config));
        Ok(Self(socket.await))
    }

    /// The next message. Pings are answered on the way.
    pub(super) async fn next(&mut self) -> Result<Utf8Bytes, Fault> {
        loop {
            let Ok(message) = timeout(SILENCE_MAX, self.0.next()).await else {
                let silent = format!("nothing came for {} s", SILENCE_MAX.as_secs());
                return Err(Fault::Broken(silent));
            };
            match message {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(frame))) => {
                    return Err(Fault::Closed(Closing::new(frame.as_ref())));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broken(&error)),
                None => return Err(Fault::Closed(Closing::new(None))),
            }
        }
    }

    /// Says goodbye, if the service still listens.
    pub(super) async fn close(mut self) {
        let _ = timeout(CLOSE_TIMEOUT, self.0.close(None)).await;
    }
}

fn broken(error: &tungstenite::Error) -> Fault {
    Fault::Broken(innermost(error))
}
