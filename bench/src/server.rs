//! The service and its rivals, each a process of its own.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::cpu;
use crate::http::{Connection, GATEWAY_SECRET, Request};
use crate::subject::Kind;

/// How long a server may take until it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How long it may take to say whether it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    /// A rival serves for as long as this is open.
    _stdin: Option<ChildStdin>,
}

impl Server {
    /// `audit-log serve`, in gateway mode, its log in JSON and thrown away.
    pub(crate) async fn service(program: &Path, url: &SecretString) -> anyhow::Result<Self> {
        Self::service_with(program, url, &[]).await
    }

    /// The same with settings besides.
    pub(crate) async fn service_with(
        program: &Path,
        url: &SecretString,
        settings: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let child = Command::new(program)
            .arg("serve")
            // Nothing that somebody has set for another run.
            .env_clear()
            .env("AUDIT_DATABASE_URL", url.expose_secret())
            .env("AUDIT_LISTEN", address.to_string())
            .env("AUDIT_AUTH", "gateway")
            .env("AUDIT_GATEWAY_SECRET", GATEWAY_SECRET)
            .env("AUDIT_LOG_FORMAT", "json")
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let mut server = Self { address, child, _stdin: None };
        server.until_ready().await?;
        Ok(server)
    }

    /// (a) or (b): this program again.
    pub(crate) async fn rival(kind: Kind, url: &SecretString) -> anyhow::Result<Self> {
        let command = match kind {
            Kind::Null => "serve-null",
            Kind::Insert => "serve-insert",
            other => bail!("{other:?} is no server"),
        };
        let mut child = Command::new(std::env::current_exe()?)
            .arg(command)
            .env_clear()
            .env("AUDIT_BENCH_DATABASE_URL", url.expose_secret())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("a rival has no standard output")?;
        let mut said = String::new();
        BufReader::new(stdout).read_line(&mut said).await?;
        let address = said.trim_end().parse();
        let address = address.map_err(|_| anyhow::anyhow!("{command} did not start: {said}"))?;
        let stdin = child.stdin.take();
        let mut server = Self { address, child, _stdin: stdin };
        server.until_ready().await?;
        Ok(server)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The most memory it ever had.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.pid().and_then(cpu::peak_memory)
    }

    /// Ends it and waits for the end, so that nothing of it disturbs what comes next.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the server ended before it was ready ({status}): start it by hand to see why"
                )
            }
            let asking =
                async { Connection::open(self.address).await?.exchange(&Request::readyz()).await };
            if matches!(timeout(PROBE_TIMEOUT, asking).await, Ok(Ok(200))) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the server was not ready within {} s", START_TIMEOUT.as_secs());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// An address that nobody listens on.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
