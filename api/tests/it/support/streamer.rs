//! A service that says on its streams what a test has written down, one connection after the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// How long a client may take to answer what a script waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is said on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// Instead of the upgrade.
    Refuse(u16, &'static str),
    /// A message.
    Text(String),
    /// An entry of this number and message.
    Entry(u64, String),
    /// A ping, and nothing more until its pong is there.
    Ping,
    /// The end, in order.
    Close(u16, &'static str),
    /// The end, without a word.
    Cut,
    /// Nothing until the client ends it.
    Wait,
}

/// See the module.
pub(crate) struct Streamer {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Drop for Streamer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Streamer {
    /// Plays these scripts; behind the last there is nobody.
    pub(crate) async fn start(scripts: impl IntoIterator<Item = Vec<Say>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut scripts: VecDeque<_> = scripts.into_iter().collect();
        let listener = (!scripts.is_empty()).then_some(listener);
        let serving = tokio::spawn({
            let asked = Arc::clone(&asked);
            async move {
                while let (Some(listener), Some(script)) = (&listener, scripts.pop_front()) {
                    let (stream, _) = listener.accept().await.unwrap();
                    play(stream, script, &asked).await;
                }
            }
        });
        Self { url, asked, serving }
    }

    /// Path and query of each connection so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A greeting and these entries.
pub(crate) fn greeted(seqs: impl IntoIterator<Item = u64>) -> Vec<Say> {
    let entries = seqs.into_iter().map(|seq| Say::Entry(seq, format!("message {seq}")));
    std::iter::once(hello("h")).chain(entries).collect()
}

pub(crate) fn hello(cursor: &str) -> Say {
    let hello = json!({"type": "hello", "cursor": cursor, "head_seq": 10, "floor_seq": 1});
    Say::Text(hello.to_string())
}

/// The JSON of an entry, as [`Say::Entry`] sends it.
pub(crate) fn entry(seq: u64, message: &str) -> String {
    let message = Value::from(message);
    format!(
        r#"{{"id":"x","seq":{seq},"recorded_at":"2026-11-21T22:23:17.123Z","severity":"ERROR","user_id":"alice","action":"UPDATE","resource_type":"thing","resource_id":null,"message":{message},"before":{{"b":1.0,"a":1e400}}}}"#
    )
}

async fn play(mut stream: TcpStream, script: Vec<Say>, asked: &Mutex<Vec<String>>) {
    if let [Say::Refuse(status, code)] = script[..] {
        let path = refuse(&mut stream, status, code).await;
        asked.lock().unwrap().push(path);
        return;
    }
    #[expect(clippy::result_large_err, reason = "the answer's type is the library's")]
    let note = |request: &Request, response: Response| {
        asked.lock().unwrap().push(request.uri().to_string());
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, note).await else { return };
    for say in script {
        // A client that has gone is what some tests are about.
        if speak(&mut socket, say).await.is_none() {
            return;
        }
    }
}

async fn speak(socket: &mut WebSocketStream<TcpStream>, say: Say) -> Option<()> {
    let text = match say {
        Say::Refuse(..) => unreachable!("a refusal stands alone"),
        Say::Text(text) => text,
        Say::Entry(seq, message) => {
            let data = entry(seq, &message);
            format!(r#"{{"type":"log","cursor":"c{seq}","data":{data}}}"#)
        }
        Say::Ping => {
            socket.send(Message::Ping(vec![7].into())).await.ok()?;
            return match timeout(PATIENCE, socket.next()).await.expect("a pong in time")? {
                Ok(Message::Pong(payload)) if *payload == [7] => Some(()),
                other => panic!("no pong but {other:?}"),
            };
        }
        Say::Close(code, reason) => {
            let frame = CloseFrame { code: code.into(), reason: reason.into() };
            socket.close(Some(frame)).await.ok()?;
            while let Ok(Some(Ok(_))) = timeout(PATIENCE, socket.next()).await {}
            return None;
        }
        Say::Cut => return None,
        Say::Wait => {
            while let Some(Ok(_)) = socket.next().await {}
            return None;
        }
    };
    socket.send(Message::Text(text.into())).await.ok()
}

async fn refuse(stream: &mut TcpStream, status: u16, code: &str) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let body = json!({"code": code, "detail": format!("the planted {code}")}).to_string();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().to_owned()
}
