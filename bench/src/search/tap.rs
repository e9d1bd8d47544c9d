//! A tap on the way to SQS: all goes through unchanged, sends are counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Read at a time.
const BUFFER: usize = 256 << 10;

/// Stands in the head of a send.
const SEND: &[u8] = b"AmazonSQS.SendMessageBatch";

/// Stands before each message in the body of a send. Not inside of one: quotation marks have
/// backslashes there.
const MESSAGE: &[u8] = b"\"MessageBody\":\"";

/// What went through.
#[derive(Debug, Default)]
struct Counters {
    sends: AtomicU64,
    messages: AtomicU64,
}

/// Ends when dropped.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) address: SocketAddr,
    counters: Arc<Counters>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Tap {
    /// Listens for whoever wants to go there.
    pub(super) async fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counters = Arc::<Counters>::default();
        let task = tokio::spawn(listen(listener, to, Arc::clone(&counters)));
        Ok(Self { address, counters, task })
    }

    /// Calls of `SendMessageBatch`.
    pub(super) fn sends(&self) -> u64 {
        self.counters.sends.load(Ordering::Relaxed)
    }

    /// Messages in them.
    pub(super) fn messages(&self) -> u64 {
        self.counters.messages.load(Ordering::Relaxed)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    listener: TcpListener,
    to: SocketAddr,
    counters: Arc<Counters>,
) -> std::io::Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        let server = TcpStream::connect(to).await?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        let (from_client, mut to_client) = client.into_split();
        let (mut from_server, to_server) = server.into_split();
        // A connection that breaks is for its client to notice.
        tokio::spawn(hand_on(from_client, to_server, Arc::clone(&counters)));
        tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    }
}

async fn hand_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    counters: Arc<Counters>,
) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER + SEND.len());
    loop {
        let seen = buffer.len();
        if from.read_buf(&mut buffer).await? == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[seen..]).await?;
        counters.sends.fetch_add(count(&buffer, SEND, seen), Ordering::Relaxed);
        counters.messages.fetch_add(count(&buffer, MESSAGE, seen), Ordering::Relaxed);
        // What one of them may have begun with.
        let kept = buffer.len().saturating_sub(SEND.len().max(MESSAGE.len()) - 1);
        buffer.drain(..kept);
    }
}

/// How often it ends behind what was looked at already.
fn count(buffer: &[u8], needle: &[u8], seen: usize) -> u64 {
    memmem::find_iter(buffer, needle).filter(|at| at + needle.len() > seen).count() as u64
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE, SEND, count};

    #[test]
    fn what_comes_in_pieces_is_counted_once() {
        let text = [b"x-amz-target: ", SEND, b"\r\n\r\n{", MESSAGE, br#"a \"MessageBody\":\" b"#];
        let text = text.concat();
        for cut in 0..text.len() {
            for needle in [SEND, MESSAGE] {
                let first = count(&text[..cut], needle, 0);
                assert_eq!(first + count(&text, needle, cut), 1, "cut at {cut}");
            }
        }
    }
}
