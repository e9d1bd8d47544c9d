//! One connection of a client: a WebSocket, or server-sent events.

use std::net::SocketAddr;
use std::time::Duration;

use domain::TenantId;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::app::identity;

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) enum Connection {
    Socket(Box<WebSocketStream<TcpStream>>),
    Events(Events),
}

/// A body of events, and what of it has not been read.
pub(crate) struct Events {
    answer: reqwest::Response,
    unread: Vec<u8>,
}

/// Whom a client asks, and for what.
pub(crate) struct Asked<'a> {
    pub(crate) base: &'a str,
    pub(crate) tenant_id: TenantId,
    pub(crate) query: &'a str,
    pub(crate) cursor: Option<&'a str>,
    /// Of the system, for who shall be slow; `None`: as it is.
    pub(crate) buffer_bytes: Option<u32>,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Came {
    Frame(Frame),
    /// With a close code; an event stream has none.
    End(Option<u16>),
}

/// A frame, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) cursor: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) from_seq: Option<i64>,
    pub(crate) to_seq: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) data: Option<Box<RawValue>>,
}

impl Connection {
    /// Connects; `None`: nobody is there, or has no time.
    pub(crate) async fn open(asked: &Asked<'_>, events: bool) -> Option<Self> {
        let opening = async {
            if events { Self::open_events(asked).await } else { Self::open_socket(asked).await }
        };
        timeout(CONNECT_WITHIN, opening).await.ok().flatten()
    }

    async fn open_socket(asked: &Asked<'_>) -> Option<Self> {
        let address: SocketAddr = asked.base.strip_prefix("http://").unwrap().parse().unwrap();
        let tcp = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = asked.buffer_bytes {
            tcp.set_recv_buffer_size(bytes).unwrap();
        }
        let stream = tcp.connect(address).await.ok()?;
        let cursor = asked.cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let url = format!("ws://{address}/api/v1/logs/stream?{}{cursor}", asked.query);
        let mut request = url.replace("?&", "?").into_client_request().unwrap();
        request.headers_mut().extend(identity(Some(asked.tenant_id), "auditor"));
        match client_async(request, stream).await {
            Ok((socket, _)) => Some(Self::Socket(Box::new(socket))),
            Err(Error::Http(refused)) => {
                assert!(may_pass(refused.status().as_u16()), "refused: {refused:?}");
                None
            }
            Err(Error::Io(_) | Error::Protocol(_)) => None,
            Err(error) => panic!("no WebSocket: {error}"),
        }
    }

    async fn open_events(asked: &Asked<'_>) -> Option<Self> {
        let mut request = reqwest::Client::new()
            .get(format!("{}/api/v1/logs/stream?{}", asked.base, asked.query))
            .headers(identity(Some(asked.tenant_id), "auditor"))
            .header("accept", "text/event-stream");
        if let Some(cursor) = asked.cursor {
            request = request.header("last-event-id", cursor);
        }
        let answer = request.send().await.ok()?;
        if answer.status() != StatusCode::OK {
            assert!(may_pass(answer.status().as_u16()), "refused: {answer:?}");
            return None;
        }
        Some(Self::Events(Events { answer, unread: Vec::new() }))
    }

    /// What comes next; nothing is lost when somebody stops waiting.
    pub(crate) async fn next(&mut self) -> Came {
        match self {
            Self::Events(events) => events.next().await,
            Self::Socket(socket) => loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Came::Frame(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(close))) => {
                        return Came::End(close.map(|close| close.code.into()));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Came::End(None),
                }
            },
        }
    }

    /// Says something, where that is possible; it may be gone by now.
    pub(crate) async fn say(&mut self, message: &str) {
        if let Self::Socket(socket) = self {
            let _ = socket.send(Message::text(message)).await;
        }
    }
}

impl Events {
    async fn next(&mut self) -> Came {
        loop {
            if let Some(at) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.unread.drain(..at + 2).collect();
                if let Some(came) = read_event(std::str::from_utf8(&event).unwrap()) {
                    return came;
                }
                continue;
            }
            match self.answer.chunk().await {
                Ok(Some(chunk)) => self.unread.extend_from_slice(&chunk),
                Ok(None) | Err(_) => return Came::End(None),
            }
        }
    }
}

/// `None`: a comment.
fn read_event(event: &str) -> Option<Came> {
    let value = |name: &str| {
        let mut lines = event.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value)
    };
    let mut frame: Frame = serde_json::from_str(value("data")?).unwrap();
    assert_eq!(value("event"), Some(&*frame.kind), "{event}");
    let id = value("id").expect("each event has the cursor for its id");
    assert!(frame.cursor.as_ref().is_none_or(|cursor| cursor == id), "{event}");
    frame.cursor = Some(id.to_owned());
    Some(Came::Frame(frame))
}

/// Whether a client may come back after such an answer.
fn may_pass(status: u16) -> bool {
    matches!(status, 429 | 503)
}
