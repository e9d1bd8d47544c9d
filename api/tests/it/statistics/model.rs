//! Random logs, asked random questions, against a model that is as simple as can be.
//!
//! The model knows nothing of quarters, windows or cursors, and has time zones from `jiff` alone.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;
use std::time::Duration as StdDuration;

use jiff::tz::TimeZoneDatabase;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{BEGIN, Log, Row, app_with_past};
use crate::support::seeds::for_seeds;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Logs in a soak.
const SEEDS: usize = 100;

/// After so long no further log is begun, outside of a soak.
const TIME_FOR_SEEDS: StdDuration = StdDuration::from_secs(20);

/// Questions to each state of a log.
const QUESTIONS: usize = 12;

const ACTIONS: [&str; 4] = ["VIEW", "CREATE", "UPDATE", "invoice.approved"];
const TYPES: [&str; 3] = ["user", "invoice", "Zürich"];
const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const SEVERITIES: [&str; 4] = ["INFO", "WARNING", "ERROR", "CRITICAL"];
const FIELDS: [&str; 4] = ["action", "severity", "resource_type", "user_id"];
const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
];

#[tokio::test(flavor = "multi_thread")]
async fn answers_agree_with_a_simple_model() {
    let app = app_with_past().await;
    for_seeds("statistics", SEEDS, TIME_FOR_SEEDS, async |seed| {
        let mut random = StdRng::seed_from_u64(seed);
        live_through(&mut Log::new(&app).await, &mut random).await;
    })
    .await;
}

/// A log grows, is counted and expires, and is asked in between.
async fn live_through(log: &mut Log<'_>, random: &mut StdRng) {
    let mut now = BEGIN;
    for _ in 0..random.random_range(2..6) {
        let rows: Vec<Row> = (0..random.random_range(0..400))
            .map(|_| {
                now += Duration::milliseconds(random.random_range(0..14_400_000));
                row(random, now)
            })
            .collect();
        log.append(&rows).await;
        if random.random_bool(0.6) {
            assert!(log.count().await.is_some());
        }
        if random.random_bool(0.3) && !log.rows.is_empty() {
            let index = random.random_range(log.floor_seq - 1..log.rows.len());
            log.expire_before(index).await;
        }
        for _ in 0..QUESTIONS {
            let question = Question::any(random, now);
            let answer = log.ask(&question.parameters()).await;
            let expected = question.answer(log.unexpired());
            assert_eq!(answer.body["data"], expected, "{question:?}");
            assert_eq!(answer.body["partial"], false, "{question:?}");
        }
    }
}

fn row(random: &mut StdRng, now: OffsetDateTime) -> Row {
    let one_of =
        |random: &mut StdRng, values: &[&str]| (*values.choose(random).unwrap()).to_owned();
    let late = match random.random_range(0..10) {
        0 => Duration::milliseconds(random.random_range(0..3_000_000_000)),
        1 => Duration::milliseconds(random.random_range(-590_000..600_000)),
        _ => Duration::ZERO,
    };
    Row {
        recorded_at: now,
        occurred_at: now - late,
        user_id: one_of(random, &USERS),
        action: one_of(random, &ACTIONS),
        resource_type: one_of(random, &TYPES),
        severity: random.random_range(0..4),
    }
}

#[derive(Debug, Default)]
struct Question {
    from: Option<OffsetDateTime>,
    to: Option<OffsetDateTime>,
    /// Parameters and values that make a filter.
    filter: Vec<(&'static str, &'static str)>,
    severity_min: Option<usize>,
    group_by: Vec<&'static str>,
    interval: Option<&'static str>,
    zone: &'static str,
}

impl Question {
    fn any(random: &mut StdRng, now: OffsetDateTime) -> Self {
        let mut question = Self { zone: ZONES.choose(random).unwrap(), ..Self::default() };
        let intervals =
            [None, None, Some("hour"), Some("day"), Some("week"), Some("month"), Some("minute")];
        question.interval = *intervals.choose(random).unwrap();
        let span = (now - BEGIN).whole_minutes().max(1);
        let step = *[1, 15, 60, 1_440].choose(random).unwrap();
        let moment = |random: &mut StdRng| {
            let minutes = random.random_range(-60..span + 60);
            BEGIN + Duration::minutes(minutes - minutes.rem_euclid(step))
        };
        question.from = random.random_bool(0.5).then(|| moment(random));
        question.to = random.random_bool(0.5).then(|| moment(random));
        if let (Some(from), Some(to)) = (question.from, question.to)
            && from > to
        {
            (question.from, question.to) = (question.to, question.from);
        }
        // So that all of 16 groups fit into an answer, whatever the log holds.
        let longest = match question.interval {
            Some("minute") => Some(Duration::hours(5)),
            Some("hour") => Some(Duration::days(12)),
            _ => None,
        };
        if let Some(longest) = longest {
            let from = question.from.unwrap_or_else(|| moment(random));
            let to = question.to.filter(|to| *to >= from).unwrap_or(from + longest);
            (question.from, question.to) = (Some(from), Some(to.min(from + longest)));
        }
        question.add_filters(random);
        for _ in 0..random.random_range(0..3) {
            let field = *FIELDS.choose(random).unwrap();
            if !question.group_by.contains(&field) {
                question.group_by.push(field);
            }
        }
        question
    }

    fn add_filters(&mut self, random: &mut StdRng) {
        let known: [(&str, &[&str]); 4] = [
            ("action", &ACTIONS),
            ("resource_type", &TYPES),
            ("severity", &SEVERITIES),
            ("user_id", &USERS),
        ];
        for (name, values) in known {
            if random.random_bool(0.2) {
                for _ in 0..random.random_range(1..3) {
                    self.filter.push((name, values.choose(random).unwrap()));
                }
            }
        }
        self.severity_min = random.random_bool(0.2).then(|| random.random_range(0..4));
    }

    fn parameters(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let rfc3339 = time::format_description::well_known::Rfc3339;
        for (name, at) in [("from", self.from), ("to", self.to)] {
            if let Some(at) = at {
                query.append_pair(name, &at.format(&rfc3339).unwrap());
            }
        }
        query.extend_pairs(&self.filter);
        query.extend_pairs(self.severity_min.map(|rank| ("severity_min", SEVERITIES[rank])));
        query.extend_pairs(self.interval.map(|interval| ("interval", interval)));
        query.extend_pairs(self.group_by.iter().map(|field| ("group_by", field)));
        query.append_pair("tz", self.zone);
        query.finish()
    }

    fn passes(&self, row: &Row) -> bool {
        self.from.is_none_or(|from| row.occurred_at >= from)
            && self.to.is_none_or(|to| row.occurred_at < to)
            && self.severity_min.is_none_or(|rank| usize::try_from(row.severity).unwrap() >= rank)
            && FIELDS.iter().all(|field| {
                let mut values = self.filter.iter().filter(|(name, _)| name == field).peekable();
                values.peek().is_none() || values.any(|(_, value)| *value == value_of(row, field).1)
            })
    }

    fn answer(&self, rows: &[Row]) -> Value {
        let rows: Vec<&Row> = rows.iter().filter(|row| self.passes(row)).collect();
        let mut groups = BTreeSet::new();
        if self.group_by.is_empty() {
            groups.insert(Vec::new());
        }
        let mut counts: HashMap<_, i64> = HashMap::new();
        for row in &rows {
            let group: Vec<_> = self.group_by.iter().map(|field| value_of(row, field)).collect();
            groups.insert(group.clone());
            let bucket = self.interval.map(|_| self.bucket(row.occurred_at));
            *counts.entry((bucket, group)).or_default() += 1;
        }
        let mut data = Vec::new();
        for bucket in self.buckets(&rows) {
            for group in &groups {
                let mut line = serde_json::Map::new();
                if let Some(at) = bucket {
                    let at = domain::Timestamp::from_millis(at.as_millisecond());
                    line.insert("bucket".to_owned(), json!(at));
                }
                for (field, (_, value)) in self.group_by.iter().zip(group) {
                    line.insert((*field).to_owned(), json!(value));
                }
                let count = counts.get(&(bucket, group.clone())).copied().unwrap_or_default();
                line.insert("count".to_owned(), json!(count));
                data.push(Value::Object(line));
            }
        }
        Value::Array(data)
    }

    /// The beginnings of all buckets of the range.
    fn buckets(&self, rows: &[&Row]) -> Vec<Option<jiff::Timestamp>> {
        if self.interval.is_none() {
            return vec![None];
        }
        let moments = || rows.iter().map(|row| row.occurred_at);
        let first = self.from.or_else(|| moments().min());
        let last = self.to.map(|to| to - Duration::milliseconds(1)).or_else(|| moments().max());
        let (Some(first), Some(last)) = (first, last) else { return Vec::new() };
        let mut buckets = Vec::new();
        // Small enough to miss no bucket, and the end itself.
        let mut at = first;
        while at <= last {
            buckets.push(Some(self.bucket(at)));
            at += Duration::minutes(if self.interval == Some("minute") { 1 } else { 15 });
        }
        if first <= last {
            buckets.push(Some(self.bucket(last)));
        }
        buckets.dedup();
        buckets
    }

    /// Where the bucket begins that holds a moment. In the months of these logs, clocks change by
    /// whole hours only.
    fn bucket(&self, at: OffsetDateTime) -> jiff::Timestamp {
        let at = jiff::Timestamp::from_nanosecond(at.unix_timestamp_nanos()).unwrap();
        let zone = DATABASE.get(self.zone).unwrap();
        let local = at.to_zoned(zone.clone());
        let date = match self.interval {
            Some("day") => local.date(),
            Some("week") => {
                let days = i64::from(local.weekday().to_monday_zero_offset());
                local.date().saturating_sub(jiff::Span::new().days(days))
            }
            Some("month") => local.date().first_of_month(),
            unit => {
                let unit = if unit == Some("minute") { 60 } else { 3_600 };
                let wall = at.as_second() + i64::from(local.offset().seconds());
                return jiff::Timestamp::from_second(at.as_second() - wall.rem_euclid(unit))
                    .unwrap();
            }
        };
        date.to_zoned(zone).unwrap().timestamp()
    }
}

/// A field's place in the order, and its value.
fn value_of(row: &Row, field: &str) -> (usize, String) {
    match field {
        "action" => (0, row.action.clone()),
        "resource_type" => (0, row.resource_type.clone()),
        "user_id" => (0, row.user_id.clone()),
        _ => {
            let rank = usize::try_from(row.severity).unwrap();
            (rank, SEVERITIES[rank].to_owned())
        }
    }
}
