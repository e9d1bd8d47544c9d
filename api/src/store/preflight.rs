//! What must be true of a PostgreSQL before anything is promised on top of it.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::migrations::Profile;
use super::{DbRole, Store, log_in};
use crate::config::DatabaseUrls;

/// Oldest server this was built for.
const SERVER_VERSION_MIN: i32 = 150_000;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What keeps the log, as `migrate` wrote it down.
    pub profile: Profile,
    /// What makes a commit less than durable; empty when nothing does.
    pub unsafe_settings: Vec<String>,
}

/// Looks at the server, the schema and the roles; an error says what to do.
pub async fn inspect(urls: &DatabaseUrls, store: &Store) -> anyhow::Result<Found> {
    let mut writer = log_in(&urls.writer).await?;
    let unsafe_settings = unsafe_settings(&mut writer).await?;
    check_version(&mut writer).await?;
    for (role, url) in [
        (DbRole::Writer, &urls.writer),
        (DbRole::Reader, &urls.reader),
        (DbRole::Worker, &urls.worker),
    ] {
        let mut connection = log_in(url).await?;
        check_role(&mut connection, role).await?;
        connection.close().await?;
    }
    writer.close().await?;
    let profile = check_profile(store).await?;
    Ok(Found { profile, unsafe_settings })
}

/// Reads the session as the operator left it, before this service sets anything.
async fn unsafe_settings(writer: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let found: Vec<String> = sqlx::query_scalar(
        "select name || ' = ' || setting
         from pg_settings
         where (name in ('fsync', 'full_page_writes') and setting = 'off')
            or (name = 'synchronous_commit' and setting in ('off', 'local', 'remote_write'))
         order by name",
    )
    .fetch_all(writer)
    .await?;
    Ok(found)
}

async fn check_version(writer: &mut PgConnection) -> anyhow::Result<()> {
    let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::integer")
        .fetch_one(writer)
        .await?;
    anyhow::ensure!(
        version >= SERVER_VERSION_MIN,
        "PostgreSQL {} is too old: 15 or later is needed",
        version / 10_000
    );
    Ok(())
}

/// Steps down as every later session will, and makes sure that it is down.
async fn check_role(connection: &mut PgConnection, role: DbRole) -> anyhow::Result<()> {
    let name = role.as_str();
    connection.execute(AssertSqlSafe(format!("set role {name}"))).await.map_err(|error| {
        anyhow::anyhow!(
            "cannot take the role {name} ({error}): run `audit-log migrate` first, and make this \
             login a member of {name}"
        )
    })?;
    let owner_too: bool = sqlx::query_scalar(
        "select rolsuper or ($1 <> 'audit_worker' and pg_has_role(current_user, 'audit_owner', 'member'))
         from pg_roles
         where rolname = current_user",
    )
    .bind(name)
    .fetch_one(connection)
    .await?;
    anyhow::ensure!(!owner_too, "the role {name} has the owner's rights: take them away");
    Ok(())
}

/// The profile of the schema, which must be what the log really is.
async fn check_profile(store: &Store) -> anyhow::Result<Profile> {
    let profile: Option<String> =
        sqlx::query_scalar("select value from audit_meta where name = 'profile'")
            .fetch_optional(&store.worker)
            .await
            .map_err(|error| {
                anyhow::anyhow!("cannot read the schema ({error}): run `audit-log migrate` first")
            })?;
    let profile = profile.as_deref().and_then(Profile::parse);
    let profile = profile.ok_or_else(|| anyhow::anyhow!("the schema names no known profile"))?;
    let partitioned: bool = sqlx::query_scalar(match profile {
        Profile::Native => {
            "select relkind = 'p' from pg_class where oid = 'public.audit_log'::regclass"
        }
        Profile::Timescale => {
            "select exists (
                select from timescaledb_information.hypertables where hypertable_name = 'audit_log'
             )"
        }
    })
    .fetch_one(&store.worker)
    .await?;
    anyhow::ensure!(
        partitioned,
        "the schema says profile {}, but the table audit_log is not kept that way: was it \
         restored without its extension?",
        profile.as_str()
    );
    Ok(profile)
}
