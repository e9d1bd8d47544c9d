//! Which installation this is.

use sqlx::PgExecutor;

/// Its id, which `migrate` has made; for the worker or the owner.
pub async fn id(db: impl PgExecutor<'_>) -> sqlx::Result<String> {
    sqlx::query_scalar("select value from audit_meta where name = 'installation'")
        .fetch_one(db)
        .await
}
