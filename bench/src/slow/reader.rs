//! A reader that takes an export at 1 MB/s, and pauses when it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use domain::TenantId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::http::Request;

/// So often it reads …
const TICK: Duration = Duration::from_millis(20);

/// … so much: 1 MB a second.
const TICK_BYTES: usize = 20_000;

/// Its socket holds little, so that it is slow from the beginning.
const SOCKET_BYTES: u32 = 64 << 10;

/// Stops to read when dropped.
#[derive(Debug)]
pub(super) struct SlowReader {
    state: Arc<State>,
    task: JoinHandle<anyhow::Result<()>>,
}

#[derive(Debug, Default)]
struct State {
    runs: AtomicBool,
    bytes: AtomicU64,
}

impl SlowReader {
    /// Begins the export and takes nothing yet.
    pub(super) async fn begin(
        address: SocketAddr,
        tenant_id: TenantId,
        entries: i64,
    ) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(SOCKET_BYTES)?;
        let mut stream = socket.connect(address).await?;
        let path = format!("/logs/export?format=ndjson&max_entries={entries}");
        stream.write_all(Request::get_stream(&path, tenant_id).bytes()).await?;
        let state = Arc::new(State::default());
        let task = tokio::spawn(read(stream, Arc::clone(&state)));
        Ok(Self { state, task })
    }

    /// Reads, or pauses.
    pub(super) fn run(&self, runs: bool) {
        self.state.runs.store(runs, Ordering::Relaxed);
    }

    /// How much it has taken.
    pub(super) fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }

    /// Whether the export has ended; an error when it did so too early.
    pub(super) async fn has_ended(&mut self) -> anyhow::Result<bool> {
        if !self.task.is_finished() {
            return Ok(false);
        }
        (&mut self.task).await??;
        Ok(true)
    }
}

impl Drop for SlowReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(mut stream: TcpStream, state: Arc<State>) -> anyhow::Result<()> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = vec![0; TICK_BYTES];
    let mut ended_whole = false;
    loop {
        ticks.tick().await;
        if !state.runs.load(Ordering::Relaxed) {
            continue;
        }
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            ensure!(ended_whole, "the export broke off");
            return Ok(());
        }
        if state.bytes.fetch_add(len as u64, Ordering::Relaxed) == 0 {
            ensure!(buffer.starts_with(b"HTTP/1.1 200"), "the export was refused");
        }
        // The last bytes of trailers.
        ended_whole = buffer[..len].ends_with(b"\r\n\r\n");
    }
}
