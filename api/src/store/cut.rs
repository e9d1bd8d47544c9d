//! Where to cut a stretch of a log that has too many entries for one statement.
//!
//! The numbers at both ends are known, so a time in between can be guessed; one descent of the
//! primary key then says which entry stands there, and by its number how many lie before it.

use domain::{Order, Place, TenantId, Timestamp};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::range::{Edge, in_sql};
use super::{rows, to_sql};

/// Guesses before the entries are counted off one by one.
const GUESSES_MAX: usize = 8;

/// A cut: how far it is away in time and in entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Distance {
    ms: i64,
    entries: i64,
}

impl Distance {
    pub(super) fn between(one: Edge, other: Edge) -> Self {
        Self {
            ms: (one.at.as_millis() - other.at.as_millis()).abs(),
            entries: (one.seq - other.seq).abs() + 1,
        }
    }

    /// The time at which so many entries lie behind, if they come evenly.
    fn ms_of(self, entries: i64) -> i64 {
        let ms = i128::from(self.ms) * i128::from(entries) / i128::from(self.entries.max(1));
        i64::try_from(ms).unwrap_or(i64::MAX)
    }
}

/// A stretch that is to be cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) tenant_id: TenantId,
    pub(super) order: Order,
    /// Its first entry in the order, and its last.
    pub(super) next: Edge,
    pub(super) far: Edge,
    /// Entries that may be left.
    pub(super) entries_max: i64,
}

impl Cut {
    /// The last entry of a part that is not too large, and not much too small.
    ///
    /// `last` is the distance of the cut before: entries often come as they came.
    pub(super) async fn find(
        self,
        db: &mut PgConnection,
        last: Option<Distance>,
    ) -> sqlx::Result<Option<Place>> {
        let wanted = self.entries_max / 5 * 4;
        let (mut near, mut far) =
            (Distance { ms: 0, entries: 0 }, Distance::between(self.next, self.far));
        let mut guess = last.unwrap_or(far).ms_of(wanted);
        let mut best = None;
        for turn in 0..GUESSES_MAX {
            if far.ms - near.ms <= 1 {
                break;
            }
            let ms = guess.clamp(near.ms + 1, far.ms - 1);
            let place = self.place_at(db, ms).await?;
            let entries = place.map_or(0, |place| self.entries_to(place));
            if entries > self.entries_max {
                far = Distance { ms, entries };
            } else {
                best = place.filter(|_| entries > 0).or(best);
                if entries > self.entries_max / 8 {
                    return Ok(best);
                }
                near = Distance { ms, entries };
            }
            // In turns by proportion and by halves, for entries that come in bursts.
            let between = Distance { ms: far.ms - near.ms, entries: far.entries - near.entries };
            guess = near.ms
                + if turn % 2 == 0 { between.ms_of(wanted - near.entries) } else { between.ms / 2 };
        }
        match best {
            Some(place) => Ok(Some(place)),
            None => self.count_off(db).await,
        }
    }

    /// Entries from the first of the stretch up to a place.
    fn entries_to(&self, place: Place) -> i64 {
        let entries = place.seq.get() - self.next.seq;
        1 + if self.order == Order::Asc { entries } else { -entries }
    }

    /// The last entry that is no further away than so much.
    async fn place_at(&self, db: &mut PgConnection, ms: i64) -> sqlx::Result<Option<Place>> {
        let ms = if self.order == Order::Asc { ms } else { -ms };
        let mut query = self.places(self.next.at.plus_millis(ms));
        let (_, backwards) = in_sql(self.order.reversed());
        query.push(format_args!(" order by recorded_at{backwards}, seq{backwards} limit 1"));
        let row = query.build().fetch_optional(db).await?;
        row.map(|row| rows::place(&row)).transpose()
    }

    /// The entry so many places on, found by going there: for thousands of entries of one moment.
    async fn count_off(&self, db: &mut PgConnection) -> sqlx::Result<Option<Place>> {
        let (from_on, direction) = in_sql(self.order);
        let mut query = self.places(self.far.at);
        query.push(format_args!(" and (recorded_at, seq) {from_on} ("));
        query.push_bind(to_sql(self.next.at)).push(", ").push_bind(self.next.seq).push(")");
        query.push(format_args!(" order by recorded_at{direction}, seq{direction} offset "));
        query.push_bind(self.entries_max - 1).push(" limit 1");
        let row = query.build().fetch_optional(db).await?;
        row.map(|row| rows::place(&row)).transpose()
    }

    /// The places between the first of the stretch and a time.
    fn places(&self, to: Timestamp) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("select recorded_at, seq from entry where tenant_id = ");
        query.push_bind(self.tenant_id.as_uuid());
        query.push(" and recorded_at >= ").push_bind(to_sql(self.next.at.min(to)));
        query.push(" and recorded_at <= ").push_bind(to_sql(self.next.at.max(to)));
        query
    }
}
