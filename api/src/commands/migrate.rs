//! `audit-log migrate`: brings the database to this version's schema.

use std::io::Write as _;

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use crate::config::{MigrateArgs, WrongSettings};
use crate::store::{connect_options, migrations};

/// Runs the command.
pub async fn run(args: &MigrateArgs) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect_with(&options(args).context(WrongSettings)?)
        .await
        .context("cannot reach PostgreSQL at AUDIT_DATABASE_URL")?;
    let migrated = migrations::migrate(&mut connection, args.profile, args.partition_days).await?;
    connection.close().await?;
    writeln!(
        std::io::stdout(),
        "schema up to date: profile {}, {} of {} migrations applied now, {} partitions made",
        migrated.profile.as_str(),
        migrated.applied,
        migrated.total,
        migrated.partitions,
    )?;
    Ok(())
}

fn options(args: &MigrateArgs) -> anyhow::Result<PgConnectOptions> {
    let url =
        args.database.url()?.context("set AUDIT_DATABASE_URL to the owner's PostgreSQL URL")?;
    connect_options(&url)
}
