//! The short way: what this replica's writer has committed goes into the rings without being read.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{KeptEntry, NewEntry, Place, Seq, TenantId};

use super::feed::{Feed, Handed, Item, Run, quiet_after};
use super::{Streams, Watched};
use crate::store::append::Written;

/// One request's entries, committed just now.
#[derive(Debug, Clone, Copy)]
pub struct Fresh<'a> {
    /// Whose log.
    pub tenant_id: TenantId,
    /// At least one.
    pub entries: &'a [NewEntry],
    /// Where they stand.
    pub written: Written,
}

/// What a batch has for one watched log, in the order of the log.
struct Piece<'a> {
    feed: Arc<Feed>,
    fresh: Vec<Fresh<'a>>,
}

impl Streams {
    /// Gives those who watch what one session of the writer has committed.
    pub fn hand<'a>(&self, session: u64, fresh: impl Iterator<Item = Fresh<'a>>) {
        let mut entries = 0;
        let pieces = self.watched_of(fresh.inspect(|fresh| entries += fresh.entries.len()));
        for piece in pieces {
            let mark = match piece.hand(session, entries) {
                Handed::Told => continue,
                Handed::Untold => Watched::TELL,
                Handed::Refused => Watched::READ,
            };
            self.mark(piece.feed.tenant_id, mark);
        }
    }

    fn watched_of<'a>(&self, all: impl Iterator<Item = Fresh<'a>>) -> Vec<Piece<'a>> {
        let feeds = self.feeds();
        if feeds.is_empty() {
            return Vec::new();
        }
        let mut pieces = HashMap::new();
        for fresh in all {
            let Some(watched) = feeds.get(&fresh.tenant_id) else { continue };
            let new = || Piece { feed: Arc::clone(&watched.feed), fresh: Vec::new() };
            pieces.entry(fresh.tenant_id).or_insert_with(new).fresh.push(fresh);
        }
        pieces.into_values().collect()
    }
}

impl Piece<'_> {
    fn hand(&self, session: u64, batch: usize) -> Handed {
        let Some(run) = self.run(session) else { return Handed::Refused };
        self.feed.hand(run, quiet_after(batch as u64), || self.items())
    }

    fn run(&self, session: u64) -> Option<Run> {
        let (first, last) = (self.fresh.first()?, self.fresh.last()?);
        let last = last.places().last()?;
        Some(Run { session, first: first.written.first_seq, last })
    }

    fn items(&self) -> Vec<Item> {
        self.fresh.iter().flat_map(Fresh::items).collect()
    }
}

impl Fresh<'_> {
    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let Written { first_seq, recorded_at } = self.written;
        let seqs = (first_seq.get()..).map_while(Seq::new).take(self.entries.len());
        seqs.map(move |seq| Place { recorded_at, seq })
    }

    fn items(&self) -> impl Iterator<Item = Item> {
        self.places().zip(self.entries).map(|(place, entry)| {
            let ip_address = entry.ip_address.map(|address| address.to_string());
            Item::new(KeptEntry::of(&entry.stored_at(place, ip_address.as_deref())))
        })
    }
}
