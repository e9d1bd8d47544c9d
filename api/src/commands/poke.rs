//! `audit-log poke`: a line for each thing that the service depends on.

use std::io::{IsTerminal as _, Write as _};

use serde_json::json;

use crate::config::PokeArgs;
use crate::poke::{self, Status};

/// Runs the command; an error when something is not as it must be.
pub async fn run(args: &PokeArgs) -> anyhow::Result<()> {
    let checks = Box::pin(poke::look(args)).await?;
    let faults = checks.iter().filter(|check| check.status == Status::Fault).count();
    let mut out = std::io::stdout();
    if args.json {
        let report = json!({ "ok": faults == 0, "checks": checks });
        writeln!(out, "{report}")?;
    } else {
        let colours = out.is_terminal();
        out.write_all(poke::lines(&checks, colours).as_bytes())?;
    }
    anyhow::ensure!(faults == 0, "{faults} of {} checks found a fault", checks.len());
    Ok(())
}
