//! What the service answers to an export, byte for byte, over a network that cuts where it is told.
//!
//! Each request says what shall become of it, by a header, `x-case`, or a parameter, `case`, so
//! that many cases run beside each other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One log, and everything that was asked.
pub(crate) struct Exporter {
    pub(crate) url: String,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

struct State {
    /// Numbers and messages; a number that is missing was filtered out.
    log: Vec<(u64, String)>,
    /// The last number that the first answer reaches to.
    last_seq: u64,
    asked: Mutex<Vec<String>>,
    /// The cases that have been cut once.
    was_cut: Mutex<HashSet<String>>,
}

/// A request, as far as it matters.
struct Asked {
    path: String,
    query: HashMap<String, String>,
    case: HashMap<String, String>,
    takes_trailers: bool,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Exporter {
    /// All entries from 1 to 3.
    pub(crate) async fn gapless() -> Self {
        Self::start(texts(&[1, 2, 3]), 3).await
    }

    /// What a filter leaves of the entries from 1 to 7.
    pub(crate) async fn filtered() -> Self {
        Self::start(texts(&[2, 3, 5]), 7).await
    }

    pub(crate) async fn start(log: Vec<(u64, String)>, last_seq: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state =
            Arc::new(State { log, last_seq, asked: Mutex::default(), was_cut: Mutex::default() });
        let serving = tokio::spawn({
            let state = state.clone();
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let state = state.clone();
                    // A client that goes away in the middle is none of our business.
                    tokio::spawn(async move { state.serve(stream).await.unwrap_or_default() });
                }
            }
        });
        Self { url, state, serving }
    }

    /// Path and query of each request since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.asked.lock().unwrap())
    }

    /// The uncut export.
    pub(crate) fn export(&self, format: &str) -> Vec<u8> {
        self.state.body(format, 0, usize::MAX)
    }
}

impl State {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let head = read_head(&mut stream).await?;
        let asked = Asked::read(&head);
        self.asked.lock().unwrap().push(head.split(' ').nth(1).unwrap().to_owned());
        match asked.path.as_str() {
            "/api/v1/logs" => stream.write_all(&self.list(&asked)).await?,
            "/api/v1/logs/export" => self.send_export(&mut stream, &asked).await?,
            _ => stream.write_all(&problem(404, "not_found", "no such route")).await?,
        }
        stream.shutdown().await
    }

    /// The log's entry about an export, which the service writes when it has handed all over.
    fn list(&self, asked: &Asked) -> Vec<u8> {
        assert_eq!(asked.query["action"], "export.completed");
        let (format, from, len) = {
            let mut id = asked.query["resource_id"].split('-');
            let mut next = || id.next().unwrap();
            (next(), next().parse().unwrap(), next().parse().unwrap())
        };
        let body = self.body(format, from, len);
        let rows = self.log.iter().skip(from).take(len).count();
        match asked.case("log") {
            "denied" => problem(403, "forbidden", "the planted refusal"),
            "none" => answer(200, "application/json", &json!({"data": [], "next_cursor": null})),
            _ => {
                let metadata = json!({
                    "rows": rows, "first_seq": 1, "last_seq": self.reached(from, len),
                    "sha256": Self::hash(asked, format, &body),
                });
                let entry = json!({"action": "export.completed", "metadata": metadata});
                answer(200, "application/json", &json!({"data": [entry], "next_cursor": null}))
            }
        }
    }

    fn hash(asked: &Asked, format: &str, body: &[u8]) -> String {
        let hashed = if format == "ndjson" { before_end(body) } else { body };
        let hash = format!("{:x}", Sha256::digest(hashed));
        if asked.case("lies") == "yes" { hash.replace(['0', '1', '2', '3'], "f") } else { hash }
    }

    async fn send_export(&self, stream: &mut TcpStream, asked: &Asked) -> std::io::Result<()> {
        let cursor = asked.query.get("cursor");
        let format = &asked.query["format"];
        let case = format!("{format}{:?}{:?}", asked.case.get("cut"), asked.case.get("how"));
        let case = format!("{case}{}", asked.case("then"));
        let is_first = self.was_cut.lock().unwrap().insert(case);
        let busy = asked.case("busy");
        if asked.query.get("q").is_some_and(|q| q == "(") {
            return stream.write_all(&problem(400, "invalid_query", "the planted mistake")).await;
        }
        if busy == "always" || (busy == "first" && is_first) {
            return stream.write_all(&busy_for_a_second()).await;
        }
        if !is_first && asked.case("then") == "gone" {
            return stream.write_all(&problem(410, "cursor_expired", "the planted expiry")).await;
        }
        let after = cursor.map(|id| id[24..].parse::<u64>().unwrap());
        let from =
            self.log.iter().filter(|(seq, _)| after.is_some_and(|after| *seq <= after)).count();
        let len: usize = asked.query.get("max_entries").map_or(usize::MAX, |n| n.parse().unwrap());
        let len = len.min(self.log.len());
        let mut body = self.body(format, from, len);
        if asked.case("lies") == "yes" && format == "ndjson" {
            let said = String::from_utf8(body).unwrap();
            body = said.replace("\"rows\":", "\"rows\":1").into_bytes();
        }
        let cut = asked.case.get("cut").filter(|_| is_first);
        let cut: Option<usize> = cut.map(|cut| cut.parse().unwrap());
        let head = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
             x-export-id: {format}-{from}-{len}-x\r\nx-export-first-seq: {}\r\n\
             x-export-last-seq: {}\r\n\r\n",
            self.log.get(from).map_or(1, |_| after.unwrap_or(0) + 1),
            self.last_seq.max(if cursor.is_some() { self.log.last().unwrap().0 } else { 0 }),
        );
        stream.write_all(head.as_bytes()).await?;
        let sent = &body[..cut.unwrap_or(body.len()).min(body.len())];
        self.send_chunks(stream, asked, sent).await?;
        if cut.is_some() && asked.case("how") != "clean" {
            return Ok(());
        }
        let mut end = b"0\r\n".to_vec();
        if asked.takes_trailers && cut.is_none() && asked.case("trailers") != "dropped" {
            let rows = self.log.iter().skip(from).take(len).count();
            let (hash, last) = (Self::hash(asked, format, &body), self.reached(from, len));
            end.extend(format!("x-export-rows: {rows}\r\nx-export-sha256: {hash}\r\n").bytes());
            end.extend(format!("x-export-first-seq: 1\r\nx-export-last-seq: {last}\r\n").bytes());
        }
        end.extend(b"\r\n");
        stream.write_all(&end).await
    }

    async fn send_chunks(
        &self,
        stream: &mut TcpStream,
        asked: &Asked,
        sent: &[u8],
    ) -> std::io::Result<()> {
        let slow = asked.case("slow").parse::<u64>().ok();
        for chunk in sent.chunks(if slow.is_some() { 40 } else { usize::MAX }) {
            let chunk = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
            stream.write_all(&chunk).await?;
            if let Some(ms) = slow {
                // The client's connection is slow here, nobody waits for anything.
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
        }
        Ok(())
    }

    /// The last number that was looked at for so many entries, from that one on.
    fn reached(&self, from: usize, len: usize) -> u64 {
        let left = &self.log[from..];
        if len < left.len() { left[len - 1].0 } else { self.last_seq }
    }

    /// An export of so many entries, from that one on.
    fn body(&self, format: &str, from: usize, len: usize) -> Vec<u8> {
        let log: Vec<_> = self.log.iter().skip(from).take(len).collect();
        let json = |(seq, text): &&(u64, String)| entry(*seq, text).to_string();
        let all: Vec<_> = log.iter().map(json).collect();
        match format {
            "json" if all.is_empty() => b"[\n]\n".to_vec(),
            "json" => format!("[\n{}\n]\n", all.join(",\n")).into_bytes(),
            "csv" => {
                let row = |(seq, text): &&(u64, String)| {
                    format!("{},{seq},\"{}\"\r\n", id(*seq), text.replace('"', "\"\""))
                };
                let rows: String = log.iter().map(row).collect();
                format!("id,seq,message\r\n{rows}").into_bytes()
            }
            _ => {
                let lines: String = all.iter().flat_map(|entry| [entry, "\n"]).collect();
                let hash = format!("{:x}", Sha256::digest(&lines));
                let (rows, last) = (all.len(), self.reached(from, len));
                format!("{lines}{{\"end\":{{\"rows\":{rows},\"first_seq\":1,\"last_seq\":{last},\"sha256\":\"{hash}\"}}}}\n").into_bytes()
            }
        }
    }
}

impl Asked {
    fn read(head: &str) -> Self {
        let target = head.split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = |text: &str| form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        let takes_trailers = header(head, "te") == "trailers";
        let mut query: HashMap<_, _> = pairs(query);
        let by_query = query.remove("case");
        let case = pairs(by_query.as_deref().unwrap_or(header(head, "x-case")));
        Self { path: path.to_owned(), query, case, takes_trailers }
    }

    fn case(&self, name: &str) -> &str {
        self.case.get(name).map_or("", String::as_str)
    }
}

/// Entries of these numbers, with all that means something to one of the formats.
pub(crate) fn texts(seqs: &[u64]) -> Vec<(u64, String)> {
    let hostile = ["a\"]},\\", "\r\n,\"", "日本", ""];
    seqs.iter().copied().zip(hostile.into_iter().cycle().map(str::to_owned)).collect()
}

pub(crate) fn id(seq: u64) -> String {
    format!("00000000-0000-7000-8000-{seq:012}")
}

fn entry(seq: u64, text: &str) -> Value {
    json!({"id": id(seq), "seq": seq, "message": text, "after": [{"of": text}]})
}

fn before_end(body: &[u8]) -> &[u8] {
    let line = body[..body.len() - 1].iter().rposition(|byte| *byte == b'\n');
    &body[..line.map_or(0, |at| at + 1)]
}

async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(head).unwrap())
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v).next().unwrap_or("")
}

fn answer(status: u16, media: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let len = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: {media}\r\n\
         content-length: {len}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn busy_for_a_second() -> Vec<u8> {
    let problem = String::from_utf8(problem(503, "overloaded", "the planted load")).unwrap();
    problem.replacen("\r\n", "\r\nretry-after: 1\r\n", 1).into_bytes()
}

fn problem(status: u16, code: &str, detail: &str) -> Vec<u8> {
    answer(status, "application/problem+json", &json!({"code": code, "detail": detail}))
}
