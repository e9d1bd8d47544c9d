//! A cold start of the Lambda, as it is shipped: from its process to its asking for the first event.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::PREFIX;
use super::parts::{AWS_KEY, AWS_REGION, Parts};
use crate::report::median;

const STARTS: usize = 21;

/// How long a start may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the runtime's interface asks for an event.
const NEXT: &[u8] = b"GET /2018-06-01/runtime/invocation/next ";

/// What a start costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColdStart {
    pub(super) median_ms: f64,
    pub(super) worst_ms: f64,
    /// Of the program, and of the zip that is uploaded.
    pub(super) bytes: u64,
    pub(super) zipped: u64,
}

/// Starts it again and again, after once that reads it from the disk.
pub(super) async fn measure(parts: &Parts) -> anyhow::Result<ColdStart> {
    let program = parts.function_program();
    start(parts, &program).await?;
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        times.push(start(parts, &program).await?.as_secs_f64() * 1_000.0);
    }
    let times = times.iter().copied();
    Ok(ColdStart {
        median_ms: median(times.clone().map(Some)).context("it was never started")?,
        worst_ms: times.fold(0.0, f64::max),
        bytes: fs::metadata(&program)?.len(),
        zipped: fs::metadata(parts.function_zip())?.len(),
    })
}

async fn start(parts: &Parts, program: &Path) -> anyhow::Result<Duration> {
    let runtime = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let begun = Instant::now();
    let mut function = Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime.local_addr()?.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_REGION", AWS_REGION)
        .env("AWS_ACCESS_KEY_ID", AWS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", AWS_KEY)
        .envs(parts.searching(PREFIX)?)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // It complains when nobody answers it.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    let asked = timeout(TIMEOUT, async {
        let (mut stream, _) = runtime.accept().await?;
        let mut asked = [0; NEXT.len()];
        stream.read_exact(&mut asked).await?;
        anyhow::Ok(asked)
    });
    let asked = asked.await.context("the function has not asked for an event")??;
    let took = begun.elapsed();
    ensure!(asked == NEXT, "the function asks for something else than an event");
    function.kill().await?;
    Ok(took)
}
