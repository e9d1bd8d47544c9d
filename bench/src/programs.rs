//! Programs of PostgreSQL's that the service is compared with.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::ensure;
use tokio::process::Command;

/// Finds one: in a folder that was named, in that of `pg_config`, else in the path.
pub(crate) async fn find(name: &str, pg_bin: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = match pg_bin {
        Some(folder) => Some(folder.to_owned()),
        None => match Command::new("pg_config").arg("--bindir").output().await {
            Ok(Output { stdout, .. }) => Some(String::from_utf8(stdout)?.trim_end().into()),
            Err(_) => None,
        },
    };
    let beside = folder.map(|folder| folder.join(name)).filter(|file| file.is_file());
    let program = beside.unwrap_or_else(|| name.into());
    let found = Command::new(&program).arg("--version").output().await;
    ensure!(
        found.is_ok_and(|output| output.status.success()),
        "{name} was not found: install it with PostgreSQL, set AUDIT_TEST_PG_BIN to its folder, \
         or choose other subjects with --only"
    );
    Ok(program)
}
