//! The index built anew from the log, while it is searched.
//!
//! A whole month gets a new index beside the old one, which is searched until the new one has
//! everything; a part of a month, or one tenant, is written over in place. What was done is noted
//! in the database, what a new index holds is counted: after a kill the next one goes on there.

mod fill;
mod month;

use std::ops::RangeInclusive;
use std::time::Duration;

use domain::{TenantId, Timestamp};
use search::{Index, Month};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use self::fill::Filled;
use crate::repair::RepairError;
use crate::repair::direct::Direct;
use crate::store::indexing::{self, LOGS_MAX, Log};
use crate::store::{Store, rebuilding};

/// Months that one rebuilding goes through: a hundred years and more.
const MONTHS_MAX: usize = 2_000;

/// What is to be built anew.
#[derive(Debug, Clone, Copy, Default)]
pub struct Order {
    /// One tenant's part.
    pub tenant: Option<TenantId>,
    /// What was recorded then or later.
    pub from: Option<Timestamp>,
    /// What was recorded before.
    pub to: Option<Timestamp>,
    /// Whether old indices stay.
    pub keep_old: bool,
}

/// Who is told how it goes on.
pub trait Listener {
    /// There are so many entries to write.
    fn expect(&mut self, entries: u64);
    /// So many more are in the new index.
    fn pass(&mut self, entries: u64);
    /// Something has come to an end.
    fn say(&mut self, line: &str);
}

/// See the module.
#[derive(Debug)]
pub struct Reindex {
    /// The logs.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// The way from the one to the other.
    pub way: Direct,
    /// What to do.
    pub order: Order,
}

/// A month, or the part of it that was asked for.
#[derive(Debug, Clone, Copy)]
struct Part {
    month: Month,
    from: Timestamp,
    to: Timestamp,
}

impl Part {
    fn is_whole(&self) -> bool {
        self.from == self.month.begin() && self.to == self.month.end()
    }
}

impl Reindex {
    /// Rebuilds. The session, the worker's, holds the lock that keeps rebuildings apart. Returns
    /// how many entries were written; those of a rebuilding that was killed are not among them.
    pub async fn run(
        &self,
        session: &mut PgConnection,
        listener: &mut impl Listener,
    ) -> Result<u64, RepairError> {
        let parts = self.parts(indexing::kept_since(&mut *session).await?);
        listener.expect(self.entries(&parts).await?);
        let mut written = 0;
        for part in parts {
            written += if part.is_whole() && self.order.tenant.is_none() {
                self.rebuild(&mut *session, part.month, listener).await?
            } else {
                self.write_over(&mut *session, part, listener).await?
            };
        }
        rebuilding::forget(session).await?;
        Ok(written)
    }

    /// The months, from that of the oldest entry that is kept to this one.
    fn parts(&self, kept_since: Option<Timestamp>) -> Vec<Part> {
        let now = Timestamp::now();
        let first = kept_since.unwrap_or(now).max(self.order.from.unwrap_or(Timestamp::MIN));
        let mut parts = Vec::new();
        let mut month = Month::of(first);
        // One more than this one: a database's clock may be ahead.
        while month.begin() <= now.plus_millis(DAY_MS) && parts.len() < MONTHS_MAX {
            let from = self.order.from.unwrap_or(Timestamp::MIN).max(month.begin());
            let to = self.order.to.unwrap_or(Timestamp::MAX).min(month.end());
            if from < to {
                parts.push(Part { month, from, to });
            }
            month = Month::of(month.end());
        }
        parts
    }

    async fn entries(&self, parts: &[Part]) -> Result<u64, RepairError> {
        let mut entries = 0;
        for part in parts {
            self.each_log(async |log| {
                entries += self.numbers(log, *part).await?.map_or(0, |range| count(&range));
                Ok(())
            })
            .await?;
        }
        Ok(entries)
    }

    /// The numbers of a log that are asked for.
    async fn numbers(
        &self,
        log: &Log,
        part: Part,
    ) -> Result<Option<RangeInclusive<i64>>, RepairError> {
        let db = &self.store.worker;
        let numbers = indexing::numbers_between(db, log.tenant_id, part.from, part.to).await?;
        Ok(numbers.map(|(first, last)| first..=last))
    }

    /// Does something about each log that is asked for, as it is at that moment.
    async fn each_log(
        &self,
        mut work: impl AsyncFnMut(&Log) -> Result<(), RepairError>,
    ) -> Result<(), RepairError> {
        let db = &self.store.worker;
        if let Some(tenant_id) = self.order.tenant {
            return match indexing::log(db, tenant_id).await? {
                Some(log) => work(&log).await,
                None => Ok(()),
            };
        }
        let mut after = None;
        loop {
            let logs = indexing::logs(db, after).await?;
            for log in &logs {
                work(log).await?;
            }
            after = logs.last().map(|log| log.tenant_id);
            if i64::try_from(logs.len()).unwrap_or(LOGS_MAX) < LOGS_MAX {
                return Ok(());
            }
        }
    }

    /// Writes entries over what is there, in the indices that are searched.
    async fn write_over(
        &self,
        session: &mut PgConnection,
        part: Part,
        listener: &mut impl Listener,
    ) -> Result<u64, RepairError> {
        let mut written = 0;
        self.each_log(async |log| {
            let Some(range) = self.numbers(log, part).await? else { return Ok(()) };
            let step = format!("{} {} {}", log.tenant_id, part.from, part.to);
            let noted = rebuilding::find(&mut *session, &step).await?;
            let done: i64 = noted.and_then(|noted| noted.parse().ok()).unwrap_or_default();
            let Filled { entries } =
                self.write_log_over(&mut *session, log, range, done, &step, listener).await?;
            written += entries;
            Ok(())
        })
        .await?;
        self.index.refresh().await?;
        listener.say(&format!("{}: {written} entries written over", part.month));
        Ok(written)
    }
}

fn count(range: &RangeInclusive<i64>) -> u64 {
    (range.end() - range.start() + 1).unsigned_abs()
}

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Ends a command's session, which lets go of its lock.
pub async fn close(session: PgConnection) {
    let _ = timeout(Duration::from_secs(1), session.close()).await;
}
