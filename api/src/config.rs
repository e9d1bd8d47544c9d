//! Every setting: its flag, its environment variable, its default and what it means.
//!
//! The only module that reads the environment. `.env.example` lists the same settings in the
//! same order; a test compares the two.

mod client;
mod connections;
mod database;
mod environment;
mod fanout;
mod identity;
mod index;
mod index_shape;
mod poke;
mod stream;
mod tail;
mod traces;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use crate::rates::RateLimits;

pub use self::client::{ClientArgs, EmitSampleArgs, ExportArgs, ExportFormat};
pub use self::connections::ConnectionArgs;
pub use self::database::{DatabaseArgs, DatabaseUrl, DatabaseUrls, OwnerArgs};
pub use self::environment::{from_args_and_env, known_settings};
pub use self::fanout::{QueueArgs, SearchArgs, SearchAuth};
pub use self::identity::{AuthMode, IdentityArgs, JwtArgs};
pub use self::index::{ReindexArgs, RepairArgs, VerifyIndexArgs};
pub use self::index_shape::ShapeArgs;
pub use self::poke::PokeArgs;
pub use self::stream::StreamArgs;
pub use self::tail::{ColorChoice, TailArgs};
pub use self::traces::TraceArgs;

/// Records who did what to which thing: durably, in order, apart for each tenant.
#[derive(Debug, Parser)]
#[command(
    name = "audit-log",
    version,
    max_term_width = 100,
    after_help = "\
Example:
  export AUDIT_DATABASE_URL=postgres://owner@localhost/audit
  audit-log migrate && audit-log serve --auth dev

Every setting has a flag and an environment variable; the flag wins. A secret may also come
from a file named by the same variable with _FILE behind it."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to log.
    #[command(flatten, next_help_heading = "Logging")]
    pub logging: LoggingArgs,
}

/// The commands of `audit-log`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service
    #[command(after_help = "\
Example:
  AUDIT_DATABASE_URL=postgres://owner@localhost/audit audit-log serve --auth dev

Exit codes: 0 stopped on request, 1 could not start or failed, 2 wrong settings.")]
    Serve(Box<ServeArgs>),
    /// Make or update tables, roles and functions; safe to repeat
    #[command(after_help = "\
Example:
  AUDIT_DATABASE_URL=postgres://owner@localhost/audit audit-log migrate

Exit codes: 0 up to date, 1 failed, 2 wrong settings.")]
    Migrate(Box<MigrateArgs>),
    /// Mint a token for jwt mode, signed with a local key
    #[command(after_help = "\
Example:
  audit-log token --new-key keys.json
  AUDIT_JWT_JWKS=keys.json audit-log token --tenant 00000000-0000-7000-8000-000000000001 \\
      --user alice --role auditor

Prints the token alone, so that TOKEN=$(audit-log token …) works.
Exit codes: 0 done, 1 failed, 2 wrong settings.")]
    Token(Box<TokenArgs>),
    /// Record believable entries, to try the service or to fill it
    #[command(after_help = client::EMIT_SAMPLE_HELP)]
    EmitSample(Box<EmitSampleArgs>),
    /// Export a log, resume after a break, and prove that it is whole
    #[command(after_help = client::EXPORT_HELP)]
    Export(Box<ExportArgs>),
    /// Follow a log: each entry as soon as it is recorded
    #[command(after_help = tail::TAIL_HELP)]
    Tail(Box<TailArgs>),
    /// Rebuild the search index from the log, while searches go on
    #[command(after_help = index::REINDEX_HELP)]
    Reindex(Box<ReindexArgs>),
    /// Hold the search index against the log, and mend it if asked
    #[command(after_help = index::VERIFY_INDEX_HELP)]
    VerifyIndex(Box<VerifyIndexArgs>),
    /// Look at everything that a service depends on: a line for each, non-zero on a fault
    #[command(after_help = poke::POKE_HELP)]
    Poke(Box<PokeArgs>),
}

/// How to log.
#[derive(Debug, Args)]
pub struct LoggingArgs {
    /// `json` for machines, `text` for people; `auto` is text on a terminal
    #[arg(long, env = "AUDIT_LOG_FORMAT", default_value = "auto", global = true)]
    pub log_format: LogFormat,
    /// Which events to log, like `warn` or `info,api=debug`
    #[arg(long, env = "AUDIT_LOG_LEVEL", default_value = "info,sqlx=warn", global = true)]
    pub log_level: String,
}

/// The shape of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Settings of `audit-log serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to serve on
    #[arg(long, env = "AUDIT_LISTEN", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Address for operators alone, with `/metrics` for Prometheus; unset: no metrics
    #[arg(long, env = "AUDIT_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
    /// Who connects.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// Where spans are sent to.
    #[command(flatten)]
    pub traces: TraceArgs,
    /// Where the log is kept.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Who is calling.
    #[command(flatten)]
    pub identity: IdentityArgs,
    /// The way to the search index.
    #[command(flatten)]
    pub queue: QueueArgs,
    /// The search index.
    #[command(flatten)]
    pub search: SearchArgs,
    /// How the index is kept equal to the log.
    #[command(flatten)]
    pub repair: RepairArgs,
    /// Live streams.
    #[command(flatten)]
    pub stream: StreamArgs,
    /// Make a tenant on its first request (for development)
    #[arg(long, env = "AUDIT_TENANT_AUTOCREATE", default_value = "false",
          num_args = 0..=1, default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub tenant_autocreate: bool,
    /// No tenant's entries expire earlier than this, whatever anybody sets
    #[arg(long, env = "AUDIT_RETENTION_MIN_DAYS", default_value_t = 7, value_name = "DAYS",
          value_parser = clap::value_parser!(u16).range(1..=36_500))]
    pub retention_min_days: u16,
    /// Hours before a shorter retention of a tenant counts
    #[arg(long, env = "AUDIT_RETENTION_GRACE_H", default_value_t = 24, value_name = "HOURS",
          value_parser = clap::value_parser!(u16).range(0..=8_760))]
    pub retention_grace_h: u16,
    /// Days that one partition (or chunk) of the log holds
    #[arg(long, env = "AUDIT_PARTITION_DAYS", default_value_t = 7, value_name = "DAYS",
          value_parser = clap::value_parser!(u16).range(1..=366))]
    pub partition_days: u16,
    /// Memory that requests may take in all, in MiB; beyond it they get 503
    #[arg(long, env = "AUDIT_ADMISSION_MIB", default_value_t = 256, value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(96..=65_536))]
    pub admission_mib: u32,
    /// What each tenant may ask of this replica, like `write=500/s,bulk=5000/s:20000,export=6/h`
    ///
    /// A number a second, minute or hour, and with a colon how many at once. Classes: write, bulk
    /// (which counts entries), read, search (and statistics), export, stream. Unset: no limits.
    #[arg(long, env = "AUDIT_RATE_LIMITS", default_value = "", hide_default_value = true,
          value_name = "LIMITS", value_parser = RateLimits::parse)]
    pub rate_limits: RateLimits,
    /// Connections for reading
    #[arg(long, env = "AUDIT_READER_CONNECTIONS", default_value_t = 8, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub reader_connections: u32,
    /// Seconds that a stop waits for requests under way
    #[arg(long, env = "AUDIT_STOP_TIMEOUT_S", default_value_t = 25, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub stop_timeout_s: u64,
    /// Serve although this PostgreSQL may lose what it has committed
    #[arg(long, env = "AUDIT_ALLOW_UNSAFE_POSTGRES", default_value = "false",
          num_args = 0..=1, default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub allow_unsafe_postgres: bool,
}

/// Settings of `audit-log migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The owner's database.
    #[command(flatten)]
    pub database: OwnerArgs,
    /// What keeps the log: `auto` takes TimescaleDB where the server offers it
    #[arg(long, default_value = "auto")]
    pub profile: ProfileChoice,
    /// Days that one partition (or chunk) of the log holds
    #[arg(long, env = "AUDIT_PARTITION_DAYS", default_value_t = 7, value_name = "DAYS",
          value_parser = clap::value_parser!(u16).range(1..=366))]
    pub partition_days: u16,
    /// The search index, whose template is made or renewed.
    #[command(flatten)]
    pub search: SearchArgs,
    /// What the template says.
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// Take the indices of this prefix from the installation that they belong to
    #[arg(long)]
    pub take_index: bool,
}

/// What `migrate` was asked to build on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileChoice {
    /// TimescaleDB where the server offers it, else native partitions.
    Auto,
    /// A TimescaleDB hypertable.
    Timescale,
    /// Native range partitions.
    Native,
}

/// Settings of `audit-log token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Whose keys and which claims.
    #[command(flatten)]
    pub jwt: JwtArgs,
    /// Write a new random HS256 key set to this file, and stop
    #[arg(long, value_name = "FILE")]
    pub new_key: Option<PathBuf>,
    /// Tenant's id (an operator needs none)
    #[arg(long, value_name = "UUID")]
    pub tenant: Option<String>,
    /// User's id
    #[arg(long, default_value = "dev")]
    pub user: String,
    /// User's name
    #[arg(long)]
    pub user_name: Option<String>,
    /// `admin`, `auditor`, `user` or `operator`
    #[arg(long, default_value = "admin")]
    pub role: String,
    /// Seconds until it expires
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS")]
    pub ttl_s: u64,
}

/// Put around an error that only another setting can mend; the process ends with code 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("wrong settings")]
pub struct WrongSettings;

/// The value itself, or what the file holds without the line end; both at once is a mistake.
fn secret_or_file(
    name: &str,
    value: Option<&SecretString>,
    file: Option<&PathBuf>,
) -> anyhow::Result<Option<SecretString>> {
    let value = value.filter(|value| !value.expose_secret().is_empty());
    match (value, file) {
        (Some(_), Some(_)) => bail!("{name} and {name}_FILE are both set: unset one of them"),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("{name}_FILE: cannot read {}", file.display()))?;
            Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned())))
        }
        (value, None) => Ok(value.cloned()),
    }
}

impl ServeArgs {
    /// Dev mode trusts everybody, so nobody else may reach it unless somebody insists.
    pub fn check_dev_bind(&self) -> anyhow::Result<()> {
        let loopback = match self.listen.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        if self.identity.auth == AuthMode::Dev && !loopback && !self.identity.dev_i_know {
            bail!(
                "AUDIT_AUTH=dev makes every caller admin, and {} can be reached by others: \
                 listen on 127.0.0.1, or set AUDIT_DEV_I_KNOW=1",
                self.listen
            );
        }
        Ok(())
    }
}
