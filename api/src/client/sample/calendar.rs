//! When things happen: mostly in working hours, seldom at night and at weekends.

use domain::Timestamp;

const MS_PER_HOUR: i64 = 3_600_000;

/// 1970-01-01 was a Thursday; Saturday and Sunday are the third and fourth day from it.
const WEEKEND: [i64; 2] = [2, 3];

/// How much happens in each hour of a working day, in UTC.
const RHYTHM: [u32; 24] =
    [1, 1, 1, 1, 1, 2, 4, 10, 24, 32, 34, 30, 20, 26, 32, 30, 26, 18, 10, 6, 4, 3, 2, 1];

/// A weekend's part of that.
const WEEKEND_PART: u32 = 8;

/// Spreads a number of entries over the days before a moment, in order.
#[derive(Debug, Clone)]
pub struct Calendar {
    first_hour: i64,
    /// How much has happened by the end of each hour.
    by_hour: Vec<u64>,
    until: Timestamp,
    count: u64,
}

impl Calendar {
    /// `count` entries over the `days` before `until`.
    pub fn new(until: Timestamp, days: u16, count: u64) -> Self {
        let hours = i64::from(days) * 24;
        let first_hour = until.as_millis().div_euclid(MS_PER_HOUR) - hours;
        let mut sum = 0;
        let by_hour = (first_hour..first_hour + hours)
            .map(|hour| {
                sum += u64::from(weight(hour));
                sum
            })
            .collect();
        Self { first_hour, by_hour, until, count: count.max(1) }
    }

    /// When the entry of this number happens; later ones never earlier.
    pub fn at(&self, number: u64) -> Timestamp {
        let all = self.by_hour.last().copied().unwrap_or(1);
        // In millionths of a weight, so that entries of one hour are spread over it.
        let place = u128::from(number.min(self.count)) * u128::from(all) * 1_000_000
            / u128::from(self.count);
        let whole = u64::try_from(place / 1_000_000).unwrap_or(u64::MAX);
        let hour = self.by_hour.partition_point(|sum| *sum <= whole).min(self.by_hour.len() - 1);
        let before = hour.checked_sub(1).map_or(0, |hour| self.by_hour[hour]);
        let weight = (self.by_hour[hour] - before).max(1);
        let within = place - u128::from(before) * 1_000_000;
        let within_ms = within * 3_600 / u128::from(weight) / 1_000;
        let within_ms = i64::try_from(within_ms).unwrap_or(0).min(MS_PER_HOUR - 1);
        let at = (self.first_hour + hour as i64) * MS_PER_HOUR + within_ms;
        Timestamp::from_millis(at).min(self.until)
    }
}

fn weight(hour: i64) -> u32 {
    let of_day = RHYTHM[usize::try_from(hour.rem_euclid(24)).unwrap_or(0)];
    if WEEKEND.contains(&hour.div_euclid(24).rem_euclid(7)) {
        of_day.div_ceil(WEEKEND_PART)
    } else {
        of_day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saturday 2026-11-21, noon.
    const NOON: Timestamp = Timestamp::from_millis(1_795_262_400_000);

    #[test]
    fn times_rise_and_lie_in_the_days_before() {
        for (days, count) in [(1, 1), (1, 10), (7, 1_000), (365, 77)] {
            let calendar = Calendar::new(NOON, days, count);
            let times: Vec<_> = (0..count).map(|number| calendar.at(number)).collect();
            assert!(times.is_sorted());
            let first = NOON.as_millis() - i64::from(days) * 24 * MS_PER_HOUR;
            assert!(times.iter().all(|at| (first..=NOON.as_millis()).contains(&at.as_millis())));
        }
    }

    #[test]
    fn most_happens_in_working_hours_of_working_days() {
        assert_eq!(NOON.to_string(), "2026-11-21T12:00:00.000Z");
        let calendar = Calendar::new(NOON, 28, 100_000);
        let mut working = 0;
        let mut weekend = 0;
        for number in 0..100_000 {
            let hour = calendar.at(number).as_millis().div_euclid(MS_PER_HOUR);
            if WEEKEND.contains(&hour.div_euclid(24).rem_euclid(7)) {
                weekend += 1;
            } else if (7..18).contains(&hour.rem_euclid(24)) {
                working += 1;
            }
        }
        assert!(working > 80_000, "{working}");
        assert!((1_000..10_000).contains(&weekend), "{weekend}");
    }
}
