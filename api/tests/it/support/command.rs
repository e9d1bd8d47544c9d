//! The real binary, as an operator runs it.

use std::ffi::OsString;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::said;

/// What a command that ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

fn command(args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-log"));
    command.args(args).env_clear().envs(coverage()).envs(env.iter().copied()).kill_on_drop(true);
    command
}

/// Where a program says what of it was run, if somebody asks (`dev/coverage.sh`): also one that gets
/// nothing else of the environment.
pub(crate) fn coverage() -> Option<(&'static str, OsString)> {
    const NAME: &str = "LLVM_PROFILE_FILE";
    std::env::var_os(NAME).map(|file| (NAME, file))
}

/// Runs a command that should end by itself; only these variables are set.
pub(crate) async fn run(args: &[&str], env: &[(&str, &str)]) -> Ended {
    let output = timeout(Duration::from_secs(30), command(args, env).output()).await;
    let output = output.unwrap_or_else(|_| panic!("audit-log {args:?} {env:?} did not end"));
    let Output { status, stdout, stderr } = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(stdout), text(stderr));
    said::keep_said(&stderr);
    if args.first() == Some(&"token") {
        said::note(stdout.trim());
    }
    Ended { code: status.code(), stdout, stderr }
}

/// Starts a command that the test will kill.
pub(crate) fn spawn(args: &[&str], env: &[(&str, &str)]) -> Child {
    command(args, env).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A service in a process of its own, and what it says.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: JoinHandle<Vec<String>>,
    pub(crate) base: String,
}

impl Running {
    /// Starts `serve` on a free port and waits until it says where.
    pub(crate) async fn serve(args: &[&str], env: &[(&str, &str)]) -> Self {
        let args = [&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"], args].concat();
        let mut child = command(&args, env).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (found, address) = tokio::sync::oneshot::channel();
        let mut found = Some(found);
        let log = tokio::spawn(async move {
            // Line by line: its test may end before it does.
            let (mut log, mut kept) = (Vec::new(), said::KeptLog::default());
            while let Ok(Some(line)) = lines.next_line().await {
                let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(address) = event["address"].as_str()
                    && let Some(found) = found.take()
                {
                    found.send(address.to_owned()).unwrap();
                }
                kept.line(&line);
                log.push(line);
            }
            log
        });
        let address = timeout(Duration::from_secs(30), address).await.unwrap();
        let address = address.expect("the service ended instead of serving");
        Self { child, log, base: format!("http://{address}") }
    }

    /// Asks it to read its files anew.
    pub(crate) fn hang_up(&self) {
        let pid = self.child.id().unwrap().to_string();
        let told = std::process::Command::new("kill").args(["-HUP", &pid]).status();
        assert!(told.unwrap().success());
    }

    /// Stops it as an operator would; gives its exit code and all lines of its log.
    pub(crate) async fn stop(mut self) -> (Option<i32>, Vec<String>) {
        let pid = self.child.id().unwrap().to_string();
        let killed = std::process::Command::new("kill").args(["-TERM", &pid]).status();
        assert!(killed.unwrap().success());
        let ended = timeout(Duration::from_secs(20), self.child.wait()).await;
        (ended.unwrap().unwrap().code(), self.log.await.unwrap())
    }
}
