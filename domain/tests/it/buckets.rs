//! Buckets follow the wall clock of any zone, without a gap and without an overlap.

use domain::{
    BUCKETS_MAX, Calendar, Interval, QUARTER_MS, Timestamp, TooManyBuckets, UnknownZone, Zone,
};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn calendar(interval: &str, zone: &str) -> Calendar {
    let interval = Interval::parse(interval).unwrap();
    Calendar { interval, zone: Zone::parse(zone).unwrap() }
}

/// The buckets from one moment to another, to the minute.
fn buckets(interval: &str, zone: &str, first: &str, last: &str) -> Vec<String> {
    let buckets = calendar(interval, zone).buckets(at(first), at(last)).unwrap();
    buckets.iter().map(|begin| begin.to_string().replace(":00.000Z", "Z")).collect()
}

/// The hours that each bucket lasts, between the first moment and the last.
fn hours(interval: &str, zone: &str, first: &str, last: &str) -> Vec<i64> {
    let buckets = calendar(interval, zone).buckets(at(first), at(last)).unwrap();
    let millis = buckets.windows(2).map(|pair| pair[1].as_millis() - pair[0].as_millis());
    millis.map(|ms| ms / 3_600_000).collect()
}

#[test]
fn a_bucket_begins_when_the_wall_clock_says_so() {
    let day = ("2026-11-20T23:00:00Z", "2026-11-21T12:00:00Z");
    assert_eq!(buckets("day", "UTC", day.0, day.1), ["2026-11-20T00:00Z", "2026-11-21T00:00Z"]);
    assert_eq!(buckets("day", "Asia/Kolkata", day.0, day.1), ["2026-11-20T18:30Z"]);
    assert_eq!(buckets("day", "Asia/Kathmandu", day.0, day.1), ["2026-11-20T18:15Z"]);
    let hour = ("2026-11-21T12:10:00Z", "2026-11-21T12:50:00Z");
    assert_eq!(
        buckets("hour", "Asia/Kolkata", hour.0, hour.1),
        ["2026-11-21T11:30Z", "2026-11-21T12:30Z"]
    );
    assert_eq!(buckets("hour", "Asia/Kathmandu", hour.0, hour.1).len(), 2);
    assert_eq!(buckets("minute", "UTC", hour.0, hour.1).len(), 41);
}

#[test]
fn weeks_begin_on_monday_and_months_on_the_first() {
    let range = ("2026-11-22T23:59:59Z", "2026-12-01T00:00:00Z");
    assert_eq!(
        buckets("week", "UTC", range.0, range.1),
        ["2026-11-16T00:00Z", "2026-11-23T00:00Z", "2026-11-30T00:00Z"]
    );
    assert_eq!(
        buckets("month", "UTC", range.0, range.1),
        ["2026-11-01T00:00Z", "2026-12-01T00:00Z"]
    );
    assert_eq!(
        buckets("month", "America/New_York", range.0, range.1),
        ["2026-11-01T04:00Z"],
        "it is still November there, and was summer when it began"
    );
    assert_eq!(buckets("month", "UTC", "1970-01-31T00:00:00Z", "1971-01-01T00:00:00Z").len(), 13);
}

#[test]
fn days_are_as_long_as_clocks_make_them() {
    let berlin = |first, last| hours("day", "Europe/Berlin", first, last);
    assert_eq!(berlin("2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z"), [24, 23]);
    assert_eq!(berlin("2026-10-24T00:00:00Z", "2026-10-26T12:00:00Z"), [24, 25]);
    // An hour at midnight that comes twice, and one that never comes.
    assert_eq!(
        hours("day", "America/Havana", "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z"),
        [24, 25]
    );
    assert_eq!(
        buckets("day", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T12:00:00Z"),
        ["2018-11-03T03:00Z", "2018-11-04T03:00Z"]
    );
    // From 00:01 back to 23:01 of the day before, which has ended already.
    assert_eq!(
        buckets("day", "America/St_Johns", "2010-11-06T12:00:00Z", "2010-11-08T12:00:00Z"),
        ["2010-11-06T02:30Z", "2010-11-07T02:30Z", "2010-11-08T03:30Z"]
    );
}

#[test]
fn a_day_that_a_country_skipped_has_no_bucket() {
    assert_eq!(
        buckets("day", "Pacific/Apia", "2011-12-29T12:00:00Z", "2012-01-01T00:00:00Z"),
        ["2011-12-29T10:00Z", "2011-12-30T10:00Z", "2011-12-31T10:00Z"],
        "the 29th, the 31st and the 1st"
    );
    assert_eq!(
        buckets("week", "Pacific/Apia", "2011-12-29T12:00:00Z", "2012-01-02T12:00:00Z"),
        ["2011-12-26T10:00Z", "2012-01-01T10:00Z"]
    );
}

#[test]
fn hours_are_those_of_the_wall_clock_even_where_it_moves_by_half_of_one() {
    assert_eq!(
        hours("hour", "Europe/Berlin", "2026-10-24T22:30:00Z", "2026-10-25T03:00:00Z"),
        [1, 1, 1, 1, 1],
        "the hour that comes twice is two buckets"
    );
    assert_eq!(
        buckets("hour", "Australia/Lord_Howe", "2026-04-04T13:10:00Z", "2026-04-04T16:00:00Z"),
        ["2026-04-04T13:00Z", "2026-04-04T14:00Z", "2026-04-04T15:30Z"],
        "one o'clock lasts 90 minutes when clocks go back by 30"
    );
    assert_eq!(
        buckets("hour", "Australia/Lord_Howe", "2026-10-03T14:40:00Z", "2026-10-03T16:30:00Z"),
        ["2026-10-03T14:30Z", "2026-10-03T15:30Z", "2026-10-03T16:00Z"],
        "two o'clock lasts 30 minutes when they go on"
    );
}

#[test]
fn too_many_buckets_are_refused_and_one_less_is_not() {
    let calendar = calendar("minute", "UTC");
    let first = at("2026-11-21T00:00:00Z");
    let last = |buckets: i64| first.plus_millis((buckets - 1) * 60_000);
    let max = i64::try_from(BUCKETS_MAX).unwrap();
    assert_eq!(calendar.buckets(first, last(max)).unwrap().len(), BUCKETS_MAX);
    assert_eq!(calendar.buckets(first, last(max + 1)), Err(TooManyBuckets));
    assert_eq!(calendar.buckets(Timestamp::MIN, Timestamp::MAX), Err(TooManyBuckets));
}

#[test]
fn the_ends_of_time_have_buckets_too() {
    for zone in ["UTC", "Pacific/Kiritimati", "Etc/GMT+12", "America/St_Johns"] {
        for interval in Interval::ALL {
            let calendar = Calendar { interval, zone: Zone::parse(zone).unwrap() };
            for edge in [Timestamp::MIN, Timestamp::MAX] {
                assert!(!calendar.buckets(edge, edge).unwrap().is_empty());
            }
        }
    }
}

#[test]
fn zones_are_known_by_their_names_alone() {
    for name in ["UTC", "Etc/UTC", "Europe/Berlin", "europe/berlin", "Asia/Calcutta", "EST5EDT"] {
        assert!(Zone::parse(name).is_ok(), "{name}");
    }
    for name in ["", "Berlin", "Etc/Unknown", "+02:00", "../etc/passwd", "Europe/Berlin ", "CET-1"]
    {
        assert_eq!(Zone::parse(name), Err(UnknownZone), "{name}");
    }
}

#[test]
fn all_but_few_zones_keep_to_quarters_of_an_hour() {
    for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"] {
        assert_eq!(calendar("day", zone).grain_ms(), QUARTER_MS, "{zone}");
        assert_eq!(calendar("minute", zone).grain_ms(), 60_000, "{zone}");
    }
    // 44 minutes and 30 seconds until 1972.
    assert_eq!(calendar("month", "Africa/Monrovia").grain_ms(), 1_000);
    let zones = TimeZoneDatabase::bundled();
    let others = zones.available().filter(|name| name.as_str() != "Etc/Unknown");
    let others = others.filter(|name| calendar("day", name.as_str()).grain_ms() != QUARTER_MS);
    let others: Vec<_> = others.map(|name| name.to_string()).collect();
    assert!(others.len() < 12, "{others:?}");
}

fn zones() -> impl Strategy<Value = String> {
    let all: Vec<String> = TimeZoneDatabase::bundled()
        .available()
        .map(|name| name.to_string())
        .filter(|name| name != "Etc/Unknown")
        .collect();
    let odd = ["Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"]
        .into_iter()
        .chain(["Africa/Monrovia", "America/St_Johns", "America/Havana", "Europe/Berlin"])
        .map(str::to_owned);
    prop_oneof![proptest::sample::select(odd.collect::<Vec<_>>()), proptest::sample::select(all)]
}

/// Moments since 1970, many of them close to a change of the zone's clock.
fn moments(zone: &str) -> impl Strategy<Value = i64> + use<> {
    let day = 86_400_000_i64;
    let until = at("2060-01-01T00:00:00Z").as_millis();
    let zone = TimeZone::get(zone).or_else(|_| TimeZoneDatabase::bundled().get(zone)).unwrap();
    let changes = zone.following(jiff::Timestamp::UNIX_EPOCH).take(200);
    let mut changes: Vec<i64> = changes.map(|change| change.timestamp().as_millisecond()).collect();
    changes.push(0);
    let close = (proptest::sample::select(changes), -2 * day..2 * day)
        .prop_map(|(change, off)| (change + off).max(0));
    prop_oneof![0..until, close]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn buckets_follow_each_other_and_hold_their_moments(
        (zone, first) in zones().prop_flat_map(|zone| {
            let moments = moments(&zone);
            (Just(zone), moments)
        }),
        interval in proptest::sample::select(Interval::ALL.to_vec()),
        length in 0..400_i64,
        inner in 0.0..1.0_f64,
    ) {
        let hour = 3_600_000;
        let unit = match interval {
            Interval::Minute => 60_000,
            Interval::Hour => hour,
            Interval::Day => 24 * hour,
            Interval::Week => 168 * hour,
            Interval::Month => 720 * hour,
        };
        let calendar = Calendar { interval, zone: Zone::parse(&zone).unwrap() };
        let (first, last) = (
            Timestamp::from_millis(first),
            Timestamp::from_millis(first + length * unit / 3),
        );
        let begins = calendar.buckets(first, last).unwrap();
        let end = begins.last().unwrap().plus_millis(32 * 24 * hour);
        prop_assert!(begins[0] <= first && *begins.last().unwrap() <= last);
        prop_assert!(begins.is_sorted_by(|a, b| a < b), "{begins:?}");
        let grain = calendar.grain_ms();
        for (begin, next) in begins.iter().zip(begins[1..].iter().chain([&end])) {
            prop_assert_eq!(begin.as_millis() % grain, 0);
            prop_assert_eq!(calendar.bucket_of(*begin), *begin);
            if *next != end {
                let length = next.as_millis() - begin.as_millis();
                #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "any moment will do")]
                let within = (length as f64 * inner) as i64;
                prop_assert_eq!(calendar.bucket_of(begin.plus_millis(within)), *begin);
                prop_assert_eq!(calendar.bucket_of(next.plus_millis(-1)), *begin);
            }
        }
        for moment in [first, last] {
            let n = begins.partition_point(|begin| *begin <= moment);
            prop_assert_eq!(begins[n - 1], calendar.bucket_of(moment));
        }
    }
}
