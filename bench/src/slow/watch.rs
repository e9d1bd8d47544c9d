//! How long the service's statements and transactions live, looked at all the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::database::Database;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(50);

/// The oldest that were seen, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Oldest {
    pub(super) statement: f64,
    pub(super) transaction: f64,
}

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    oldest: Arc<Mutex<Oldest>>,
    task: JoinHandle<sqlx::Result<()>>,
}

impl Watch {
    pub(super) async fn start(database: &Database) -> sqlx::Result<Self> {
        let connection = database.connect().await?;
        let oldest = Arc::<Mutex<Oldest>>::default();
        let task = tokio::spawn(look(connection, Arc::clone(&oldest)));
        Ok(Self { oldest, task })
    }

    /// An error when it could not look all the time.
    pub(super) async fn end(mut self) -> anyhow::Result<Oldest> {
        if self.task.is_finished() {
            (&mut self.task).await??;
        }
        Ok(*self.oldest.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(mut connection: PgConnection, oldest: Arc<Mutex<Oldest>>) -> sqlx::Result<()> {
    loop {
        let (statement, transaction): (f64, f64) = sqlx::query_as(
            "select
                coalesce(max(extract(epoch from clock_timestamp() - query_start))
                    filter (where state = 'active'), 0)::float8,
                coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8
             from pg_stat_activity
             where application_name = 'audit-log'
                and datname = current_database()
                and pid <> pg_backend_pid()",
        )
        .fetch_one(&mut connection)
        .await?;
        {
            let mut oldest = oldest.lock().unwrap_or_else(PoisonError::into_inner);
            oldest.statement = oldest.statement.max(statement);
            oldest.transaction = oldest.transaction.max(transaction);
        }
        sleep(EVERY).await;
    }
}
