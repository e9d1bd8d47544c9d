//! `audit-log migrate`: brings the database to this version's schema, and the search index to its
//! template.

use std::io::Write as _;

use anyhow::Context as _;
use sqlx::Connection as _;

use super::index_parts::NOT_OURS;
use crate::config::{MigrateArgs, WrongSettings};
use crate::store::{installation, log_in, migrations};

/// Runs the command.
pub async fn run(args: &MigrateArgs) -> anyhow::Result<()> {
    let index = args.search.index().await.context(WrongSettings)?;
    let url = args.database.url().context(WrongSettings)?;
    let url = url.context("set AUDIT_DATABASE_URL to the owner's PostgreSQL URL");
    let mut connection = log_in(&url.context(WrongSettings)?).await?;
    let migrated = migrations::migrate(&mut connection, args.profile, args.partition_days).await?;
    let installation = installation::id(&mut connection).await?;
    connection.close().await?;
    writeln!(
        std::io::stdout(),
        "schema up to date: profile {}, {} of {} migrations applied now, {} partitions made",
        migrated.profile.as_str(),
        migrated.applied,
        migrated.total,
        migrated.partitions,
    )?;
    if let Some(index) = index {
        let index = index.of_installation(&installation);
        if args.take_index {
            index.take_over().await.context(NOT_OURS)?;
        }
        index.set_up(args.shape.shape()).await.context(NOT_OURS)?;
        writeln!(std::io::stdout(), "search index set up: template {}", search::TEMPLATE)?;
    }
    Ok(())
}
