//! Counts become rows: in order, filled with zeros, the largest first to stay.

use domain::{
    Calendar, Filter, GroupBy, GroupValue, Interval, InvalidGroupBy, ROWS_MAX, Severity,
    StatsQuery, Tally, Timestamp, Zone,
};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn text(value: &str) -> Vec<GroupValue> {
    vec![GroupValue::Text(value.to_owned())]
}

fn days(filter: Filter, group_by: &[GroupBy]) -> StatsQuery {
    let calendar = Calendar { interval: Interval::Day, zone: Zone::UTC };
    StatsQuery { filter, group_by: group_by.to_vec(), calendar: Some(calendar) }
}

fn json(tally: Tally, query: &StatsQuery) -> (serde_json::Value, bool) {
    let (rows, fit) = tally.rows(query).unwrap();
    (serde_json::to_value(rows).unwrap(), fit)
}

#[test]
fn without_anything_to_tell_apart_there_is_one_count() {
    let query = StatsQuery::default();
    assert_eq!(json(Tally::default(), &query), (serde_json::json!([{ "count": 0 }]), true));
    let mut tally = Tally::default();
    tally.add(None, Vec::new(), 2);
    tally.add(None, Vec::new(), 3);
    assert_eq!(json(tally, &query), (serde_json::json!([{ "count": 5 }]), true));
}

#[test]
fn every_group_is_in_every_bucket_and_all_are_in_order() {
    let mut tally = Tally::default();
    for (moment, action, severity, count) in [
        ("2026-11-21T10:00:00Z", "VIEW", Severity::Info, 2),
        ("2026-11-19T10:00:00Z", "VIEW", Severity::Critical, 1),
        ("2026-11-19T00:00:00Z", "DELETE", Severity::Error, 4),
    ] {
        let group = vec![GroupValue::Text(action.to_owned()), GroupValue::Severity(severity)];
        tally.add(Some(at(moment)), group, count);
    }
    let query = days(Filter::default(), &[GroupBy::Action, GroupBy::Severity]);
    let (rows, fit) = json(tally, &query);
    assert!(fit);
    let rows: Vec<_> = rows.as_array().unwrap().iter().map(ToString::to_string).collect();
    let mut expected = Vec::new();
    for (day, counts) in [(19, [4, 0, 1]), (20, [0, 0, 0]), (21, [0, 2, 0])] {
        let groups = [("DELETE", "ERROR"), ("VIEW", "INFO"), ("VIEW", "CRITICAL")];
        for ((action, severity), count) in groups.iter().zip(counts) {
            expected.push(
                serde_json::json!({
                    "bucket": format!("2026-11-{day}T00:00:00.000Z"),
                    "action": action, "severity": severity, "count": count,
                })
                .to_string(),
            );
        }
    }
    assert_eq!(rows, expected);
}

#[test]
fn the_range_is_what_was_asked_for_or_what_was_counted() {
    let (from, to) = (Some(at("2026-11-18T12:00:00Z")), Some(at("2026-11-23T00:00:00Z")));
    let counted = || {
        let mut tally = Tally::default();
        tally.add(Some(at("2026-11-20T00:00:00Z")), Vec::new(), 1);
        tally
    };
    let buckets = |tally: Tally, from, to| {
        let query = days(Filter { from, to, ..Filter::default() }, &[]);
        tally.rows(&query).unwrap().0.len()
    };
    assert_eq!(buckets(counted(), None, None), 1);
    assert_eq!(buckets(counted(), from, None), 3);
    assert_eq!(buckets(counted(), None, to), 3);
    assert_eq!(buckets(counted(), from, to), 5);
    assert_eq!(buckets(Tally::default(), from, to), 5);
    assert_eq!(buckets(Tally::default(), from, None), 0);
    assert_eq!(buckets(Tally::default(), from, from), 0);
}

#[test]
fn of_more_groups_than_fit_the_largest_stay() {
    let query = StatsQuery { group_by: vec![GroupBy::UserId], ..StatsQuery::default() };
    let mut tally = Tally::default();
    for n in 0..=ROWS_MAX {
        tally.add(None, text(&format!("user-{n:04}")), 1 + i64::from(n % 2 == 0));
    }
    let (rows, fit) = tally.rows(&query).unwrap();
    assert!(!fit);
    assert_eq!(rows.len(), ROWS_MAX);
    assert_eq!(rows.iter().filter(|row| row.count == 2).count(), ROWS_MAX / 2 + 1);
    assert!(rows.is_sorted_by_key(|row| row.group[0].1.clone()));
}

#[test]
fn buckets_leave_room_for_fewer_groups() {
    let (from, to) = (Some(at("2025-01-01T00:00:00Z")), Some(at("2027-01-01T00:00:00Z")));
    let query = days(Filter { from, to, ..Filter::default() }, &[GroupBy::Action]);
    let mut tally = Tally::default();
    for n in 0..7 {
        tally.add(Some(at("2026-06-01T00:00:00Z")), text(&format!("A{n}")), 7 - n);
    }
    let (rows, fit) = tally.rows(&query).unwrap();
    assert!(!fit);
    assert_eq!(rows.len(), 730 * 6, "6 × 730 rows are fewer than 5,000, and 7 × 730 more");
    assert!(rows.iter().all(|row| row.group[0].1 != text("A6")[0]));
}

#[test]
fn fields_to_group_by_come_together_or_apart() {
    use GroupBy::{Action, Severity, UserId};
    for (values, expected) in [
        (&[][..], Ok(vec![])),
        (&["action"], Ok(vec![Action])),
        (&["user_id,severity"], Ok(vec![UserId, Severity])),
        (&["user_id", "severity"], Ok(vec![UserId, Severity])),
        (&["action", "action"], Err(InvalidGroupBy::Twice { name: "action" })),
        (&["severity,severity"], Err(InvalidGroupBy::Twice { name: "severity" })),
        (&["action,severity,user_id"], Err(InvalidGroupBy::TooMany)),
        (&["message"], Err(InvalidGroupBy::Unknown)),
        (&["action,"], Err(InvalidGroupBy::Unknown)),
    ] {
        assert_eq!(GroupBy::read(values.iter().copied()), expected, "{values:?}");
    }
}
