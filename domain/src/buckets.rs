//! Calendar buckets: where minutes, hours, days, weeks and months begin in a time zone.
//!
//! Zones come from the IANA database that is compiled in, never from the machine, so that the same
//! question has the same answer everywhere.

use std::sync::LazyLock;

use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, ToSpan as _};
use thiserror::Error;

use crate::Timestamp;

/// Buckets of one answer.
pub const BUCKETS_MAX: usize = 5_000;

/// The grain of the kept counts, in milliseconds: a quarter of an hour.
pub const QUARTER_MS: i64 = 15 * MINUTE_MS;

const MINUTE_MS: i64 = 60_000;
const SECOND_MS: i64 = 1_000;

/// No zone's known rules are looked at after this: 2100-01-01.
const RULES_UNTIL_MS: i64 = 4_102_444_800_000;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// How long a bucket is, on the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// A minute on the wall clock.
    Minute,
    /// An hour on the wall clock.
    Hour,
    /// A day, which may have 23 or 25 hours.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first to the last of a month.
    Month,
}

impl Interval {
    /// All of them, the shortest first.
    pub const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word, as clients write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Result<Self, InvalidInterval> {
        Self::ALL.into_iter().find(|interval| interval.as_str() == text).ok_or(InvalidInterval)
    }

    /// What it is made of.
    fn step(self) -> Step {
        match self {
            Self::Minute => Step::Clock(MINUTE_MS),
            Self::Hour => Step::Clock(60 * MINUTE_MS),
            Self::Day => Step::Dates(1.day()),
            Self::Week => Step::Dates(1.week()),
            Self::Month => Step::Dates(1.month()),
        }
    }
}

enum Step {
    /// So many milliseconds on the wall clock.
    Clock(i64),
    /// Whole dates.
    Dates(Span),
}

/// A time zone by its IANA name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of this name, in any case of its letters.
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        let zone = ZONES.get(name).map_err(|_| UnknownZone)?;
        if zone.is_unknown() { Err(UnknownZone) } else { Ok(Self(zone)) }
    }

    /// The wall clock's distance from UTC at a moment.
    fn offset_ms(&self, at: i64) -> i64 {
        i64::from(self.0.to_offset(to_jiff(at)).seconds()) * SECOND_MS
    }

    /// The first change of the wall clock after a moment.
    fn change_after(&self, at: i64) -> Option<i64> {
        self.0.following(to_jiff(at)).next().map(|change| change.timestamp().as_millisecond())
    }

    /// The last change of the wall clock at a moment or before.
    fn change_until(&self, at: i64) -> Option<i64> {
        self.0.preceding(to_jiff(at + 1)).next().map(|change| change.timestamp().as_millisecond())
    }

    fn date(&self, at: i64) -> Date {
        self.0.to_datetime(to_jiff(at)).date()
    }

    /// When a date begins; one that a zone has skipped begins with the next.
    fn begin_of(&self, date: Date) -> Option<i64> {
        let begins = date.to_zoned(self.0.clone()).ok()?;
        Some(begins.timestamp().as_millisecond())
    }
}

/// Buckets of one length in one zone: they follow each other without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// How long they are.
    pub interval: Interval,
    /// Whose wall clock counts.
    pub zone: Zone,
}

impl Calendar {
    /// Where the bucket that holds a moment begins.
    pub fn bucket_of(&self, at: Timestamp) -> Timestamp {
        let begin = match self.interval.step() {
            Step::Clock(unit) => self.clock_begin(unit, at.as_millis()),
            Step::Dates(span) => self.dates_begin(span, at.as_millis()),
        };
        Timestamp::from_millis(begin)
    }

    /// The beginnings of all buckets from the one that holds `first` to the one that holds `last`.
    pub fn buckets(
        &self,
        first: Timestamp,
        last: Timestamp,
    ) -> Result<Vec<Timestamp>, TooManyBuckets> {
        let mut begins = vec![self.bucket_of(first)];
        let mut next = self.after(first);
        while let Some(begin) = next.filter(|begin| *begin <= last) {
            if begins.len() == BUCKETS_MAX {
                return Err(TooManyBuckets);
            }
            begins.push(begin);
            next = self.after(begin);
        }
        Ok(begins)
    }

    /// The longest step, in milliseconds, that every beginning since 1970 is a multiple of.
    pub fn grain_ms(&self) -> i64 {
        let coarsest = if self.interval == Interval::Minute { MINUTE_MS } else { QUARTER_MS };
        let grains = [coarsest, MINUTE_MS];
        grains.into_iter().find(|grain| self.keeps_to(*grain)).unwrap_or(SECOND_MS)
    }

    fn keeps_to(&self, grain: i64) -> bool {
        let zone = &self.zone.0;
        let changes = zone.following(to_jiff(0)).map(|change| change.timestamp().as_millisecond());
        let changes: Vec<i64> = changes.take_while(|at| *at < RULES_UNTIL_MS).collect();
        let is_kept = |at: i64| at % grain == 0 && self.zone.offset_ms(at) % grain == 0;
        is_kept(0) && changes.into_iter().all(is_kept)
    }

    /// The first beginning after a moment.
    fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let next = match self.interval.step() {
            Step::Clock(unit) => Some(self.clock_next(unit, at.as_millis())),
            Step::Dates(span) => self.dates_next(span, at.as_millis()),
        };
        // The end of all time, where there is none.
        next.map(Timestamp::from_millis).filter(|next| *next > at)
    }

    fn clock_begin(&self, unit: i64, mut at: i64) -> i64 {
        loop {
            let offset = self.zone.offset_ms(at);
            let begin = (at + offset).div_euclid(unit) * unit - offset;
            match self.zone.change_until(at) {
                Some(change) if begin < change && self.begins_anew(unit, change) => return change,
                // The wall clock went on in the middle of the same bucket.
                Some(change) if begin < change => at = change - 1,
                _ => return begin,
            }
        }
    }

    fn clock_next(&self, unit: i64, mut at: i64) -> i64 {
        loop {
            let offset = self.zone.offset_ms(at);
            let next = ((at + offset).div_euclid(unit) + 1) * unit - offset;
            match self.zone.change_after(at) {
                Some(change) if change <= next && self.begins_anew(unit, change) => return change,
                Some(change) if change <= next => at = change,
                _ => return next,
            }
        }
    }

    /// Whether a bucket begins where the wall clock is changed: when it then shows the full unit,
    /// or another unit than just before.
    fn begins_anew(&self, unit: i64, change: i64) -> bool {
        let before = change - 1 + self.zone.offset_ms(change - 1);
        let after = change + self.zone.offset_ms(change);
        after % unit == 0 || after.div_euclid(unit) != before.div_euclid(unit)
    }

    fn dates_begin(&self, span: Span, at: i64) -> i64 {
        let first = self.first_date(self.zone.date(at));
        // A clock that was put over midnight, back or forward, may show a date of the bucket
        // before or after.
        let dates = [first.checked_add(span), Ok(first), first.checked_sub(span)];
        let mut begins = dates.into_iter().filter_map(|date| self.zone.begin_of(date.ok()?));
        begins.find(|begin| *begin <= at).unwrap_or(at)
    }

    fn dates_next(&self, span: Span, at: i64) -> Option<i64> {
        let mut date = self.first_date(self.zone.date(at));
        loop {
            date = date.checked_add(span).ok()?;
            let begin = self.zone.begin_of(date)?;
            if begin > at {
                return Some(begin);
            }
        }
    }

    /// The first date of the bucket that holds a date.
    fn first_date(&self, date: Date) -> Date {
        match self.interval {
            Interval::Month => date.first_of_month(),
            Interval::Week => {
                let days = i64::from(date.weekday().since(Weekday::Monday));
                date.saturating_sub(days.days())
            }
            Interval::Minute | Interval::Hour | Interval::Day => date,
        }
    }
}

/// The moment in the crate's own form; the last hours of 9999 are cut.
fn to_jiff(ms: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

/// The word is no interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be minute, hour, day, week or month")]
pub struct InvalidInterval;

/// The name is in no version of the time zone database that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be the name of an IANA time zone, like UTC or Europe/Berlin")]
pub struct UnknownZone;

/// The range has more buckets than an answer may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "makes more than {BUCKETS_MAX} buckets: take a longer one, or a narrower range with `from` and `to`"
)]
pub struct TooManyBuckets;
