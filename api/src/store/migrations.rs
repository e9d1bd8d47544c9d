//! Brings a database to the schema of this version. Run as the owner of the database.

use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::partitions;
use crate::config::ProfileChoice;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// What makes the log a hypertable and keeps it one; each may run any number of times.
const TIMESCALE: [(&str, &str); 3] = [
    ("01_hypertable.sql", include_str!("../../../timescale/01_hypertable.sql")),
    ("02_compression.sql", include_str!("../../../timescale/02_compression.sql")),
    ("03_expiry.sql", include_str!("../../../timescale/03_expiry.sql")),
];

/// What keeps the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// A TimescaleDB hypertable.
    Timescale,
    /// Native range partitions.
    Native,
}

impl Profile {
    /// Its name in `audit_meta`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timescale => "timescale",
            Self::Native => "native",
        }
    }

    /// The profile of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Timescale, Self::Native].into_iter().find(|profile| profile.as_str() == text)
    }
}

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// What keeps the log.
    pub profile: Profile,
    /// Migrations applied now.
    pub applied: usize,
    /// Migrations in all.
    pub total: usize,
    /// Partitions made now.
    pub partitions: usize,
}

/// Applies what is missing; running it again does no harm. Of several at once, each waits for the
/// one before, and tells what it did itself.
pub async fn migrate(
    connection: &mut PgConnection,
    choice: ProfileChoice,
    partition_days: u16,
) -> anyhow::Result<Migrated> {
    connection.lock().await?;
    let migrated = migrate_alone(connection, choice, partition_days).await;
    let unlocked = connection.unlock().await;
    let migrated = migrated?;
    unlocked?;
    Ok(migrated)
}

async fn migrate_alone(
    connection: &mut PgConnection,
    choice: ProfileChoice,
    partition_days: u16,
) -> anyhow::Result<Migrated> {
    let before = applied(connection).await?;
    let profile = match recorded_profile(connection).await? {
        Some(profile) => keep(profile, choice)?,
        None => choose(connection, choice).await?,
    };
    for (name, value) in
        [("audit.profile", profile.as_str()), ("audit.partition_days", &partition_days.to_string())]
    {
        sqlx::query("select set_config($1, $2, false)")
            .bind(name)
            .bind(value)
            .execute(&mut *connection)
            .await?;
    }
    MIGRATOR.run_direct(None, connection, false).await?;
    if profile == Profile::Timescale {
        make_hypertable(connection).await?;
    }
    let partitions = if partitions::take_turn(&mut *connection).await? {
        partitions::make_ahead(connection, profile, partition_days).await?
    } else {
        0
    };
    let total = total();
    Ok(Migrated { profile, applied: total.saturating_sub(before), total, partitions })
}

/// How many migrations this program has.
pub(super) fn total() -> usize {
    MIGRATOR.iter().count()
}

/// How many of them a database has.
pub(super) async fn applied(connection: &mut PgConnection) -> sqlx::Result<usize> {
    let exists: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(0);
    }
    let count: i64 = sqlx::query_scalar("select count(*) from _sqlx_migrations where success")
        .fetch_one(connection)
        .await?;
    Ok(usize::try_from(count).unwrap_or_default())
}

async fn recorded_profile(connection: &mut PgConnection) -> anyhow::Result<Option<Profile>> {
    let exists: bool = sqlx::query_scalar("select to_regclass('audit_meta') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(None);
    }
    let text: Option<String> =
        sqlx::query_scalar("select value from audit_meta where name = 'profile'")
            .fetch_optional(connection)
            .await?;
    let Some(text) = text else { return Ok(None) };
    let profile = Profile::parse(&text);
    Ok(Some(profile.ok_or_else(|| anyhow::anyhow!("unknown profile {text} in audit_meta"))?))
}

/// A log does not change its profile in place.
fn keep(profile: Profile, choice: ProfileChoice) -> anyhow::Result<Profile> {
    let asked = match choice {
        ProfileChoice::Auto => profile,
        ProfileChoice::Timescale => Profile::Timescale,
        ProfileChoice::Native => Profile::Native,
    };
    anyhow::ensure!(
        asked == profile,
        "this database was made with the profile {}, which cannot be changed in place: \
         use --profile auto, or an empty database",
        profile.as_str()
    );
    Ok(profile)
}

async fn choose(connection: &mut PgConnection, choice: ProfileChoice) -> anyhow::Result<Profile> {
    let offered: bool = sqlx::query_scalar(
        "select exists (select from pg_available_extensions where name = 'timescaledb')",
    )
    .fetch_one(&mut *connection)
    .await?;
    let wanted = match choice {
        ProfileChoice::Auto => offered,
        ProfileChoice::Timescale => true,
        ProfileChoice::Native => false,
    };
    if !wanted {
        return Ok(Profile::Native);
    }
    anyhow::ensure!(offered, "this PostgreSQL does not offer TimescaleDB: use --profile native");
    sqlx::query("create extension if not exists timescaledb").execute(connection).await.map_err(
        |error| {
            anyhow::anyhow!(
                "cannot create the extension timescaledb ({error}): let a superuser do it, \
             or use --profile native"
            )
        },
    )?;
    Ok(Profile::Timescale)
}

async fn make_hypertable(connection: &mut PgConnection) -> anyhow::Result<()> {
    for (name, script) in TIMESCALE {
        let mut transaction = connection.begin().await?;
        transaction
            .execute(AssertSqlSafe(script))
            .await
            .map_err(|error| anyhow::anyhow!("timescale/{name}: {error}"))?;
        transaction.commit().await?;
    }
    Ok(())
}
