//! The writers' marks: whether a call whose answer was lost has committed.

use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::append::{Outcome, unwritten, written};

/// What a writer committed last.
#[derive(Debug)]
pub struct Mark {
    /// The epoch from now on.
    pub epoch: i64,
    /// The last batch that committed.
    pub batch: i64,
    /// What became of its requests; `None` is a replay, whose first answer is in no mark.
    pub outcomes: Vec<Option<Outcome>>,
}

#[derive(Debug, FromRow)]
struct MarkRow {
    epoch: i64,
    batch: i64,
    outcomes: Vec<i16>,
    first_seqs: Vec<i64>,
    recorded_ats: Vec<OffsetDateTime>,
}

/// Makes the mark of a new writer, in its first epoch.
pub async fn open(db: impl PgExecutor<'_>, replica: Uuid) -> sqlx::Result<()> {
    sqlx::query("insert into writer_mark (replica) values ($1)").bind(replica).execute(db).await?;
    Ok(())
}

/// Moves the epoch on and says what committed before.
///
/// Waits for a call that is about to commit, and shuts out every call of an older epoch that
/// comes later: after this, the answer stands. `None`: somebody has removed the mark.
pub async fn settle(db: impl PgExecutor<'_>, replica: Uuid) -> sqlx::Result<Option<Mark>> {
    let row: Option<MarkRow> = sqlx::query_as(
        "update writer_mark
         set epoch = epoch + 1
         where replica = $1
         returning epoch, batch, outcomes, first_seqs, recorded_ats",
    )
    .bind(replica)
    .fetch_optional(db)
    .await?;
    row.map(MarkRow::read).transpose()
}

impl MarkRow {
    fn read(self) -> sqlx::Result<Mark> {
        let places = self.first_seqs.into_iter().zip(self.recorded_ats);
        let outcomes = self.outcomes.into_iter().zip(places);
        let outcomes = outcomes.map(|(outcome, (first_seq, recorded_at))| match outcome {
            0 => Ok(Some(Outcome::Written(written(first_seq, recorded_at)?))),
            1 => Ok(None),
            other => unwritten(other).map(Some),
        });
        let outcomes = outcomes.collect::<sqlx::Result<_>>()?;
        Ok(Mark { epoch: self.epoch, batch: self.batch, outcomes })
    }
}

/// Removes the marks of writers that have been silent for a week; true writers come back.
pub async fn forget_silent(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let done = sqlx::query("delete from writer_mark where marked_at < now() - interval '7 days'")
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
