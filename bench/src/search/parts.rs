//! OpenSearch and the emulator of SQS and Lambda, as the scripts in `dev/` keep them in folders.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::args::PartsArgs;

/// What an emulator takes for an account.
pub(super) const AWS_REGION: &str = "us-east-1";
pub(super) const AWS_KEY: &str = "test";

/// The function behind a queue, and its queue; see `localstack/ready.d/fan-out.py`.
pub(super) const FUNCTION: &str = "bench-indexer";

/// Messages of a call of the function: what the mapping takes at once.
pub(super) const FUNCTION_BATCH: u32 = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Parts {
    search: PathBuf,
    emulator: PathBuf,
    lambda: PathBuf,
}

impl Parts {
    /// Both must run.
    pub(super) fn find(args: &PartsArgs) -> anyhow::Result<Self> {
        let PartsArgs { opensearch, emulator, lambda } = args.clone();
        let parts = Self { search: opensearch, emulator, lambda };
        parts.search_pid()?;
        parts.queue_pid()?;
        ensure!(
            parts.lambda.is_file(),
            "there is no {}: make it with dev/lambda.sh",
            parts.lambda.display()
        );
        Ok(parts)
    }

    pub(super) fn search_address(&self) -> anyhow::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, noted(&self.search.join("port"))?).into())
    }

    pub(super) fn search_pid(&self) -> anyhow::Result<u32> {
        noted(&self.search.join("pid"))
    }

    pub(super) fn queue_address(&self) -> anyhow::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, noted(&self.emulator.join("port"))?).into())
    }

    pub(super) fn queue_pid(&self) -> anyhow::Result<u32> {
        noted(&self.emulator.join("pid"))
    }

    /// The function, as it is uploaded.
    pub(super) fn function_zip(&self) -> &Path {
        &self.lambda
    }

    /// What is in the zip, which lies beside it.
    pub(super) fn function_program(&self) -> PathBuf {
        self.lambda.with_file_name("bootstrap")
    }

    /// The service's settings for searching.
    pub(super) fn searching(&self, prefix: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("AUDIT_SEARCH_URL", format!("http://{}", self.search_address()?)),
            ("AUDIT_SEARCH_PREFIX", prefix.to_owned()),
        ])
    }

    /// The service's settings for sending to a queue, over an address that may be a tap's.
    pub(super) fn queueing(queue_url: &str, by: SocketAddr) -> Vec<(&'static str, String)> {
        vec![
            ("AUDIT_QUEUE_URL", queue_url.to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{by}")),
            ("AWS_REGION", AWS_REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", AWS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", AWS_KEY.to_owned()),
        ]
    }

    /// A queue that nobody takes from; its URL.
    pub(super) async fn make_queue(&self, name: &str) -> anyhow::Result<String> {
        self.fan_out(&[("AUDIT_FANOUT_QUEUE", name.as_ref())]).await
    }

    /// A queue with the function behind it, which writes to this prefix; its URL.
    pub(super) async fn make_function(
        &self,
        queue: &str,
        prefix: &str,
        more: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let search = self.searching(prefix)?;
        let batch = FUNCTION_BATCH.to_string();
        let mut settings: Vec<(&str, &OsStr)> = vec![
            ("AUDIT_FANOUT_QUEUE", queue.as_ref()),
            ("AUDIT_FANOUT_FUNCTION", FUNCTION.as_ref()),
            ("AUDIT_FANOUT_BATCH", batch.as_ref()),
            ("AUDIT_FANOUT_ZIP", self.lambda.as_ref()),
        ];
        settings.extend(search.iter().map(|(name, value)| (*name, value.as_ref())));
        settings.extend(more.iter().map(|(name, value)| (*name, value.as_ref())));
        self.fan_out(&settings).await
    }

    async fn fan_out(&self, settings: &[(&str, &OsStr)]) -> anyhow::Result<String> {
        let output = script("emulator.sh")
            .arg("fan-out")
            .arg(&self.emulator)
            .envs(settings.iter().copied())
            .stderr(Stdio::inherit())
            .output()
            .await?;
        ensure!(output.status.success(), "the queue could not be made, see above");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Kills OpenSearch, as the system does when memory runs out.
    pub(super) async fn kill_search(&self) -> anyhow::Result<()> {
        let pid = self.search_pid()?.to_string();
        let status = Command::new("kill").args(["-KILL", &pid]).status().await?;
        ensure!(status.success(), "OpenSearch (pid {pid}) could not be killed");
        Ok(())
    }

    /// Starts it again with its data and waits until it answers.
    pub(super) async fn start_search(&self) -> anyhow::Result<()> {
        let port = self.search_address()?.port().to_string();
        let starting = script("opensearch.sh").arg("start").arg(&self.search).arg(port).status();
        ensure!(starting.await?.success(), "OpenSearch did not come back, see above");
        Ok(())
    }
}

/// One of the project's scripts.
fn script(name: &str) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev").join(name));
    command.stdin(Stdio::null());
    command
}

/// A number that a script has written down.
fn noted<T: FromStr>(file: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(file);
    text.ok().and_then(|text| text.trim().parse().ok()).with_context(|| {
        format!("{} says nothing: `make bench-search` starts what is needed", file.display())
    })
}
