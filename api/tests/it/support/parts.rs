//! OpenSearch and an emulator of SQS and Lambda of one test's own, to be struck.
//!
//! They are started by the scripts that `make test` uses. They end with the test, also when it is
//! killed: each has a keeper, a process that waits for its end of a pipe to close.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;
use tokio::process::Command;

use super::process::Pid;
use super::said;

/// The checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Runs a program to its end and gives what it printed; fails the test when it fails.
pub(crate) async fn run(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {out}{err}");
    out.trim().to_owned()
}

/// One of the programs that `dev/` starts in a folder.
#[derive(Debug)]
struct Part {
    script: PathBuf,
    place: PathBuf,
    keeper: Child,
    _folder: TempDir,
}

impl Part {
    async fn start(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = root().join("dev").join(script);
        // As the system names it: it is looked for in what processes are called by.
        let place = folder.path().canonicalize().unwrap().join("part");
        let keeper = std::process::Command::new("sh")
            .args(["-c", r#"read -r _; exec "$0" drop "$1""#])
            .args([&script, &place])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            // An interrupt from the terminal must not reach it.
            .process_group(0)
            .spawn()
            .unwrap();
        let part = Self { script, place, keeper, _folder: folder };
        part.start_again().await;
        part
    }

    /// Starts it where it was, after it ended; once more if the machine was too busy.
    async fn start_again(&self) {
        let Call(mut start) = self.call("start").arg("0");
        let Call(mut once_more) = self.call("start").arg("0");
        if !start.stdin(Stdio::null()).output().await.unwrap().status.success() {
            run(&mut once_more).await;
        }
    }

    async fn pid(&self) -> Pid {
        Pid(self.call("pid").ok().await.parse().unwrap())
    }

    async fn url(&self) -> String {
        self.call("url").ok().await
    }

    /// `dev/SCRIPT COMMAND FOLDER`
    fn call(&self, command: &str) -> Call {
        let mut call = Command::new(&self.script);
        call.arg(command).arg(&self.place);
        Call(call)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        said::keep_functions_log(&self.place.join("server.log"));
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.place.join("server.log")).unwrap_or_default();
            let lines: Vec<_> = said.lines().rev().take(30).collect();
            eprintln!("--- the last that {} said:", self.script.display());
            lines.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

struct Call(Command);

impl Call {
    fn arg(mut self, word: &str) -> Self {
        self.0.arg(word);
        self
    }

    async fn ok(mut self) -> String {
        run(&mut self.0).await
    }
}

/// What all seeds of a test use, one after the other.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) opensearch: OpenSearch,
    pub(crate) emulator: Emulator,
}

impl Parts {
    pub(crate) async fn start() -> Self {
        let (opensearch, emulator) = tokio::join!(OpenSearch::start(), Emulator::start());
        Self { opensearch, emulator }
    }

    /// Forgets the queues and functions of the seed before.
    pub(crate) async fn clear(&self) {
        self.emulator.pid().await.end().await;
        self.emulator.start_again().await;
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct OpenSearch {
    part: Part,
    pub(crate) url: String,
}

impl OpenSearch {
    pub(crate) async fn start() -> Self {
        let part = Part::start("opensearch.sh").await;
        let url = part.url().await;
        Self { part, url }
    }

    pub(crate) async fn pid(&self) -> Pid {
        self.part.pid().await
    }

    /// Starts it on its data, after it was killed.
    pub(crate) async fn start_again(&self) {
        self.part.start_again().await;
        assert_eq!(self.part.url().await, self.url, "it came back elsewhere");
    }
}

/// See the module. Its queues are in its memory.
#[derive(Debug)]
pub(crate) struct Emulator {
    part: Part,
    pub(crate) url: String,
}

impl Emulator {
    pub(crate) async fn start() -> Self {
        let part = Part::start("emulator.sh").await;
        let url = part.url().await;
        Self { part, url }
    }

    pub(crate) async fn pid(&self) -> Pid {
        self.part.pid().await
    }

    /// Starts it empty, after it was killed.
    pub(crate) async fn start_again(&self) {
        self.part.start_again().await;
        assert_eq!(self.part.url().await, self.url, "it came back elsewhere");
    }

    /// The processes of its functions: what runs from where it unpacks them.
    pub(crate) fn workers(&self) -> Vec<Pid> {
        let code = self.part.place.join("tmp");
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let runs_code = |pid: &u32| {
            std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(&code))
        };
        processes
            .filter_map(|process| process.file_name().to_str()?.parse().ok())
            .filter(runs_code)
            .map(Pid)
            .collect()
    }
}
