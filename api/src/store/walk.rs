//! Walks over a range of a log, a window at a time.
//!
//! Each window is one statement that bounds `recorded_at` on both sides, spans few partitions and
//! looks at a limited number of entries. Because numbers have no gaps, the last number of a
//! window is known before it is read, and its row comes back whether the filter takes it or not:
//! it says where the walk stands, and that nothing was taken away underneath. Without a filter
//! the `LIMIT` is the end of the window; with one, `cut` finds where it must end.

use std::ops::ControlFlow;

use domain::{Filter, Order, Place, StoredEntry, TenantId, Timestamp};
use futures_util::TryStreamExt as _;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};
use time::Duration;

use super::cut::{Cut, Distance};
use super::range::{Day, Edge, Range, days, in_sql};
use super::{copying, filter, rows, to_sql};

/// Days that a window spans at most, from its first to its last.
const WINDOW_DAYS: Duration = Duration::days(35);

/// Days that are looked up at a time.
const DAYS_MAX: i64 = 64;

/// How much one window may do.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// Entries that it looks at.
    pub looked_at: i64,
    /// Entries that it gives.
    pub given: i64,
}

/// Where a window has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// All that it was allowed to look at; the walk goes on behind it.
    Window,
    /// As many entries as it was allowed to give, or as were taken.
    Full,
    /// Entries that must be there are not: the floor has moved.
    Moved,
}

/// See the module.
#[derive(Debug)]
pub struct Walk<'f> {
    tenant_id: TenantId,
    filter: &'f Filter,
    order: Order,
    next: Edge,
    end: Edge,
    /// Days with entries, in the order of the walk.
    days: Vec<Day>,
    last: Option<Place>,
    last_cut: Option<Distance>,
}

/// What one statement looks at.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: Timestamp,
    to: Timestamp,
    end_seq: i64,
}

impl<'f> Walk<'f> {
    /// A walk over all of the range.
    pub fn new(tenant_id: TenantId, filter: &'f Filter, order: Order, range: &Range) -> Self {
        let (next, end) = match order {
            Order::Asc => (range.first, range.last),
            Order::Desc => (range.last, range.first),
        };
        Self { tenant_id, filter, order, next, end, days: Vec::new(), last: None, last_cut: None }
    }

    /// Whether all has been looked at.
    pub fn is_done(&self) -> bool {
        match self.order {
            Order::Asc => self.next.seq > self.end.seq,
            Order::Desc => self.next.seq < self.end.seq,
        }
    }

    /// The next number to look at.
    pub fn next_seq(&self) -> i64 {
        self.next.seq
    }

    /// The last entry that was looked at.
    pub fn last(&self) -> Option<Place> {
        self.last
    }

    /// Gives the next entries that pass the filter to `take`, which may refuse one and stop.
    pub async fn step(
        &mut self,
        db: &mut PgConnection,
        allowance: Allowance,
        mut take: impl FnMut(&StoredEntry<'_>) -> ControlFlow<()>,
    ) -> sqlx::Result<Step> {
        let Some(stretch) = self.stretch(db, allowance.looked_at).await? else {
            return Ok(Step::Moved);
        };
        let mut query = self.query("", stretch, allowance);
        let mut given = 0;
        let mut rows = query.build().fetch(&mut *db);
        while let Some(row) = rows.try_next().await? {
            let entry = rows::read(&row)?;
            // One that does not pass is the last of the window, and says no more than its place.
            let passes: Option<bool> = row.try_get("passes")?;
            if passes.unwrap_or_default() {
                if take(&entry).is_break() {
                    return Ok(Step::Full);
                }
                given += 1;
            }
            self.pass(entry.place);
        }
        Ok(self.ended(stretch, given == allowance.given))
    }

    /// The same upwards and without a filter, for many entries at a time.
    pub async fn step_by_copy(
        &mut self,
        db: &mut PgConnection,
        given_max: i64,
        mut take: impl FnMut(&StoredEntry<'_>) -> ControlFlow<()>,
    ) -> sqlx::Result<Step> {
        debug_assert!(self.order == Order::Asc && self.filter.is_empty(), "see the caller");
        let Some(stretch) = self.stretch(db, given_max).await? else { return Ok(Step::Moved) };
        let query = format!(
            "select {} from entry where tenant_id = '{}' and recorded_at >= '{}'
                and recorded_at <= '{}' and (recorded_at, seq) >= (timestamptz '{}', {})
                and seq <= {} order by recorded_at, seq limit {given_max}",
            rows::COLUMNS,
            self.tenant_id,
            stretch.from,
            stretch.to,
            self.next.at,
            self.next.seq,
            stretch.end_seq,
        );
        let (mut given, mut refused) = (0, false);
        copying::copy(db, &query, |entry| {
            refused = refused || take(entry).is_break();
            if !refused {
                given += 1;
                self.pass(entry.place);
            }
        })
        .await?;
        Ok(self.ended(stretch, refused || given == given_max))
    }

    fn ended(&self, stretch: Stretch, full: bool) -> Step {
        match self.last {
            Some(last) if last.seq.get() == stretch.end_seq => Step::Window,
            _ if full => Step::Full,
            _ => Step::Moved,
        }
    }

    /// The plan of the next step and what it costs, as JSON, for tests that guard it.
    pub async fn explain(
        &mut self,
        db: &mut PgConnection,
        allowance: Allowance,
    ) -> sqlx::Result<Option<serde_json::Value>> {
        let Some(stretch) = self.stretch(db, allowance.looked_at).await? else { return Ok(None) };
        let mut query = self.query("explain (analyze, buffers, format json) ", stretch, allowance);
        query.build_query_scalar().fetch_one(db).await.map(Some)
    }

    fn pass(&mut self, place: Place) {
        let seq = place.seq.get();
        let seq = if self.order == Order::Asc { seq + 1 } else { seq - 1 };
        self.next = Edge { at: place.recorded_at, seq };
        self.last = Some(place);
    }

    /// The next stretch; `None` when no day holds the next entry any more.
    async fn stretch(
        &mut self,
        db: &mut PgConnection,
        looked_at: i64,
    ) -> sqlx::Result<Option<Stretch>> {
        if !self.knows_enough() {
            let day = to_sql(self.next.at).date();
            self.days = days(&mut *db, self.tenant_id, self.order, day, DAYS_MAX).await?;
        }
        let stretch = match self.order {
            Order::Asc => self.stretch_up(looked_at),
            Order::Desc => self.stretch_down(looked_at),
        };
        match stretch {
            Some(stretch) if !self.filter.is_empty() => self.cut(db, stretch, looked_at).await,
            stretch => Ok(stretch),
        }
    }

    /// The part of a stretch that is not too large for one statement.
    async fn cut(
        &mut self,
        db: &mut PgConnection,
        stretch: Stretch,
        looked_at: i64,
    ) -> sqlx::Result<Option<Stretch>> {
        let next = self.next;
        let far = match self.order {
            Order::Asc => Edge { at: stretch.to, seq: stretch.end_seq },
            Order::Desc => Edge { at: stretch.from, seq: stretch.end_seq },
        };
        if (far.seq - next.seq).abs() < looked_at {
            return Ok(Some(stretch));
        }
        let (tenant_id, order) = (self.tenant_id, self.order);
        let cut = Cut { tenant_id, order, next, far, entries_max: looked_at };
        let Some(place) = cut.find(db, self.last_cut).await? else { return Ok(None) };
        let at = Edge { at: place.recorded_at, seq: place.seq.get() };
        self.last_cut = Some(Distance::between(next, at));
        Ok(Some(match order {
            Order::Asc => Stretch { to: at.at, end_seq: at.seq, ..stretch },
            Order::Desc => Stretch { from: at.at, end_seq: at.seq, ..stretch },
        }))
    }

    /// Whether the days known say where the day of the next entry ends.
    fn knows_enough(&self) -> bool {
        match (self.order, self.days.last()) {
            (_, None) => false,
            (Order::Asc, Some(last)) => last.first_seq > self.next.seq,
            (Order::Desc, Some(last)) => last.first_seq <= self.next.seq,
        }
    }

    fn stretch_up(&self, looked_at: i64) -> Option<Stretch> {
        let first = self.days.iter().rposition(|day| day.first_seq <= self.next.seq)?;
        let window_end = self.next.seq + looked_at - 1;
        let (mut last, mut end_seq) = (first, self.end.seq);
        for (at, day) in self.days.iter().enumerate().skip(first + 1) {
            let far = day.day - self.days[first].day >= WINDOW_DAYS;
            if day.first_seq > window_end || far {
                end_seq = end_seq.min(day.first_seq - 1);
                break;
            }
            last = at;
        }
        // The list may end here without the log ending.
        if last + 1 == usize::try_from(DAYS_MAX).ok()? && last > first {
            end_seq = end_seq.min(self.days[last].first_seq - 1);
            last -= 1;
        }
        Some(Stretch {
            from: self.next.at.max(self.days[first].begins()),
            to: self.days[last].ends().min(self.end.at),
            end_seq,
        })
    }

    fn stretch_down(&self, looked_at: i64) -> Option<Stretch> {
        let first = self.days.iter().position(|day| day.first_seq <= self.next.seq)?;
        let window_end = self.next.seq - looked_at + 1;
        let mut last = first;
        for (at, day) in self.days.iter().enumerate().skip(first + 1) {
            let far = self.days[first].day - day.day >= WINDOW_DAYS;
            if self.days[last].first_seq <= window_end || far {
                break;
            }
            last = at;
        }
        Some(Stretch {
            from: self.days[last].begins().max(self.end.at),
            to: self.next.at.min(self.days[first].ends()),
            end_seq: self.days[last].first_seq.max(self.end.seq),
        })
    }

    /// Those that pass, and the last one.
    fn query(
        &self,
        before: &str,
        stretch: Stretch,
        allowance: Allowance,
    ) -> QueryBuilder<Postgres> {
        let (from_on, direction) = in_sql(self.order);
        let (up_to, _) = in_sql(self.order.reversed());
        let mut query = QueryBuilder::new(before);
        query.push("select ").push(rows::COLUMNS).push(", f.passes from entry");
        query.push(" cross join lateral (select true");
        filter::push(&mut query, self.filter);
        query.push(") f (passes) where tenant_id = ").push_bind(self.tenant_id.as_uuid());
        query.push(" and recorded_at >= ").push_bind(to_sql(stretch.from));
        query.push(" and recorded_at <= ").push_bind(to_sql(stretch.to));
        query.push(" and (recorded_at, seq) ").push(from_on).push(" (");
        query.push_bind(to_sql(self.next.at)).push(", ").push_bind(self.next.seq).push(")");
        query.push(" and seq ").push(up_to).push(" ").push_bind(stretch.end_seq);
        query.push(" and (f.passes or seq = ").push_bind(stretch.end_seq);
        query.push(format_args!(") order by recorded_at{direction}, seq{direction} limit "));
        query.push_bind(allowance.given);
        query
    }
}
