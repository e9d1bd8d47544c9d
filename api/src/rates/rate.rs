//! How many a second, a minute or an hour, and how many at once.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::Class;

/// The longest time that a bucket may take to be full again.
pub(super) const FULL_WITHIN: Duration = Duration::from_hours(24);

/// The most that can be set, of either number.
const COUNT_MAX: u32 = 1_000_000;

/// See the module. `500/s:1000` is 500 a second, and 1,000 at once by who has not asked for a
/// while; without the second number as many at once as the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    unit: Unit,
    burst: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

/// What is wrong with a limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRate {
    /// It does not name a class.
    #[error("must be a class and a rate, like write=500/s")]
    Pair,
    /// It names one that there is not.
    #[error("no such class: there are {}", Class::names())]
    Class,
    /// It names one again.
    #[error("given twice")]
    Twice,
    /// It is no rate.
    #[error(
        "must be a number with /s, /m or /h behind it, like 500/s, or 500/s:1000 with the most at once"
    )]
    Form,
    /// A number is out of range.
    #[error("numbers must be from 1 to {}", COUNT_MAX)]
    Range,
    /// A bucket that large would take too long to fill.
    #[error("that many at once would take more than 24 hours to come back: at most {0}")]
    Burst(u64),
    /// One of these, and where.
    #[error("`{0}`: {1}")]
    Part(String, Box<InvalidRate>),
}

impl InvalidRate {
    /// The same, with the part of the setting that it is about.
    pub(super) fn of(self, part: &str) -> Self {
        Self::Part(part.to_owned(), Box::new(self))
    }
}

impl Unit {
    const ALL: [Self; 3] = [Self::Second, Self::Minute, Self::Hour];

    fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
        }
    }

    fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }
}

impl Rate {
    /// Reads a rate.
    pub fn parse(text: &str) -> Result<Self, InvalidRate> {
        let (rate, burst) = match text.split_once(':') {
            Some((rate, burst)) => (rate, Some(burst)),
            None => (text, None),
        };
        let (count, unit) = rate.split_once('/').ok_or(InvalidRate::Form)?;
        let unit = Unit::ALL.into_iter().find(|known| known.as_str() == unit);
        let unit = unit.ok_or(InvalidRate::Form)?;
        let count = number(count)?;
        let burst = burst.map_or(Ok(count), number)?;
        let burst_max = FULL_WITHIN.as_secs() / unit.seconds() * u64::from(count);
        if u64::from(burst) > burst_max {
            return Err(InvalidRate::Burst(burst_max));
        }
        Ok(Self { count, unit, burst })
    }

    /// The most at once.
    pub(super) fn burst(&self) -> u32 {
        self.burst
    }

    /// After how many nanoseconds there is one more.
    pub(super) fn interval_ns(&self) -> u64 {
        self.unit.seconds() * 1_000_000_000 / u64::from(self.count)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.unit.as_str())?;
        if self.burst == self.count { Ok(()) } else { write!(f, ":{}", self.burst) }
    }
}

fn number(text: &str) -> Result<u32, InvalidRate> {
    // `parse` would take a sign, too.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidRate::Form);
    }
    let number = text.parse::<u32>().ok();
    number.filter(|number| (1..=COUNT_MAX).contains(number)).ok_or(InvalidRate::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written_the_same() {
        for text in ["500/s", "500/s:1000", "1/h", "1/h:24", "1000000/s:1", "60/m:1"] {
            assert_eq!(Rate::parse(text).map(|rate| rate.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(Rate::parse("5/s:5"), Rate::parse("5/s"));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        use InvalidRate::{Burst, Form, Range};
        for (text, problem) in [
            ("", Form),
            ("5", Form),
            ("5/", Form),
            ("5/d", Form),
            ("/s", Form),
            ("+5/s", Form),
            ("5/s:", Form),
            ("5 /s", Form),
            ("5/s:5:5", Form),
            ("0.5/s", Form),
            ("0/s", Range),
            ("5/s:0", Range),
            ("1000001/s", Range),
            ("99999999999999999999/s", Range),
            ("1/h:25", Burst(24)),
        ] {
            assert_eq!(Rate::parse(text), Err(problem), "{text}");
        }
    }
}
