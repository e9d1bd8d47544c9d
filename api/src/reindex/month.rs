//! A month in a new index, which takes the old one's place at one moment.

use std::time::Duration;

use search::{IndexName, IndexState, Month, Shape, TEMPLATE};
use sqlx::PgConnection;
use tokio::time::sleep;

use super::{Listener, Part, Reindex};
use crate::repair::RepairError;
use crate::store::rebuilding;

/// Rounds in which a new index catches up with what came while it was filled.
const ROUNDS_MAX: u32 = 10;

/// How long an old index stays for the searches that have begun in it.
const GRACE: Duration = Duration::from_secs(2);

/// How long OpenSearch may take to say who it is.
const FACTS_TIMEOUT: Duration = Duration::from_secs(5);

impl Reindex {
    /// Builds a month anew. Returns how many entries were written.
    pub(super) async fn rebuild(
        &self,
        session: &mut PgConnection,
        month: Month,
        listener: &mut impl Listener,
    ) -> Result<u64, RepairError> {
        let step = format!("month {month}");
        let part = Part { month, from: month.begin(), to: month.end() };
        let states = self.of_month(month).await?;
        let noted = rebuilding::find(&mut *session, &step).await?;
        let is_done = |state: &&IndexState| state.is_read && Some(state.name.to_string()) == noted;
        if let Some(done) = states.iter().find(is_done) {
            listener.pass(self.entries(&[part]).await?);
            listener.say(&format!("{month}: {} was built before", done.name));
            return self.clear(&done.name).await.map(|()| 0);
        }
        if states.is_empty() && self.entries(&[part]).await? == 0 {
            return Ok(0);
        }
        let new = match unfinished(&states) {
            Some(name) => name.clone(),
            None => self.make(month).await?,
        };
        let written = self.fill_up(part, &new, listener).await?;
        // First, so that a kill after the next line finds it done, not to be done again.
        rebuilding::note(session, &step, &new.to_string()).await?;
        self.index.move_read(&new).await?;
        listener.say(&format!("{month}: {written} entries written, {new} is searched now"));
        self.clear(&new).await?;
        Ok(written)
    }

    /// Fills a new index until it lacks nothing that the old one has.
    ///
    /// The log is read up to its end after new documents have begun to go there, so it lacks none
    /// that only the old index has. Until it is searched, who counts sees that the old index lacks
    /// the newest, and takes those from the log.
    async fn fill_up(
        &self,
        part: Part,
        new: &IndexName,
        listener: &mut impl Listener,
    ) -> Result<u64, RepairError> {
        let mut written = self.catch_up(part, new, listener).await?;
        self.index.move_write(new).await?;
        let mut quiet = Quiet(listener);
        for _ in 0..ROUNDS_MAX {
            self.index.refresh().await?;
            let more = self.catch_up(part, new, &mut quiet).await?;
            written += more;
            if more == 0 {
                return Ok(written);
            }
        }
        Err(RepairError::Moved)
    }

    async fn catch_up(
        &self,
        part: Part,
        new: &IndexName,
        listener: &mut impl Listener,
    ) -> Result<u64, RepairError> {
        let mut written = 0;
        self.each_log(async |log| {
            if let Some(range) = self.numbers(log, part).await? {
                written += self.fill(new, log, range, listener).await?.entries;
            }
            Ok(())
        })
        .await?;
        Ok(written)
    }

    async fn of_month(&self, month: Month) -> Result<Vec<IndexState>, RepairError> {
        let mut states = self.index.indices().await?;
        states.retain(|state| state.name.month() == month);
        Ok(states)
    }

    async fn make(&self, month: Month) -> Result<IndexName, RepairError> {
        if !self.index.facts(FACTS_TIMEOUT).await?.has_template {
            self.index.set_up(Shape::default()).await?;
        }
        Ok(self.index.make_generation(month).await?)
    }

    /// Deletes the month's other indices, when nobody is likely to be reading them any more.
    async fn clear(&self, new: &IndexName) -> Result<(), RepairError> {
        if self.order.keep_old {
            return Ok(());
        }
        let mut others = self.of_month(new.month()).await?;
        others.retain(|state| state.name != *new && !state.is_read);
        if others.is_empty() {
            return Ok(());
        }
        sleep(GRACE).await;
        for other in others {
            self.index.delete_index(&other.name).await?;
        }
        Ok(())
    }
}

/// An index that a rebuilding has begun: newer than the one that is searched, and not searched.
fn unfinished(states: &[IndexState]) -> Option<&IndexName> {
    let age = |name: &IndexName| (name.template(), name.generation());
    let searched = states.iter().filter(|state| state.is_read).map(|state| age(&state.name)).max();
    states
        .iter()
        .filter(|state| !state.is_read && state.name.template() == TEMPLATE)
        .map(|state| &state.name)
        .filter(|name| Some(age(name)) > searched)
        .max_by_key(|name| age(name))
}

/// Entries that came meanwhile were not expected.
struct Quiet<'l, L>(&'l mut L);

impl<L: Listener> Listener for Quiet<'_, L> {
    fn expect(&mut self, _entries: u64) {}

    fn pass(&mut self, _entries: u64) {}

    fn say(&mut self, line: &str) {
        self.0.say(line);
    }
}
