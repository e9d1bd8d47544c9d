//! How far a rebuilding of the index has come.

use sqlx::PgExecutor;

/// Notes a step's progress.
pub async fn note(db: impl PgExecutor<'_>, step: &str, done: &str) -> sqlx::Result<()> {
    sqlx::query(
        "insert into index_rebuild (step, done)
         values ($1, $2)
         on conflict on constraint index_rebuild_pkey do update
         set done = excluded.done, noted_at = clock_timestamp()",
    )
    .bind(step)
    .bind(done)
    .execute(db)
    .await?;
    Ok(())
}

/// What was noted of a step within the last day: an older rebuilding is not gone on with.
pub async fn find(db: impl PgExecutor<'_>, step: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "select done
         from index_rebuild
         where step = $1
            and noted_at > clock_timestamp() - interval '24 hours'",
    )
    .bind(step)
    .fetch_optional(db)
    .await
}

/// Forgets all steps: the rebuilding has come to its end.
pub async fn forget(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query("delete from index_rebuild").execute(db).await?;
    Ok(())
}
