//! The least WebSocket that measures a stream: whole text frames in, pongs out.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use domain::TenantId;
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::Request;

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

/// An answer to a ping, masked with zeros; the service's pings are empty.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// More than any frame here.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// A subscriber's connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    read_to: usize,
}

impl Wire {
    /// Subscribes, and waits for the greeting.
    pub(super) async fn subscribe(
        address: SocketAddr,
        tenant_id: TenantId,
        query: &str,
    ) -> anyhow::Result<Self> {
        let mut wire = Self::connect(address).await?;
        let request = Request::upgrade(&format!("/logs/stream{query}"), tenant_id);
        wire.stream.write_all(request.bytes()).await?;
        let head_len = loop {
            if let Some(at) = memmem::find(&wire.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            wire.fill().await?;
        };
        let head = String::from_utf8_lossy(&wire.buffer[..head_len]).into_owned();
        ensure!(head.starts_with("HTTP/1.1 101"), "no stream but:\n{head}");
        wire.read_to = head_len;
        let hello = wire.next().await?;
        ensure!(memmem::find(hello, b"\"hello\"").is_some(), "a stream without a greeting");
        Ok(wire)
    }

    /// To a bare server, which needs no word.
    pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), read_to: 0 })
    }

    /// The text of the next frame; a pending one is not lost when nobody waits any more.
    pub(super) async fn next(&mut self) -> anyhow::Result<&[u8]> {
        loop {
            let frame = Head::read(&self.buffer[self.read_to..])?;
            let Some(Head { kind, begin, end }) = frame else {
                self.buffer.drain(..std::mem::take(&mut self.read_to));
                self.fill().await?;
                continue;
            };
            let from = self.read_to;
            self.read_to += end;
            match kind {
                TEXT => return Ok(&self.buffer[from + begin..from + end]),
                PING => self.stream.write_all(&PONG).await?,
                other => anyhow::bail!("the stream was ended, or says {other:#x}"),
            }
        }
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        let bytes = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(bytes > 0, "the server closed the stream");
        Ok(())
    }
}

/// Where the text of a frame lies, and what it is.
struct Head {
    kind: u8,
    begin: usize,
    end: usize,
}

impl Head {
    /// Of a whole frame; `None`: more is to come.
    fn read(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let &[kind, short, ..] = bytes else { return Ok(None) };
        let (begin, len) = match short {
            126 => (4, bytes.get(2..4).map(|len| usize::from(len[0]) << 8 | usize::from(len[1]))),
            127 => {
                let len = bytes.get(2..10).and_then(|len| len.try_into().ok());
                (10, len.map(u64::from_be_bytes).map(|len| len as usize))
            }
            short => (2, Some(usize::from(short))),
        };
        let Some(len) = len else { return Ok(None) };
        ensure!(len <= FRAME_BYTES_MAX, "a frame of {len} bytes");
        Ok((bytes.len() >= begin + len).then_some(Self { kind, begin, end: begin + len }))
    }
}

/// The frame of an entry, as the service sends it.
pub(super) fn frame_of(entry: &[u8]) -> anyhow::Result<Vec<u8>> {
    // As long as each cursor is.
    let cursor = "c".repeat(48);
    let begin = format!("{{\"type\":\"log\",\"cursor\":\"{cursor}\",\"data\":");
    let len = begin.len() + entry.len() + 1;
    let len = u16::try_from(len).context("an entry is too long for this benchmark")?;
    ensure!(len > 125, "an entry is too short for this benchmark");
    let head = [&[TEXT, 126][..], &len.to_be_bytes()].concat();
    Ok([&head, begin.as_bytes(), entry, b"}"].concat())
}

/// The number of the entry in some JSON.
pub(super) fn seq_in(json: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"seq\":";
    let at = memmem::find(json, KEY)? + KEY.len();
    let digits = json[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::{Head, frame_of, seq_in};

    #[test]
    fn a_frame_is_read_when_it_is_whole_and_not_before() -> anyhow::Result<()> {
        let entry = format!("{{\"seq\":4711,\"message\":\"{}\"}}", "x".repeat(500));
        let frame = frame_of(entry.as_bytes())?;
        for len in 0..frame.len() {
            anyhow::ensure!(Head::read(&frame[..len])?.is_none(), "a frame of {len} bytes");
        }
        let head = Head::read(&[&frame[..], b"more"].concat())?;
        let text = head.map(|head| frame[head.begin..head.end].to_vec()).unwrap_or_default();
        assert_eq!(seq_in(&text), Some(4_711));
        assert!(text.ends_with(b"\"}}"));
        Ok(())
    }
}
