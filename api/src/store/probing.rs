//! What an operator asks a database beyond what the service insists on.

use sqlx::{PgConnection, PgExecutor};

use super::migrations;

/// Which PostgreSQL answers.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Server {
    /// Such as `15.20`.
    pub version: String,
    /// The version of TimescaleDB in this database, if it is there.
    pub timescale: Option<String>,
    /// Seconds since 1970, by its clock.
    pub clock_s: f64,
}

/// Asks who answers.
pub async fn server(db: impl PgExecutor<'_>) -> sqlx::Result<Server> {
    sqlx::query_as(
        "select
            current_setting('server_version') as version,
            (select extversion from pg_extension where extname = 'timescaledb') as timescale,
            extract(epoch from clock_timestamp())::double precision as clock_s",
    )
    .fetch_one(db)
    .await
}

/// Migrations applied, and those that this program has; `None` for a login that may not see the first.
pub async fn schema(login: &mut PgConnection) -> sqlx::Result<Option<(usize, usize)>> {
    let may_see: bool = sqlx::query_scalar(
        "select coalesce(has_table_privilege(to_regclass('_sqlx_migrations'), 'select'), true)",
    )
    .fetch_one(&mut *login)
    .await?;
    if !may_see {
        return Ok(None);
    }
    Ok(Some((migrations::applied(login).await?, migrations::total())))
}
