//! How far the index is behind the log, second by second.

use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio::time::{MissedTickBehavior, interval};

use super::super::cursors;
use super::super::opensearch::OpenSearch;
use super::super::parts::Parts;
use super::PREFIX;
use crate::database::Database;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An index that is so far behind what comes in is up to date: a refresh, and the way itself.
const LEVEL: i64 = 3;

/// How long catching up may take.
const TIMEOUT: Duration = Duration::from_mins(10);

/// The best is taken of so many seconds.
const BEST_OF: usize = 10;

/// Looks at the log and at the index.
pub(super) struct Progress {
    db: PgConnection,
    look: OpenSearch,
}

/// How it went.
#[derive(Debug)]
pub(super) struct CaughtUp {
    /// Entries indexed a second, from the first look until the index was up to date.
    pub(super) rate: f64,
    /// The same until nine tenths of what it lacked were there. The rest may be in messages that were
    /// received while it was away, which the queue hides for the length of several calls.
    pub(super) most: f64,
    /// The same of the best seconds.
    pub(super) best: f64,
    /// Entries that the index lacked at the first look.
    pub(super) behind: i64,
    pub(super) seconds: f64,
    /// Whether it has caught up in time.
    pub(super) is_level: bool,
}

impl Progress {
    pub(super) async fn new(database: &Database, parts: &Parts) -> anyhow::Result<Self> {
        let look = OpenSearch::connect(parts.search_address()?, PREFIX).await?;
        Ok(Self { db: database.connect().await?, look })
    }

    /// Entries, then documents: what comes in between looks like a gap, never like none.
    async fn look(&mut self) -> anyhow::Result<(i64, i64)> {
        let entries = cursors::entries(&mut self.db).await?;
        let documents = self.look.count().await?;
        Ok((documents, entries - documents))
    }

    /// Looks until the index is up to date with a load of so many entries a second.
    pub(super) async fn until_caught_up(&mut self, a_second: u32) -> anyhow::Result<CaughtUp> {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen: Vec<(Instant, i64)> = Vec::new();
        let (mut behind, mut most) = (None, None);
        loop {
            ticks.tick().await;
            let (documents, missing) = self.look().await?;
            seen.push((Instant::now(), documents));
            let behind = *behind.get_or_insert(missing);
            let elapsed = seen[seen.len() - 1].0 - seen[0].0;
            let level = LEVEL * i64::from(a_second);
            if missing <= behind / 10 + level {
                most.get_or_insert_with(|| rate(&seen));
            }
            let is_level = missing <= level;
            if is_level || elapsed > TIMEOUT {
                return Ok(CaughtUp {
                    rate: rate(&seen),
                    most: most.unwrap_or_default(),
                    best: seen.windows(BEST_OF + 1).map(rate).fold(0.0, f64::max),
                    behind,
                    seconds: elapsed.as_secs_f64(),
                    is_level,
                });
            }
            if seen.len().is_multiple_of(BEST_OF) {
                eprintln!("after {} s the index lacks {missing}", elapsed.as_secs());
            }
        }
    }

    /// Looks until the index has all, now that nothing comes in any more; returns what it lacks.
    pub(super) async fn until_level(&mut self) -> anyhow::Result<i64> {
        let begun = Instant::now();
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            let (_, missing) = self.look().await?;
            if missing == 0 || begun.elapsed() > TIMEOUT {
                return Ok(missing);
            }
        }
    }
}

/// Documents a second, from the first look to the last.
fn rate(seen: &[(Instant, i64)]) -> f64 {
    let (Some(first), Some(last)) = (seen.first(), seen.last()) else { return 0.0 };
    let seconds = (last.0 - first.0).as_secs_f64();
    if seconds > 0.0 { (last.1 - first.1) as f64 / seconds } else { 0.0 }
}
