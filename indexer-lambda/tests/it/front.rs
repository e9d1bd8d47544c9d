//! Stands before OpenSearch and hands requests on, but does to `_bulk` what it was told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::search_url;

/// What happens to a `_bulk`. OpenSearch gets it in any case but the first two.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// This status at once.
    Status(u16),
    /// No answer for ever.
    Hang,
    /// Its own answer.
    Pass,
    /// The outcome of one document is replaced, with the whole still being 200.
    Item(usize, u16, &'static str),
    /// The outcome of the last document is missing.
    DropItem,
    /// The outcomes of the first two documents are exchanged.
    Exchange,
    /// The answer ends in its middle, properly.
    Truncate,
    /// The connection breaks in the middle of the answer.
    Break,
}

#[derive(Default)]
struct Script {
    acts: VecDeque<Act>,
    bulks: usize,
}

/// A front with a script. When that is over, everything passes.
pub(crate) struct Front {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
}

impl Front {
    pub(crate) async fn with(acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Script { acts: acts.iter().copied().collect(), bulks: 0 };
        let script = Arc::new(Mutex::new(script));
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = Arc::clone(&shared);
                tokio::spawn(async move { serve(stream, &script).await });
            }
        });
        Self { url, script }
    }

    /// How many `_bulk` have come.
    pub(crate) fn bulks(&self) -> usize {
        self.script.lock().unwrap().bulks
    }
}

/// One request on one connection. A client that goes away is none of our business.
async fn serve(stream: TcpStream, script: &Mutex<Script>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (method, path, body) = read(&mut stream).await?;
    let act = if path.starts_with("/_bulk") { next(script) } else { Act::Pass };
    match act {
        Act::Status(status) => {
            let error = r#"{"error":{"type":"es_rejected_execution_exception"}}"#;
            write(&mut stream, status, error.as_bytes(), error.len()).await
        }
        Act::Hang => std::future::pending().await,
        act => {
            let (status, answer) = pass(&method, &path, body).await;
            let answer = change(act, answer);
            let announced = if matches!(act, Act::Break) { answer.len() * 2 } else { answer.len() };
            write(&mut stream, status, &answer, announced).await
        }
    }
}

fn next(script: &Mutex<Script>) -> Act {
    let mut script = script.lock().unwrap();
    script.bulks += 1;
    script.acts.pop_front().unwrap_or(Act::Pass)
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut len = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            len = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.ok()?;
    Some((method, path, body))
}

async fn pass(method: &str, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = client.request(method, format!("{}{path}", search_url()));
    if !body.is_empty() {
        request = request.header("content-type", "application/x-ndjson").body(body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

fn change(act: Act, answer: Vec<u8>) -> Vec<u8> {
    if matches!(act, Act::Truncate | Act::Break) {
        return answer[..answer.len() / 2].to_vec();
    }
    if matches!(act, Act::Pass) {
        return answer;
    }
    let mut value: Value = serde_json::from_slice(&answer).unwrap();
    let items = value["items"].as_array_mut().unwrap();
    match act {
        Act::Item(at, status, kind) => {
            items[at]["create"]["status"] = json!(status);
            items[at]["create"]["error"] = json!({ "type": kind });
        }
        Act::DropItem => drop(items.pop()),
        _ => items.swap(0, 1),
    }
    value.to_string().into_bytes()
}

async fn write(
    stream: &mut BufReader<TcpStream>,
    status: u16,
    body: &[u8],
    announced: usize,
) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {announced}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body).await.ok()?;
    stream.shutdown().await.ok()
}
