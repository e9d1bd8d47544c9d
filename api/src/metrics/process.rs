//! What the system says of this process, under the names that every exporter uses.

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Counter, Gauge};
use rustix::process::{Resource, getrlimit};

use super::made::{Known, Maker, float, signed};

/// The clock of `/proc`, wherever Linux runs.
const TICKS_PER_SECOND: f64 = 100.0;

/// See the module.
#[derive(Debug)]
pub(super) struct Process {
    resident: Known,
    open_files: Known,
    max_files: Known,
    threads: Known,
    cpu: Counter,
    /// What of the processor's time is counted already.
    counted: Mutex<f64>,
}

impl Process {
    pub(super) fn new(maker: &Maker) -> Self {
        let started: Gauge = maker.seconds(
            "process_start_time_seconds",
            "When the process began, in seconds since 1970.",
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        started.set(now.as_secs_f64());
        Self {
            resident: maker
                .known("process_resident_memory_bytes", "Memory that the process holds."),
            open_files: maker.known(
                "process_open_fds",
                "Files and sockets that are open. Near the limit: no more connections.",
            ),
            max_files: maker.known("process_max_fds", "How many files and sockets may be open."),
            threads: maker.known("process_threads", "Threads of the process."),
            cpu: maker.time("process_cpu_seconds_total", "Time of processors that was used."),
            counted: Mutex::default(),
        }
    }

    /// Looks at `/proc`; where there is none, nothing is told.
    pub(super) fn fill(&self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        self.resident.set(field(&status, "VmRSS:").map(|kib| kib * 1024.0));
        self.threads.set(field(&status, "Threads:"));
        let files = std::fs::read_dir("/proc/self/fd").ok();
        self.open_files.set(files.map(|files| float(signed(files.count()))));
        let limit = getrlimit(Resource::Nofile).current;
        self.max_files.set(limit.map(|limit| float(i64::try_from(limit).unwrap_or(i64::MAX))));
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let (Some(used), Ok(mut counted)) = (cpu_seconds(&stat), self.counted.lock()) {
            self.cpu.inc_by((used - *counted).max(0.0));
            *counted = used;
        }
    }
}

/// A number of `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// User's and system's time; the name before them may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let status = "Name:\taudit-log\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS:"), Some(2048.0));
        assert_eq!(field(status, "Threads:"), Some(7.0));
        assert_eq!(field(status, "VmHWM:"), None);
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 7 0 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(4.0));
    }
}
