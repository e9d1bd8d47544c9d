//! Processes that tests strike, known by their id.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::eventually;

/// How soon a process is gone that was killed.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// A process to send signals to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pid(pub(crate) u32);

impl Pid {
    /// Asks it to end.
    pub(crate) fn terminate(self) {
        self.signal("TERM");
    }

    /// Ends it at once.
    pub(crate) fn kill(self) {
        self.signal("KILL");
    }

    /// Stops its time, until [`thaw`](Self::thaw).
    pub(crate) fn freeze(self) {
        self.signal("STOP");
    }

    /// One that has ended by now is none the worse.
    pub(crate) fn thaw(self) {
        self.send("CONT");
    }

    /// `kill -9`, of one that may have ended by itself.
    pub(crate) fn kill_if_there(self) {
        self.send("KILL");
    }

    /// `kill -9`, and waits until it is gone, so that its port is free.
    pub(crate) async fn end(self) {
        self.kill_if_there();
        eventually("what was killed is gone", GONE_WITHIN, async || !self.runs()).await;
    }

    /// Whether it has not ended, though nobody may have asked how it did.
    ///
    /// All its threads are looked at: while one is still ending, the port is taken.
    pub(crate) fn runs(self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.0)) else { return false };
        threads.filter_map(Result::ok).any(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            !(state.is_empty() || state.starts_with(['Z', 'X']))
        })
    }

    fn signal(self, name: &str) {
        assert!(self.send(name), "SIG{name} did not reach process {}", self.0);
    }

    fn send(self, name: &str) -> bool {
        Command::new("kill")
            .args(["-s", name, &self.0.to_string()])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }

    /// How long it has worked.
    pub(crate) fn cpu(self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let ticks = rest.split(' ').skip(11).take(2).map(|text| text.parse::<u64>().unwrap());
        // A hundredth of a second each, wherever Linux runs.
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// How many files it may have open: what it has asked for, and what it could ask for.
    pub(crate) fn files_max(self) -> (String, String) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.0)).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let mut numbers = line.split_whitespace().map(ToOwned::to_owned);
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    /// A number of bytes from `/proc/…/status`, like `VmHWM`, the most memory it ever had.
    pub(crate) fn memory(self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib << 10
    }
}

/// A process that is to go on, whatever becomes of the test.
#[derive(Debug)]
pub(crate) struct Frozen(Pid);

impl Frozen {
    pub(crate) fn new(pid: Pid) -> Self {
        pid.freeze();
        Self(pid)
    }

    /// Of one that may have ended by itself.
    pub(crate) fn if_there(pid: Pid) -> Self {
        pid.send("STOP");
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.thaw();
    }
}
