//! Who has had the processors: the service, PostgreSQL, the load, or somebody else.
//!
//! From `/proc`; where that is missing, or PostgreSQL is on another machine, nothing is said.

use std::fs;
use std::time::{Duration, Instant};

/// What `/proc` counts in, in nanoseconds: a hundredth of a second on every Linux.
const TICK: u64 = 10_000_000;

/// Whose time is counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meter {
    /// The service or its rival.
    pub(crate) server: Option<u32>,
    /// The load's own process; with the programs that it has waited for.
    pub(crate) load: Option<u32>,
    /// The parent of all of PostgreSQL's processes.
    pub(crate) postmaster: Option<u32>,
    /// OpenSearch.
    pub(crate) search: Option<u32>,
    /// The emulator of SQS; with the functions that it runs.
    pub(crate) queue: Option<u32>,
}

/// Nanoseconds since each began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    server: u64,
    postgres: u64,
    load: u64,
    search: u64,
    queue: u64,
    busy: u64,
    all: u64,
}

/// Parts of all processors together, each from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shares {
    pub(crate) server: f64,
    pub(crate) postgres: f64,
    pub(crate) load: f64,
    pub(crate) search: f64,
    pub(crate) queue: f64,
    pub(crate) others: f64,
    /// Nobody: the rest waited, for the disk most of the time.
    pub(crate) idle: f64,
}

impl Meter {
    /// Off this thread: there are hundreds of files to read.
    pub(crate) async fn read(self) -> Option<Times> {
        tokio::task::spawn_blocking(move || self.read_now()).await.ok().flatten()
    }

    fn read_now(self) -> Option<Times> {
        let (busy, all) = machine()?;
        let own = |pid: Option<u32>| pid.and_then(Process::read).map_or(0, |process| process.own);
        let postgres = self.postmaster.map_or(0, with_children);
        let load = self.load.and_then(Process::read).map_or(0, |load| load.own + load.ended);
        let queue = self.queue.map_or(0, with_functions);
        let (server, search) = (own(self.server), own(self.search));
        Some(Times { server, postgres, load, search, queue, busy, all })
    }
}

/// Does something once, with the time that it took and who had the processors meanwhile.
pub(crate) async fn timed<T>(
    meter: Meter,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Duration, Option<Shares>)> {
    let before = meter.read().await;
    let begun = Instant::now();
    let done = work.await?;
    let elapsed = begun.elapsed();
    let after = meter.read().await;
    Ok((done, elapsed, before.zip(after).map(|(before, after)| before.until(after))))
}

impl Times {
    pub(crate) fn until(self, later: Self) -> Shares {
        let all = later.all.saturating_sub(self.all).max(1) as f64;
        let part = |before: u64, after: u64| after.saturating_sub(before) as f64 / all;
        let server = part(self.server, later.server);
        let postgres = part(self.postgres, later.postgres);
        let load = part(self.load, later.load);
        let search = part(self.search, later.search);
        let queue = part(self.queue, later.queue);
        let busy = part(self.busy, later.busy);
        let others = (busy - server - postgres - load - search - queue).max(0.0);
        Shares { server, postgres, load, search, queue, others, idle: (1.0 - busy).max(0.0) }
    }
}

/// The process that started a backend, if that is one of this machine.
pub(crate) fn postmaster_of(backend: u32) -> Option<u32> {
    let name = fs::read_to_string(format!("/proc/{backend}/comm")).ok()?;
    (name.trim_end() == "postgres").then(|| Process::read(backend))?.map(|backend| backend.parent)
}

/// The most memory that a process had since it began, or since [`forget_peak`], in bytes.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    of_status(pid, "VmHWM:")
}

/// The memory that a process has, in bytes.
pub(crate) fn memory(pid: u32) -> Option<u64> {
    of_status(pid, "VmRSS:")
}

fn of_status(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// The same of the processes that one has started, the largest of them.
pub(crate) fn peak_memory_of_children(parent: u32) -> Option<u64> {
    children(parent).filter_map(|(pid, _)| peak_memory(pid)).max()
}

/// From now on, the peak is counted anew.
pub(crate) fn forget_peak(pid: u32) -> std::io::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

struct Process {
    parent: u32,
    /// Its own time.
    own: u64,
    /// That of children that have ended.
    ended: u64,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before may hold anything; from the state on, proc(5) counts from 3.
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<_> = fields.split(' ').collect();
        let time = |field: usize| Some(TICK * fields.get(field - 3)?.parse::<u64>().ok()?);
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: time(14)? + time(15)?,
            ended: time(16)? + time(17)?,
        })
    }
}

fn with_children(postmaster: u32) -> u64 {
    let Some(parent) = Process::read(postmaster) else { return 0 };
    let living =
        children(postmaster).map(|(pid, child)| time_on_processor(pid).unwrap_or(child.own));
    parent.own + parent.ended + living.sum::<u64>()
}

/// The same of processes with many threads, whose time only `stat` has as a whole.
fn with_functions(emulator: u32) -> u64 {
    let Some(parent) = Process::read(emulator) else { return 0 };
    parent.own + parent.ended + children(emulator).map(|(_, child)| child.own).sum::<u64>()
}

fn children(parent: u32) -> impl Iterator<Item = (u32, Process)> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(move |pid| {
        Some((pid, Process::read(pid).filter(|process| process.parent == parent)?))
    })
}

/// Of a process with a single thread, to the nanosecond: hundreds of backends, each rounded to
/// a tick, would hide most of their work.
fn time_on_processor(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    stat.split(' ').next()?.parse().ok()
}

/// Time of all processors: busy, and in all.
fn machine() -> Option<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // user, nice, system, idle, iowait, irq, softirq, steal; what follows is in user already.
    let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|n| n.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    let busy = all - ticks.get(3)? - ticks.get(4)?;
    Some((TICK * busy, TICK * all))
}
