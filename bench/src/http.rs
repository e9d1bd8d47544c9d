//! The least HTTP/1.1 that measures a server: prepared requests out, whole answers in.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail, ensure};
use domain::{TenantId, Timestamp};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::entries::{ADDRESS, REQUEST_ID, USER_AGENT, USER_ID, USER_NAME};
use crate::load::Work;

/// What the load proves itself with, as a gateway.
pub(crate) const GATEWAY_SECRET: &str = "the-secret-of-the-benchmark";

/// Digits of an idempotency key.
const KEY_LEN: usize = 16;

/// No run gives a key that an earlier run gave: it would have to write one a nanosecond.
static NEXT_KEY: LazyLock<AtomicU64> = LazyLock::new(|| {
    let ms = Timestamp::now().as_millis().unsigned_abs();
    AtomicU64::new(ms * 1_000_000)
});

/// A request, ready to be sent.
#[derive(Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    key_at: Option<usize>,
}

impl Request {
    /// Whether a server is ready.
    pub(crate) fn readyz() -> Self {
        Self { bytes: b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), key_at: None }
    }

    /// As a gateway sends it, with an idempotency key or without.
    pub(crate) fn post(path: &str, tenant_id: TenantId, keyed: bool, body: &str) -> Self {
        let key = if keyed { "Idempotency-Key: 0000000000000000\r\n" } else { "" };
        let len = body.len();
        let more = format!("Content-Type: application/json\r\nContent-Length: {len}\r\n{key}");
        let head = head("POST", path, tenant_id, "user", &more);
        // The key's header is the last, with two line ends behind it.
        let key_at = keyed.then(|| head.len() - 4 - KEY_LEN);
        Self { bytes: (head + body).into_bytes(), key_at }
    }

    /// The same of an auditor who reads.
    pub(crate) fn get(path: &str, tenant_id: TenantId) -> Self {
        Self { bytes: head("GET", path, tenant_id, "auditor", "").into_bytes(), key_at: None }
    }

    /// Of somebody who watches, by a WebSocket.
    pub(crate) fn upgrade(path: &str, tenant_id: TenantId) -> Self {
        let more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        Self { bytes: head("GET", path, tenant_id, "auditor", more).into_bytes(), key_at: None }
    }

    /// The only one on its connection, asking for trailers.
    pub(crate) fn get_stream(path: &str, tenant_id: TenantId) -> Self {
        let more = "TE: trailers\r\nConnection: close\r\n";
        Self { bytes: head("GET", path, tenant_id, "auditor", more).into_bytes(), key_at: None }
    }

    /// To a server that is not ours, like OpenSearch; `more` are header lines.
    pub(crate) fn foreign(method: &str, path: &str, more: &str, body: &[u8]) -> Self {
        let len = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n{more}\r\n"
        );
        Self { bytes: [head.as_bytes(), body].concat(), key_at: None }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn renew_key(&mut self) {
        let Some(at) = self.key_at else { return };
        let key = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        self.bytes[at..at + KEY_LEN].copy_from_slice(format!("{key:016x}").as_bytes());
    }
}

fn head(method: &str, path: &str, tenant_id: TenantId, role: &str, more: &str) -> String {
    format!(
        "{method} /api/v1{path} HTTP/1.1\r\n\
         Host: localhost\r\n\
         User-Agent: {USER_AGENT}\r\n\
         X-Forwarded-For: {ADDRESS}\r\n\
         X-Request-Id: {REQUEST_ID}\r\n\
         X-Gateway-Secret: {GATEWAY_SECRET}\r\n\
         X-User-Id: {USER_ID}\r\n\
         X-User-Name: {USER_NAME}\r\n\
         X-Tenant-Id: {tenant_id}\r\n\
         X-User-Role: {role}\r\n\
         {more}\r\n"
    )
}

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
    head_len: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4_096), head_len: 0 })
    }

    /// Sends a request, reads the whole answer and returns its status.
    pub(crate) async fn exchange(&mut self, request: &Request) -> anyhow::Result<u16> {
        self.exchange_parts(&[&request.bytes]).await
    }

    /// The same of a request that lies in pieces.
    pub(crate) async fn exchange_parts(&mut self, request: &[&[u8]]) -> anyhow::Result<u16> {
        for part in request {
            self.stream.write_all(part).await?;
        }
        self.answer.clear();
        let head_len = loop {
            self.read().await?;
            if let Some(at) = memmem::find(&self.answer, b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = std::str::from_utf8(&self.answer[..head_len]).context("a head in no UTF-8")?;
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("not an answer: {head}"))?;
        let len = head_len + content_length(head)?;
        while self.answer.len() < len {
            self.read().await?;
        }
        ensure!(self.answer.len() == len, "more than one answer to a request");
        self.head_len = head_len;
        Ok(status)
    }

    /// Asks for something that must be there, and returns its body.
    pub(crate) async fn get(&mut self, request: &Request) -> anyhow::Result<&[u8]> {
        let status = self.exchange(request).await?;
        ensure!(status == 200, "expected a 200, got:\n{}", self.shown());
        Ok(self.body())
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.answer[self.head_len..]
    }

    /// Whether the last answer has this header, by its name in small letters.
    pub(crate) fn has_header(&self, name: &str) -> bool {
        let head = String::from_utf8_lossy(&self.answer[..self.head_len]);
        head.lines().any(|line| line.split(':').next() == Some(name))
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let bytes = self.stream.read_buf(&mut self.answer).await?;
        ensure!(bytes > 0, "the server closed the connection");
        Ok(())
    }

    /// The last answer, or its beginning.
    pub(crate) fn shown(&self) -> String {
        let shown = &self.answer[..self.answer.len().min(1_000)];
        String::from_utf8_lossy(shown).into_owned()
    }
}

fn content_length(head: &str) -> anyhow::Result<usize> {
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            return Ok(value.trim().parse()?);
        }
    }
    bail!("an answer without Content-Length: {head}")
}

/// Posts the same requests in turn; anything but a 201 is an error.
#[derive(Debug)]
pub(crate) struct Poster {
    pub(crate) connection: Connection,
    pub(crate) requests: Vec<Request>,
    /// Entries in a request.
    pub(crate) entries: u64,
    pub(crate) turn: usize,
}

impl Work for Poster {
    async fn once(&mut self) -> anyhow::Result<u64> {
        self.turn = (self.turn + 1) % self.requests.len();
        let request = &mut self.requests[self.turn];
        request.renew_key();
        let status = self.connection.exchange(request).await?;
        ensure!(status == 201, "expected a 201, got:\n{}", self.connection.shown());
        Ok(self.entries)
    }
}

/// Asks for the same things in turn.
#[derive(Debug)]
pub(crate) struct Getter {
    pub(crate) connection: Connection,
    pub(crate) requests: Vec<Request>,
    /// Entries in an answer.
    pub(crate) entries: u64,
    pub(crate) turn: usize,
}

impl Work for Getter {
    async fn once(&mut self) -> anyhow::Result<u64> {
        self.turn = (self.turn + 1) % self.requests.len();
        self.connection.get(&self.requests[self.turn]).await?;
        Ok(self.entries)
    }
}
