//! Processes that tests strike, known by their id.

use std::process::{Command, Stdio};

/// A process to send signals to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pid(pub(crate) u32);

impl Pid {
    /// Asks it to end.
    pub(crate) fn terminate(self) {
        self.signal("TERM");
    }

    /// Stops its time, until [`thaw`](Self::thaw).
    pub(crate) fn freeze(self) {
        self.signal("STOP");
    }

    pub(crate) fn thaw(self) {
        self.signal("CONT");
    }

    fn signal(self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.0.to_string()])
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(sent.success(), "SIG{name} did not reach process {}", self.0);
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
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.thaw();
    }
}
