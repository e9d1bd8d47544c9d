//! The command line, and the only place that reads the environment.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

/// Measures the audit log service against what it could be at best.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    max_term_width = 100,
    after_help = "\
Exit codes: 0 every goal met, 1 below a goal, 2 an error.

`make bench` builds for release, starts a PostgreSQL and runs `bench write` on it; `make bench-read`
runs `bench read` and `bench export-slow`; `make bench-search` starts OpenSearch, SQS and Lambda too,
for `bench search` and `bench search-outage`; `make bench-stream` runs `bench stream`,
`make bench-overload` runs `bench overload`."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure writing, in interleaved rounds, and compare with the goals
    Write(WriteArgs),
    /// Measure reading from a large log, in interleaved rounds, and compare with the goals
    Read(ReadArgs),
    /// Measure what an export to a slow reader costs everybody else
    ExportSlow(ExportSlowArgs),
    /// Measure the way to the search index and searches in it, and compare with the goals
    Search(SearchArgs),
    /// Measure how entries reach those who watch, and what watching costs
    Stream(StreamArgs),
    /// Measure writes and searches while OpenSearch is away, and how the index catches up
    SearchOutage(SearchOutageArgs),
    /// Measure what is done, and what becomes of others, while too much is asked for
    Overload(OverloadArgs),
    /// Measure what an entry takes on disk; one connection is enough
    Size(SizeArgs),
    /// Rival (a): all that the service does, but storing
    #[command(hide = true)]
    ServeNull(DatabaseArgs),
    /// Rival (b): an INSERT a request
    #[command(hide = true)]
    ServeInsert(DatabaseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// A database to fill, as its owner: it is migrated and gets tenants of its own
    #[arg(long, env = "AUDIT_BENCH_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: SecretString,
}

/// Where the programs are that run beside this one.
#[derive(Debug, Args)]
pub(crate) struct ProgramArgs {
    /// The release build of `audit-log` [default: the one beside this program]
    #[arg(long, env = "AUDIT_BENCH_BIN", value_name = "FILE")]
    bin: Option<PathBuf>,
    /// Folder with `pgbench` and `psql` [default: that of `pg_config`, else the path]
    #[arg(long, env = "AUDIT_TEST_PG_BIN", value_name = "FOLDER")]
    pub(crate) pg_bin: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) programs: ProgramArgs,
    /// Seconds that each subject is measured in a round
    #[arg(long, default_value_t = 4, value_name = "S",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds that medians are taken of
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Only subjects with one of these in their name, like `256`, `bulk` or `sustained`
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// One round of one second each: shows that everything runs, says nothing about speed
    #[arg(long)]
    pub(crate) quick: bool,
}

/// How large the log is that is read.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Entries of the log that is read; loaded once, used again when it is there
    #[arg(long, default_value_t = 5_000_000, value_name = "N",
          value_parser = clap::value_parser!(i64).range(100_000..=100_000_000))]
    pub(crate) entries: i64,
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) programs: ProgramArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Rounds that medians are taken of
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Only subjects with one of these in their name, like `page`, `export-csv` or `stats`
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// One round: shows that everything runs, says little about speed
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportSlowArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) programs: ProgramArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Seconds that the export is read in all, half of them for each kind of other load
    #[arg(long, default_value_t = 60, value_name = "S",
          value_parser = clap::value_parser!(u64).range(8..=3_600))]
    pub(crate) seconds: u64,
    /// Read all 2 million entries, however long that takes
    #[arg(long)]
    pub(crate) full: bool,
}

/// Where the parts run that hold the search index and bring entries there.
#[derive(Debug, Clone, Args)]
pub(crate) struct PartsArgs {
    /// Folder of an OpenSearch that `dev/opensearch.sh` has started
    #[arg(long, env = "AUDIT_BENCH_OPENSEARCH", value_name = "FOLDER")]
    pub(crate) opensearch: PathBuf,
    /// Folder of an emulator that `dev/emulator.sh` has started
    #[arg(long, env = "AUDIT_BENCH_EMULATOR", value_name = "FOLDER")]
    pub(crate) emulator: PathBuf,
    /// The release build of the Lambda, as a zip that `dev/lambda.sh` has made
    #[arg(long, env = "AUDIT_BENCH_LAMBDA", value_name = "FILE")]
    pub(crate) lambda: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) programs: ProgramArgs,
    #[command(flatten)]
    pub(crate) parts: PartsArgs,
    /// Entries that are searched, of 200 tenants; loaded once, used again when they are there
    #[arg(long, default_value_t = 1_000_000, value_name = "N",
          value_parser = clap::value_parser!(i64).range(10_000..=20_000_000))]
    pub(crate) entries: i64,
    /// Rounds that medians are taken of
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Seconds that entries are recorded where that is measured, or is gone beside
    #[arg(long, default_value_t = 30, value_name = "S",
          value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// Only some of `cold`, `index`, `search`, `fresh`, `drain`
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// One round, and entries for 5 s: shows that everything runs, says little about speed
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StreamArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) programs: ProgramArgs,
    /// Seconds that each subject is measured in a round
    #[arg(long, default_value_t = 10, value_name = "S",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds that medians are taken of
    #[arg(long, default_value_t = 5, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Entries a second where the rate is fixed
    #[arg(long, default_value_t = 1_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub(crate) rate: u32,
    /// Subscribers for whom nothing happens; each takes a file descriptor here and in the service
    #[arg(long, default_value_t = 5_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=8_000))]
    idle: u32,
    /// Only some of `live`, `ingest`, `replicas`, `idle`
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// One round of 2 s, and 200 idle: shows that everything runs, says nothing about speed
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OverloadArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) programs: ProgramArgs,
    /// Seconds that each subject is measured in a round
    #[arg(long, default_value_t = 10, value_name = "S",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds that medians are taken of
    #[arg(long, default_value_t = 3, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Only some of `overload`, `noise`, `silence`
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// One round of 2 s: shows that everything runs, says nothing about speed
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SearchOutageArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) programs: ProgramArgs,
    #[command(flatten)]
    pub(crate) parts: PartsArgs,
    /// Seconds that OpenSearch is away, and that is measured before and after
    #[arg(long, default_value_t = 60, value_name = "S",
          value_parser = clap::value_parser!(u64).range(5..=3_600))]
    pub(crate) seconds: u64,
    /// Entries a second that come in
    #[arg(long, default_value_t = 3_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub(crate) rate: u32,
}

#[derive(Debug, Args)]
pub(crate) struct SizeArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Entries to write, each unlike the others
    #[arg(long, default_value_t = 100_000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub(crate) entries: u64,
}

impl WriteArgs {
    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    /// How long a subject is measured in a round.
    pub(crate) fn measured(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { self.seconds })
    }

    /// How long the load that must be sustained lasts.
    pub(crate) fn sustained(&self) -> Duration {
        Duration::from_secs(if self.quick { 3 } else { 60 })
    }
}

impl ReadArgs {
    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }
}

impl SearchArgs {
    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    /// How long entries are recorded.
    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_secs(if self.quick { 5 } else { self.seconds })
    }

    /// Whether `--only` asks for it; nothing asked is everything.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

impl OverloadArgs {
    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    /// How long a subject is measured in a round.
    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { self.seconds })
    }

    /// Whether `--only` asks for it; nothing asked is everything.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

impl StreamArgs {
    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    /// How long a subject is measured in a round.
    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { self.seconds })
    }

    /// How many watch while nothing happens.
    pub(crate) fn idle(&self) -> usize {
        if self.quick { 200 } else { self.idle as usize }
    }

    /// Whether `--only` asks for it; nothing asked is everything.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

impl ProgramArgs {
    /// The service under test.
    pub(crate) fn service(&self) -> anyhow::Result<PathBuf> {
        let file = match &self.bin {
            Some(file) => file.clone(),
            None => std::env::current_exe()?.with_file_name("audit-log"),
        };
        anyhow::ensure!(
            file.is_file(),
            "there is no {}: build it with `cargo build --release -p api`, or set AUDIT_BENCH_BIN",
            file.display()
        );
        Ok(file)
    }
}
