//! Where a stream stands and what it sends next: no input or output.
//!
//! The place moves in one way only: past the entry with the next number, whether that is sent or
//! not. So each entry is sent once and in order, whichever source it came from, and none is left
//! out without a gap that says so.

use std::sync::Arc;

use domain::{Filter, KeptEntry, NewEntry, Place, Selection, Sieve, StoredEntry};

use super::feed::{Feed, Item, Next};
use super::frames::{Gap, Reason, seq};
use crate::error::ApiError;
use crate::query::Parameters;
use crate::store::streaming::After;

/// Which entries a stream is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// What they must be.
    pub selection: Selection,
    /// Whether entries of the service itself are meant, too.
    include_self: bool,
    /// Of the selection's filter.
    sieve: Sieve,
}

impl Wanted {
    /// All that a selection lets pass.
    pub fn new(selection: Selection, include_self: bool) -> Self {
        let sieve = Sieve::of(&selection.filter);
        Self { selection, include_self, sieve }
    }

    /// The parameters that say so.
    pub fn parameters() -> Vec<&'static str> {
        [&Filter::PARAMETERS[..], &["q", "include_self"]].concat()
    }

    /// Reads them.
    pub fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        let include_self = parameters.flag("include_self")?;
        Ok(Self::new(parameters.selection()?, include_self))
    }

    /// Whether one passes the exact filter, which is quickly seen.
    pub(super) fn lets_through(&self, entry: &KeptEntry) -> bool {
        self.sieve.lets_through(entry.marks()) && self.selection.filter.matches(&entry.entry())
    }

    /// Whether this one is, which passes the exact filter.
    pub fn takes_filtered(&self, entry: &StoredEntry<'_>) -> bool {
        (self.include_self || is_recorded(entry))
            && self.selection.query().is_none_or(|query| query.matches(entry))
    }
}

/// Whether somebody recorded it, and not the service itself.
fn is_recorded(entry: &StoredEntry<'_>) -> bool {
    entry.resource_type != NewEntry::OWN_RESOURCE_TYPE.as_str()
}

/// What a stream does next.
#[derive(Debug)]
pub enum Step {
    /// It sends this.
    Send(Arc<Item>),
    /// It has sent all that there is.
    Wait,
    /// It reads the log from where it stands.
    Read,
    /// There may be more, but others have a turn first.
    Rest,
}

/// See the module.
#[derive(Debug)]
pub struct Course {
    after: After,
    /// The feed's epoch in which the place was seen in the log.
    epoch: u64,
    /// Whether it sends entries.
    pub paused: bool,
    /// Which entries.
    pub wanted: Box<Wanted>,
}

impl Course {
    /// Begins behind a place that was seen in the log in that epoch.
    pub fn new(after: After, epoch: u64, wanted: Wanted) -> Self {
        Self { after, epoch, paused: false, wanted: Box::new(wanted) }
    }

    /// Everything up to it was sent, or is not wanted.
    pub fn after(&self) -> After {
        self.after
    }

    /// What comes next; what is not wanted is passed over, at most so many entries.
    pub fn step(&mut self, feed: &Feed, passed_max: i64) -> Step {
        if self.paused {
            return Step::Wait;
        }
        let Self { after, epoch, wanted, .. } = self;
        let lets_through = |entry: &KeptEntry| wanted.lets_through(entry);
        let until = seq(*after) + passed_max;
        while seq(*after) < until {
            match feed.next(after, *epoch, until - seq(*after), lets_through) {
                Next::Item(item) if !wanted.takes_filtered(&item.entry.entry()) => {}
                Next::Item(item) => return Step::Send(item),
                Next::Passed => break,
                Next::UpToDate => return Step::Wait,
                Next::InTheLog => return Step::Read,
            }
        }
        Step::Rest
    }

    /// Whether only the log says what comes next.
    #[cfg(test)]
    pub(super) fn is_behind(&self, feed: &Feed) -> bool {
        !self.paused
            && matches!(feed.next(&mut { self.after }, self.epoch, 1, |_| true), Next::InTheLog)
    }

    /// Whether it stands beyond the feed's end, or where the feed ends with another entry.
    pub fn is_beyond(&self, feed: &Feed) -> bool {
        let end = feed.end();
        !self.paused && self.after != end && seq(self.after) >= seq(end)
    }

    /// All up to here was sent, or is not wanted; it was in the log in that epoch.
    pub fn pass(&mut self, to: After, epoch: u64) {
        debug_assert!(seq(to) >= seq(self.after), "a stream goes upwards");
        (self.after, self.epoch) = (to, epoch);
    }

    /// What comes next has expired: it goes on from the oldest that there is.
    pub fn expire(&mut self, oldest: Place) -> Gap {
        let from_seq = seq(self.after) + 1;
        self.after = Some(oldest);
        Gap { from_seq, to_seq: oldest.seq.get(), reason: Reason::Expired }
    }

    /// A restore has undone the place: what the log holds after `to` comes, though its numbers
    /// were used before.
    pub fn undo(&mut self, to: After) -> Gap {
        let undone_seq = seq(self.after);
        self.after = to;
        Gap {
            from_seq: undone_seq.min(seq(to) + 1),
            to_seq: undone_seq.max(seq(to)),
            reason: Reason::HistoryChanged,
        }
    }
}
