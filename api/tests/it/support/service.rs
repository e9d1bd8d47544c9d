//! The service as it is delivered: the real binary in processes of its own.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tempfile::TempDir;

use super::app::SECRET;
use super::process::Pid;
use super::said;

/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a start may take while things break that it needs, and one look whether it is ready.
const BACK_WITHIN: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks at a process.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where ports are taken from: below those that systems give to outgoing connections, so that
/// none of those takes a port while a service that will come back is away.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// One replica; ends with the test.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) base: String,
    port: u16,
    url: String,
    settings: Vec<(&'static str, String)>,
    child: Child,
    folder: TempDir,
}

impl Service {
    /// Starts a replica on this database and waits until it is ready.
    pub(crate) async fn start(url: &str, settings: &[(&'static str, &str)]) -> Self {
        let mut service = Self::spawn(url, settings);
        service.until_ready().await;
        service
    }

    /// Starts a replica that may refuse to.
    pub(crate) fn spawn(url: &str, settings: &[(&'static str, &str)]) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let child = spawn(port, url, &settings, &folder);
        let base = format!("http://127.0.0.1:{port}");
        Self { base, port, url: url.to_owned(), settings, child, folder }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, after it ended.
    pub(crate) async fn restart(&mut self) {
        assert!(self.child.try_wait().unwrap().is_some(), "it still runs");
        self.child = spawn(self.port, &self.url, &self.settings, &self.folder);
        self.until_ready().await;
    }

    /// Starts it again until it stays, however often it ends for want of what it needs.
    pub(crate) async fn bring_back(&mut self) {
        let deadline = Instant::now() + BACK_WITHIN;
        while !self.is_ready_or_ends(BACK_WITHIN).await {
            assert!(Instant::now() < deadline, "the service does not come back");
            self.child = spawn(self.port, &self.url, &self.settings, &self.folder);
        }
    }

    /// Whether it is ready, as soon as it is that or has ended.
    async fn is_ready_or_ends(&mut self, within: Duration) -> bool {
        let (client, ready) = (reqwest::Client::new(), format!("{}/readyz", self.base));
        let deadline = Instant::now() + within;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "not within {within:?}: the service is ready");
            let asking = client.get(&ready).timeout(READY_WITHIN).send().await;
            if asking.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: the service ends");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.child.wait().unwrap()
    }

    /// What it said, since its first start.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    async fn until_ready(&mut self) {
        let ready = self.is_ready_or_ends(PATIENCE).await;
        assert!(ready, "the service ended instead of starting: {:?}", self.child.try_wait());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        said::keep_log(&self.folder.path().join("stderr"));
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.folder.path().join("stderr"));
            let said = said.unwrap_or_default();
            let lines: Vec<_> = said.lines().rev().take(30).collect();
            eprintln!("--- the last that {} said:", self.base);
            for line in lines.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

fn spawn(port: u16, url: &str, settings: &[(&'static str, String)], folder: &TempDir) -> Child {
    said::note_password(url);
    let stderr = File::options().create(true).append(true).open(folder.path().join("stderr"));
    audit_log()
        .arg("serve")
        .env("AUDIT_LISTEN", format!("127.0.0.1:{port}"))
        .env("AUDIT_DATABASE_URL", url)
        .env("AUDIT_GATEWAY_SECRET", SECRET)
        .env("AUDIT_LOG_LEVEL", "info,api::request_log=off")
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.unwrap())
        .spawn()
        .unwrap()
}

/// The program, without the settings of whoever runs the tests, and with as few files as some
/// systems give to begin with.
fn audit_log() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 256 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_audit-log")]);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AUDIT_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Brings a database's schema up to date, as an operator does.
pub(crate) fn migrate(url: &str) {
    migrate_with(url, &[]);
}

/// The same with more settings, like where the index is, whose template is made.
pub(crate) fn migrate_with(url: &str, settings: &[(&'static str, &str)]) {
    let done = audit_log()
        .args(["migrate", "--profile", "native"])
        .env("AUDIT_DATABASE_URL", url)
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| rand::random_range(PORTS)).take(100);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
