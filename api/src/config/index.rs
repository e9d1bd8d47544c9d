//! Settings of what keeps the search index equal to the log, and of the commands that do so.

use clap::Args;
use domain::{TenantId, Timestamp};

use super::{DatabaseArgs, SearchArgs};

/// What `reindex --help` ends with.
pub(super) const REINDEX_HELP: &str = "\
Example:
  audit-log reindex
  audit-log reindex --from 2026-10-01 --to 2026-11-01
  audit-log reindex --tenant 00000000-0000-7000-8000-000000000001

Whole months of all tenants are built anew beside the old index, which serves searches until the new
one has everything: this is also how a new version of the template is taken. A part of a month, or one
tenant, is written over in place. Days are in UTC, of recorded_at. After a kill, the same command goes
on where it was. Exit codes: 0 rebuilt, 1 failed, 2 wrong settings.";

/// What `verify-index --help` ends with.
pub(super) const VERIFY_INDEX_HELP: &str = "\
Example:
  audit-log verify-index
  audit-log verify-index --repair --wait-s 60 --json

Holds every log against the index, id by id, and names what differs. An entry that was recorded a
moment ago and is not there yet is pending, not missing. Exit codes: 0 the index is the log, 1 failed,
2 wrong settings, 3 it differs, 4 it differed and was repaired.";

/// How the index is kept equal to the log.
#[derive(Debug, Clone, Copy, Args)]
pub struct RepairArgs {
    /// Seconds between two looks at logs that the index may not have caught up with
    #[arg(long, env = "AUDIT_REPAIR_PERIOD_S", default_value_t = 60, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub repair_period_s: u64,
    /// Seconds between two looks at all logs
    #[arg(long, env = "AUDIT_REPAIR_FULL_PERIOD_S", default_value_t = 3_600, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=43_200))]
    pub repair_full_period_s: u64,
}

/// Settings of `audit-log reindex`.
#[derive(Debug, Args)]
pub struct ReindexArgs {
    /// The log.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The index.
    #[command(flatten)]
    pub search: SearchArgs,
    /// Only this tenant's entries, in place
    #[arg(long, value_name = "UUID", value_parser = tenant)]
    pub tenant: Option<TenantId>,
    /// Only what was recorded on this day (UTC) or later, as 2026-11-01
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub from: Option<Timestamp>,
    /// Only what was recorded before this day (UTC)
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub to: Option<Timestamp>,
    /// Leave the old indices where they are, without an alias
    #[arg(long)]
    pub keep_old: bool,
}

/// Settings of `audit-log verify-index`.
#[derive(Debug, Args)]
pub struct VerifyIndexArgs {
    /// The log.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The index.
    #[command(flatten)]
    pub search: SearchArgs,
    /// Only this tenant's log
    #[arg(long, value_name = "UUID", value_parser = tenant)]
    pub tenant: Option<TenantId>,
    /// Write what is missing, delete what is foreign
    #[arg(long)]
    pub repair: bool,
    /// Seconds to wait for what is pending
    #[arg(long, default_value_t = 0, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub wait_s: u64,
    /// Seconds after which an entry that is not there is missing, no longer pending
    #[arg(long, default_value_t = 120, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub settling_s: u64,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

fn tenant(text: &str) -> Result<TenantId, domain::InvalidId> {
    TenantId::parse(text)
}

/// The beginning of a day.
fn day(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse(&format!("{text}T00:00:00Z")).map_err(|_| "write the day as 2026-11-01")
}
