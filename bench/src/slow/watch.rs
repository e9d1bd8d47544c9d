//! How long the service's statements and transactions live, looked at all the time.
//!
//! As the role that the service logs in as: PostgreSQL shows nobody else what it does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use api::store::connect_options;
use sqlx::{Connection as _, PgConnection};
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
    /// How many statements were seen at work.
    seen: i64,
}

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    oldest: Arc<Mutex<Oldest>>,
    task: JoinHandle<sqlx::Result<()>>,
}

impl Watch {
    pub(super) async fn start(database: &Database) -> anyhow::Result<Self> {
        let connection = PgConnection::connect_with(&connect_options(&database.url)?).await?;
        let oldest = Arc::<Mutex<Oldest>>::default();
        let task = tokio::spawn(look(connection, Arc::clone(&oldest)));
        Ok(Self { oldest, task })
    }

    /// An error when it could not look all the time.
    pub(super) async fn end(mut self) -> anyhow::Result<Oldest> {
        if self.task.is_finished() {
            (&mut self.task).await??;
        }
        let oldest = *self.oldest.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(oldest.seen > 0, "no statement of the service was seen at work");
        Ok(oldest)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(mut connection: PgConnection, oldest: Arc<Mutex<Oldest>>) -> sqlx::Result<()> {
    loop {
        let (seen, statement, transaction): (i64, f64, f64) = sqlx::query_as(
            "select
                count(*) filter (where state = 'active'),
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
            oldest.seen += seen;
            oldest.statement = oldest.statement.max(statement);
            oldest.transaction = oldest.transaction.max(transaction);
        }
        sleep(EVERY).await;
    }
}
