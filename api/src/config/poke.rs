//! Settings of `audit-log poke`.

use clap::Args;

use super::{DatabaseArgs, QueueArgs, SearchArgs};

/// What `poke --help` ends with.
pub(super) const POKE_HELP: &str = "\
Example:
  audit-log poke
  audit-log poke --json | jq '.checks[] | select(.status == \"fault\")'

It takes the settings of `serve` and changes nothing. A line has ok, off (not configured), unknown (we may
not look), warning or FAULT, how long the answer took, what is wrong, and what is there.
Exit codes: 0 no fault, 1 a fault, 2 wrong settings.";

/// Settings of `audit-log poke`.
#[derive(Debug, Args)]
pub struct PokeArgs {
    /// Where the log is kept.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The way to the search index.
    #[command(flatten)]
    pub queue: QueueArgs,
    /// The search index.
    #[command(flatten)]
    pub search: SearchArgs,
    /// Seconds that an entry may take into the index before it counts as missing
    #[arg(long, default_value_t = 5, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub wait_s: u64,
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}
