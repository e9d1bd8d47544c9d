//! A stranger's WebSocket client, and events as a browser reads them.

use std::time::Duration;

use domain::TenantId;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use super::app::identity;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the system of a narrow client takes.
const NARROW_BYTES: u32 = 32 << 10;

/// One stream.
pub(crate) struct Socket(pub(crate) Stream);

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What came.
#[derive(Debug, PartialEq)]
pub(crate) enum Came {
    Frame(Value),
    Closed(u16, String),
    Cut,
}

/// A refusal before the upgrade.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) headers: Box<HeaderMap>,
    pub(crate) body: Value,
}

impl Refused {
    pub(crate) fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

impl Socket {
    /// Opens one as an auditor of this tenant; the query begins with `?` or is empty.
    pub(crate) async fn open(base: &str, tenant_id: TenantId, query: &str) -> Self {
        let headers = identity(Some(tenant_id), "auditor");
        Self::try_open(base, query, headers).await.unwrap()
    }

    /// Opens one with any headers.
    pub(crate) async fn try_open(
        base: &str,
        query: &str,
        headers: HeaderMap,
    ) -> Result<Self, Refused> {
        let url = format!("{}/api/v1/logs/stream{query}", base.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().extend(headers);
        Self::read_answer(timeout(PATIENCE, connect_async(request)).await.expect("an answer"))
    }

    /// Opens one as an auditor, whose system takes little before it is read.
    pub(crate) async fn open_narrow(base: &str, tenant_id: TenantId) -> Self {
        let address = base.strip_prefix("http://").unwrap();
        let mut request =
            format!("ws://{address}/api/v1/logs/stream").into_client_request().unwrap();
        request.headers_mut().extend(identity(Some(tenant_id), "auditor"));
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(NARROW_BYTES).unwrap();
        let stream = socket.connect(address.parse().unwrap()).await.unwrap();
        Self::read_answer(client_async(request, MaybeTlsStream::Plain(stream)).await).unwrap()
    }

    fn read_answer(answer: Result<(Stream, Response), Error>) -> Result<Self, Refused> {
        match answer {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => {
                let (parts, body) = answer.into_parts();
                let body = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
                Err(Refused {
                    status: parts.status.as_u16(),
                    headers: Box::new(parts.headers),
                    body,
                })
            }
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// What comes next, pings aside.
    pub(crate) async fn next(&mut self) -> Came {
        loop {
            let came = timeout(PATIENCE, self.0.next()).await.expect("something comes");
            return match came {
                Some(Ok(Message::Text(text))) => Came::Frame(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(Some(close)))) => {
                    Came::Closed(close.code.into(), close.reason.to_string())
                }
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => Came::Cut,
            };
        }
    }

    /// The next frame.
    #[track_caller]
    pub(crate) fn frame(&mut self) -> impl Future<Output = Value> {
        let location = std::panic::Location::caller();
        async move {
            match self.next().await {
                Came::Frame(frame) => frame,
                other => panic!("{location}: no frame but {other:?}"),
            }
        }
    }

    /// The next frame of this type, which nothing but heartbeats comes before.
    #[track_caller]
    pub(crate) fn expect(&mut self, kind: &str) -> impl Future<Output = Value> {
        let location = std::panic::Location::caller();
        async move {
            loop {
                let frame = self.frame().await;
                if frame["type"] == kind {
                    return frame;
                }
                assert_eq!(frame["type"], "heartbeat", "{location}: no {kind}: {frame}");
            }
        }
    }

    /// The numbers of the next entries.
    pub(crate) async fn seqs(&mut self, count: usize) -> Vec<i64> {
        let mut seqs = Vec::with_capacity(count);
        while seqs.len() < count {
            seqs.push(self.expect("log").await["data"]["seq"].as_i64().unwrap());
        }
        seqs
    }

    /// How it ends; what comes before does not matter.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Came::Frame(_) => {}
                Came::Closed(code, reason) => return (code, reason),
                Came::Cut => return (0, "cut".to_owned()),
            }
        }
    }

    /// Says something.
    pub(crate) async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub(crate) async fn filter(&mut self, filter: &str) {
        self.say(json!({ "type": "filter", "filter": filter })).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }
}
