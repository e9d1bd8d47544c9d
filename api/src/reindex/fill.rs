//! Entries into an index, window by window, those aside that it has.

use std::ops::RangeInclusive;
use std::time::Duration;

use search::{Among, IndexName};
use sqlx::PgConnection;

use super::{Listener, Reindex, count};
use crate::repair::RepairError;
use crate::repair::direct::Target;
use crate::repair::mender::numbers;
use crate::store::indexing::Log;
use crate::store::rebuilding;

/// Numbers that are counted, and written, together.
const WINDOW: i64 = 10_000;

/// Windows that are counted at once.
const WINDOWS_MAX: usize = 100;

/// How long counting may take.
const COUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filled {
    /// Entries that were written.
    pub(super) entries: u64,
}

impl Reindex {
    /// Writes those windows of a log into an index of which it has not all.
    pub(super) async fn fill(
        &self,
        index: &IndexName,
        log: &Log,
        range: RangeInclusive<i64>,
        listener: &mut impl Listener,
    ) -> Result<Filled, RepairError> {
        let mut filled = Filled::default();
        let windows: Vec<_> = windows(range).collect();
        for windows in windows.chunks(WINDOWS_MAX) {
            let asked: Vec<_> =
                windows.iter().map(|window| numbers(log.tenant_id, *window)).collect();
            let counts = self.index.count(&asked, Among::Index(index), COUNT_TIMEOUT).await?;
            for (window, documents) in windows.iter().zip(counts) {
                let wanted = count(&(window.0..=window.1));
                if documents >= wanted {
                    listener.pass(wanted);
                    continue;
                }
                let passed = |entries| listener.pass(entries);
                let target = Target::Index(index);
                let written = self.way.write(log.tenant_id, *window, target, passed).await?;
                filled.entries += written.unsigned_abs();
            }
        }
        Ok(filled)
    }

    /// Writes the entries of a range behind `done` over what is there, and notes how far it came.
    pub(super) async fn write_log_over(
        &self,
        session: &mut PgConnection,
        log: &Log,
        range: RangeInclusive<i64>,
        done: i64,
        step: &str,
        listener: &mut impl Listener,
    ) -> Result<Filled, RepairError> {
        let mut filled = Filled::default();
        for window in windows(range) {
            if window.1 <= done {
                listener.pass(count(&(window.0..=window.1)));
                continue;
            }
            let passed = |entries| listener.pass(entries);
            let written = self.way.write(log.tenant_id, window, Target::Months, passed).await?;
            filled.entries += written.unsigned_abs();
            rebuilding::note(&mut *session, step, &window.1.to_string()).await?;
        }
        Ok(filled)
    }
}

/// Both ends inclusive.
fn windows(range: RangeInclusive<i64>) -> impl Iterator<Item = (i64, i64)> {
    let (first, last) = range.into_inner();
    let begins = std::iter::successors(Some(first), |begin| begin.checked_add(WINDOW));
    begins
        .take_while(move |begin| *begin <= last)
        .map(move |begin| (begin, last.min(begin + WINDOW - 1)))
}
