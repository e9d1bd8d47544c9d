//! A real TimescaleDB, compiled to WebAssembly, in memory: one for each test that wants it.

use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The script that `dev/timescale.sh install` prints.
const SCRIPT: &str = "AUDIT_TEST_TIMESCALE";

/// How long it may take to come up.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// A server that takes one connection at a time, and goes with this value.
#[derive(Debug)]
pub(crate) struct Timescale {
    _server: Child,
    port: u16,
}

impl Timescale {
    /// Starts one; a machine that cannot fails the test, since skipping would prove nothing.
    pub(crate) async fn start() -> Self {
        let script = std::env::var(SCRIPT).unwrap_or_else(|_| {
            panic!("{SCRIPT} is not set: run `make test`, or set it to what `dev/timescale.sh install` prints")
        });
        let mut server = Command::new("node")
            .args([script.as_str(), "--port", "0", "--until-stdin-ends"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("TimescaleDB cannot be started: node: {error}"));
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let line = timeout(READY_WITHIN, lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("TimescaleDB is not ready in {READY_WITHIN:?}"));
        let port = line.ok().flatten().and_then(|line| line.strip_prefix("ready ")?.parse().ok());
        Self {
            _server: server,
            port: port.unwrap_or_else(|| panic!("TimescaleDB ended, see standard error above")),
        }
    }

    /// Its URL: the owner, who is no superuser.
    pub(crate) fn url(&self) -> SecretString {
        let url = "postgres://audit:any@127.0.0.1";
        SecretString::from(format!("{url}:{}/template1?sslmode=disable", self.port))
    }
}
