//! The one kind of time in the service: milliseconds since 1970, in UTC.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use ::time::format_description::well_known::Rfc3339;
use ::time::{Date, OffsetDateTime};
use serde::{Serialize, Serializer};

const MS_PER_SECOND: i64 = 1_000;
const MS_PER_DAY: i64 = 86_400 * MS_PER_SECOND;
const NS_PER_MS: i128 = 1_000_000;
/// The Julian day number of 1970-01-01.
const EPOCH_JULIAN_DAY: i32 = 2_440_588;
/// The length of `2026-11-21T12:50:11.123Z`.
const TEXT_LEN: usize = 24;

/// A moment, to the millisecond, in the years 0000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// `0000-01-01T00:00:00.000Z`.
    pub const MIN: Self = Self(-62_167_219_200_000);
    /// `9999-12-31T23:59:59.999Z`.
    pub const MAX: Self = Self(253_402_300_799_999);
    /// `1970-01-01T00:00:00.000Z`.
    pub const EPOCH: Self = Self(0);

    /// The moment `ms` milliseconds after 1970; [`Self::MIN`] or [`Self::MAX`] when it lies beyond.
    pub const fn from_millis(ms: i64) -> Self {
        if ms < Self::MIN.0 {
            Self::MIN
        } else if ms > Self::MAX.0 {
            Self::MAX
        } else {
            Self(ms)
        }
    }

    /// Milliseconds since 1970; negative before.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This machine's clock. The log's own times come from the database.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = since_epoch.map_or(0, |elapsed| elapsed.as_millis());
        Self::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// Reads RFC 3339 with any offset, and cuts (floors) it to the millisecond.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let ns = nanoseconds(text)?;
        Self::of_year_0_to_9999(ns.div_euclid(NS_PER_MS))
    }

    /// The first whole millisecond that is not earlier than an RFC 3339 time.
    pub fn parse_up(text: &str) -> Result<Self, InvalidTimestamp> {
        let ns = nanoseconds(text)?;
        let cut = Self::of_year_0_to_9999(ns.div_euclid(NS_PER_MS))?;
        Ok(if ns.rem_euclid(NS_PER_MS) == 0 { cut } else { cut.plus_millis(1) })
    }

    // An offset can carry the first or last day out of these years.
    fn of_year_0_to_9999(ms: i128) -> Result<Self, InvalidTimestamp> {
        let ms = i64::try_from(ms).map_err(|_| InvalidTimestamp)?;
        let timestamp = Self::from_millis(ms);
        if timestamp.0 == ms { Ok(timestamp) } else { Err(InvalidTimestamp) }
    }

    /// Midnight, in UTC, of the day this moment is in.
    #[must_use]
    pub const fn start_of_utc_day(self) -> Self {
        Self(self.0 - self.0.rem_euclid(MS_PER_DAY))
    }

    /// The moment `ms` milliseconds later, or earlier when negative.
    #[must_use]
    pub const fn plus_millis(self, ms: i64) -> Self {
        Self::from_millis(self.0.saturating_add(ms))
    }

    /// Adds the RFC 3339 text to a buffer.
    pub fn write_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text().0);
    }

    fn text(self) -> TimestampText {
        let day = i32::try_from(self.0.div_euclid(MS_PER_DAY)).unwrap_or(0);
        let date = Date::from_julian_day(EPOCH_JULIAN_DAY + day).unwrap_or(Date::MIN);
        let (year, month, day) = date.to_calendar_date();
        let ms = self.0.rem_euclid(MS_PER_DAY);
        let second = ms / MS_PER_SECOND;

        let mut text = TimestampText(*b"0000-00-00T00:00:00.000Z");
        text.put::<4>(0, year.into());
        text.put::<2>(5, u8::from(month).into());
        text.put::<2>(8, day.into());
        text.put::<2>(11, second / 3600);
        text.put::<2>(14, second / 60 % 60);
        text.put::<2>(17, second % 60);
        text.put::<3>(20, ms % MS_PER_SECOND);
        text
    }
}

/// Since 1970, of an RFC 3339 time.
fn nanoseconds(text: &str) -> Result<i128, InvalidTimestamp> {
    // RFC 3339 lets applications choose the separator; we choose `T`, and `time` takes anything.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return Err(InvalidTimestamp);
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
    Ok(moment.unix_timestamp_nanos())
}

/// A timestamp's RFC 3339 text on the stack: answers hold thousands of them.
struct TimestampText([u8; TEXT_LEN]);

impl TimestampText {
    fn put<const DIGITS: usize>(&mut self, at: usize, mut number: i64) {
        for place in self.0[at..at + DIGITS].iter_mut().rev() {
            *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and punctuation are ASCII")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text().as_str())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text().as_str())
    }
}

/// The text is not an RFC 3339 time of the years 0000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write the time as in 2026-11-21T12:50:11.123Z")]
pub struct InvalidTimestamp;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> String {
        Timestamp::parse(text).map_or_else(|_| "refused".to_owned(), |time| time.to_string())
    }

    #[test]
    fn times_are_answered_in_utc_with_milliseconds() {
        assert_eq!(parse("2026-11-21T12:50:11Z"), "2026-11-21T12:50:11.000Z");
        assert_eq!(parse("2026-11-21t12:50:11.5z"), "2026-11-21T12:50:11.500Z");
        assert_eq!(parse("2026-11-21T12:50:11.123+02:30"), "2026-11-21T10:20:11.123Z");
        assert_eq!(parse("2026-11-21T12:50:11-00:00"), "2026-11-21T12:50:11.000Z");
        assert_eq!(parse("2024-02-29T23:59:59.999Z"), "2024-02-29T23:59:59.999Z");
    }

    #[test]
    fn a_bound_is_the_first_whole_millisecond_that_is_not_earlier() {
        for (text, up) in [
            ("2026-11-21T12:50:11.123Z", "2026-11-21T12:50:11.123Z"),
            ("2026-11-21T12:50:11.123000001Z", "2026-11-21T12:50:11.124Z"),
            ("1969-12-31T23:59:59.9991Z", "1970-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::parse_up(text).unwrap().to_string(), up);
        }
        assert!(Timestamp::parse_up("2026-11-21").is_err());
    }

    #[test]
    fn a_time_is_cut_downwards_to_the_millisecond() {
        assert_eq!(parse("2026-11-21T12:50:11.123999999999Z"), "2026-11-21T12:50:11.123Z");
        assert_eq!(parse("1969-12-31T23:59:59.9999Z"), "1969-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::parse("1969-12-31T23:59:59.9999Z").unwrap().as_millis(), -1);
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T12:50:11",
            "2026-11-21 12:50:11Z",
            "2026-11-21X12:50:11Z",
            "2026-11-21T12:50Z",
            "2026-02-29T12:50:11Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T12:50:11.Z",
            "2026-11-21T12:50:11+0200",
            "2026-11-21T12:50:11+24:00",
            "2026-11-21T12:50:11Z ",
            "+2026-11-21T12:50:11Z",
            "12026-11-21T12:50:11Z",
            "1795265411123",
        ] {
            assert_eq!(parse(text), "refused", "{text:?}");
        }
    }

    #[test]
    fn an_offset_cannot_leave_the_years_0000_to_9999() {
        assert_eq!(parse("0000-01-01T00:00:00Z"), "0000-01-01T00:00:00.000Z");
        assert_eq!(parse("0000-01-01T00:00:00+00:01"), "refused");
        assert_eq!(parse("9999-12-31T23:59:59.999Z"), "9999-12-31T23:59:59.999Z");
        assert_eq!(parse("9999-12-31T23:59:59-00:01"), "refused");
    }

    #[test]
    fn the_bounds_are_the_first_and_the_last_moment_that_can_be_written() {
        assert_eq!(Timestamp::from_millis(i64::MIN).to_string(), "0000-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_day_starts_at_midnight_in_utc_also_before_1970() {
        let start = |text| Timestamp::parse(text).unwrap().start_of_utc_day().to_string();
        assert_eq!(start("2026-11-21T00:00:00Z"), "2026-11-21T00:00:00.000Z");
        assert_eq!(start("2026-11-21T23:59:59.999Z"), "2026-11-21T00:00:00.000Z");
        assert_eq!(start("1969-12-31T12:00:00Z"), "1969-12-31T00:00:00.000Z");
    }

    proptest! {
        #[test]
        fn text_and_number_are_the_same_time(ms in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let time = Timestamp::from_millis(ms);
            prop_assert_eq!(time.as_millis(), ms);
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        }

        #[test]
        fn later_times_have_greater_texts(a in Timestamp::MIN.0..=Timestamp::MAX.0, b in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let (a, b) = (Timestamp(a), Timestamp(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
