//! Settings of `audit-log tail`.

use std::io::{IsTerminal as _, stdout};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ClientArgs;

/// What `tail --help` ends with.
pub(super) const TAIL_HELP: &str = "\
Example:
  audit-log tail
  audit-log tail 'severity:ERROR refund' --filter user_id=alice --include-self
  audit-log tail --json --cursor-file follower.cursor | consumer

A broken connection is taken up again where it broke, without a gap or a repeat. With --cursor-file
another run goes on where this one ended; after a kill -9, entries of the last second may come
again. A token from AUDIT_TOKEN_FILE, and headers from a file, are read anew for each connection.
Exit codes: 0 ended by Ctrl-C, --max, or the reader of a pipe, 1 failed, 2 wrong settings, 3 the
service refuses, 4 the service is gone and did not come back.";

/// Settings of `audit-log tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// The service.
    #[command(flatten)]
    pub service: ClientArgs,
    /// Only entries that this finds, in the language of searches
    #[arg(value_name = "QUERY")]
    pub q: Option<String>,
    /// Only entries like this, as `action=DELETE`; again with one name: any of the values
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    pub filters: Vec<String>,
    /// The service's own entries, too, such as reads and exports
    #[arg(long)]
    pub include_self: bool,
    /// Begin after this place: a cursor of a stream, or the `live_cursor` of a list
    #[arg(long, conflicts_with = "cursor_file", value_name = "CURSOR")]
    pub cursor: Option<String>,
    /// Begin after the place in this file, if it is there, and keep in it how far this has come
    #[arg(long, value_name = "FILE")]
    pub cursor_file: Option<PathBuf>,
    /// Begin with what is recorded from now on (the default), whatever the file says
    #[arg(long, conflicts_with = "cursor")]
    pub since_now: bool,
    /// A line of JSON an entry, as the service sent it
    #[arg(long)]
    pub json: bool,
    /// Colours: `auto` is on a terminal, unless `NO_COLOR` is set
    #[arg(long, default_value = "auto")]
    pub color: ColorChoice,
    /// End after so many entries
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max: Option<u64>,
    /// Seconds to go on trying while the service is away, once it has been reached
    #[arg(long, default_value_t = 600, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience_s: u64,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// Where somebody looks at a terminal that has them and does not mind.
    Auto,
    /// Into files and pipes, too.
    Always,
    /// Never.
    Never,
}

impl TailArgs {
    /// Whether to use colours on standard output.
    pub fn colors(&self) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => stdout().is_terminal() && !colors_unwanted(),
        }
    }
}

/// As <https://no-color.org> has it, and on terminals that say they can do nothing.
fn colors_unwanted() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}
