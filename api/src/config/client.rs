//! Settings of the commands that are clients of a service.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use secrecy::SecretString;

use super::secret_or_file;

/// What `emit-sample --help` ends with.
pub(super) const EMIT_SAMPLE_HELP: &str = "\
Example:
  audit-log emit-sample
  audit-log emit-sample 100000 --days 30 --seed 7
  audit-log emit-sample 5000 --rate 50 --header @gateway-headers.txt

The same seed makes the same entries, but for their times. What was sent is safe to send again:
each request has an idempotency key. Exit codes: 0 all recorded, 1 failed, 2 wrong settings.";

/// What `export --help` ends with.
pub(super) const EXPORT_HELP: &str = "\
Example:
  audit-log export > log.ndjson
  audit-log export --format csv --output log.csv --from 2026-01-01T00:00:00Z \\
      --filter action=DELETE --filter severity_min=WARNING
  audit-log export --filter 'q=refund -user_id:alice'
  audit-log export --verify log.ndjson

A broken connection is taken up again where it broke. FILE is written as FILE.part and gets its name
when it has been proven whole; after a kill, the same command goes on with FILE.part.
Exit codes: 0 whole, 1 failed before anything came, 2 wrong settings, 3 not whole.";

/// How to reach a service, and as whom.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// Where the service is
    #[arg(long, env = "AUDIT_URL", default_value = "http://127.0.0.1:8000", value_name = "URL")]
    pub url: String,
    /// Bearer token that proves who is calling
    #[arg(long, env = "AUDIT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<SecretString>,
    #[arg(long, env = "AUDIT_TOKEN_FILE", value_name = "FILE", hide = true)]
    token_file: Option<PathBuf>,
    /// A header to send, like `X-User-Id: alice`; @FILE sends each line of a file
    #[arg(long = "header", value_name = "NAME: VALUE|@FILE")]
    pub headers: Vec<SecretString>,
}

impl ClientArgs {
    /// The token, wherever it came from.
    pub fn token(&self) -> anyhow::Result<Option<SecretString>> {
        secret_or_file("AUDIT_TOKEN", self.token.as_ref(), self.token_file.as_ref())
    }
}

/// Settings of `audit-log emit-sample`.
#[derive(Debug, Args)]
pub struct EmitSampleArgs {
    /// How many entries
    #[arg(default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
    /// The service.
    #[command(flatten)]
    pub service: ClientArgs,
    /// Entries a second; without it, as fast as the service takes them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// What the entries are made from; without it, a random number that is printed
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Let them have happened in the last so many days, mostly in working hours; without it, now
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub days: Option<u16>,
    /// Seconds to go on trying while the service takes nothing, once it has been reached
    #[arg(long, default_value_t = 60, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience_s: u64,
}

/// Settings of `audit-log export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The service.
    #[command(flatten)]
    pub service: ClientArgs,
    /// A line of JSON an entry, a JSON array, or CSV
    #[arg(long, default_value = "ndjson")]
    pub format: ExportFormat,
    /// File to write; without it, standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace FILE if it exists
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Only entries like this, as `action=DELETE`; again with one name: any of the values
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    pub filters: Vec<String>,
    /// Only what happened then or later
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only what happened before
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// In CSV, leave cells alone that a spreadsheet would take for formulas
    #[arg(long)]
    pub raw: bool,
    /// No more entries than this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_entries: Option<u64>,
    /// Seconds to go on trying while nothing comes, once the service has been reached
    #[arg(long, default_value_t = 300, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience_s: u64,
    /// Only check that this NDJSON export is whole; asks no service
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["output", "filters", "from", "to", "raw", "max_entries"])]
    pub verify: Option<PathBuf>,
}

/// The forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A line an entry, and an end record.
    Ndjson,
    /// One array.
    Json,
    /// Comma-separated values, RFC 4180.
    Csv,
}

impl ExportFormat {
    /// Its name, as `format=` takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}
