//! Lists and exports against a model in memory: random logs, random filters.

use std::time::Duration;

use domain::TenantId;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{Duration as Span, OffsetDateTime};

use crate::support::app::{Caller, TestApp};
use crate::support::history::{self, Past};
use crate::support::seeds::for_seeds;

const USERS: [&str; 4] = ["alice", "bob", "Übung", "a b&c=d%"];
const ACTIONS: [&str; 3] = ["VIEW", "UPDATE", "invoice.approved"];
const TYPES: [&str; 2] = ["invoice", "thing"];
const SEVERITIES: [&str; 4] = ["INFO", "WARNING", "ERROR", "CRITICAL"];

/// A log with dense and empty times, and entries that came late.
fn random_log(random: &mut StdRng) -> Vec<Past> {
    let mut at = datetime!(2023-12-30 0:00 UTC);
    (0..random.random_range(0..400))
        .map(|_| {
            at += match random.random_range(0..20) {
                0 => Span::days(random.random_range(1..60)),
                1..4 => Span::hours(random.random_range(1..20)),
                4..8 => Span::ZERO,
                _ => Span::milliseconds(random.random_range(1..100_000)),
            };
            let late = match random.random_range(0..10) {
                0 => Span::days(random.random_range(0..400)),
                1 => -Span::minutes(random.random_range(0..10)),
                _ => Span::milliseconds(random.random_range(0..2_000)),
            };
            Past {
                occurred_at: at - late,
                user_id: (*USERS.choose(random).unwrap()).to_owned(),
                request_id: random
                    .random_bool(0.3)
                    .then(|| format!("r{}", random.random_range(0..9))),
                action: (*ACTIONS.choose(random).unwrap()).to_owned(),
                resource_type: (*TYPES.choose(random).unwrap()).to_owned(),
                resource_id: random.random_bool(0.5).then(|| random.random_range(0..5).to_string()),
                severity: random.random_range(0..4),
                ..Past::at(at)
            }
        })
        .collect()
}

/// What a filter says, and whether an entry passes.
#[derive(Debug, Default)]
struct Wanted {
    pairs: Vec<(&'static str, String)>,
    from: Option<OffsetDateTime>,
    to: Option<OffsetDateTime>,
    severity_min: Option<i16>,
}

impl Wanted {
    fn random(random: &mut StdRng, log: &[Past]) -> Self {
        let mut wanted = Self::default();
        let mut maybe_any = |random: &mut StdRng, name, values: &[&str]| {
            for value in values {
                if random.random_bool(0.15) {
                    wanted.pairs.push((name, (*value).to_owned()));
                }
            }
        };
        maybe_any(random, "user_id", &USERS);
        maybe_any(random, "action", &ACTIONS);
        maybe_any(random, "resource_type", &TYPES);
        maybe_any(random, "request_id", &["r1", "r2"]);
        maybe_any(random, "resource_id", &["0", "3"]);
        maybe_any(random, "severity", &SEVERITIES);
        if random.random_bool(0.3) {
            let rank = random.random_range(0..4_i16);
            wanted.severity_min = Some(rank);
        }
        let count = random.random_range(0..3);
        let mut times: Vec<_> =
            (0..count).filter_map(|_| log.choose(random).map(|entry| entry.occurred_at)).collect();
        times.sort_unstable();
        match times[..] {
            [from, to] => (wanted.from, wanted.to) = (Some(from), Some(to)),
            [one] if random.random_bool(0.5) => wanted.from = Some(one),
            [one] => wanted.to = Some(one),
            _ => {}
        }
        wanted
    }

    fn passes(&self, entry: &Past) -> bool {
        let any = |name: &str, value: Option<&str>| {
            let values: Vec<_> =
                self.pairs.iter().filter(|(known, _)| *known == name).map(|(_, v)| v).collect();
            values.is_empty() || value.is_some_and(|value| values.iter().any(|v| *v == value))
        };
        let severity = usize::try_from(entry.severity).unwrap();
        any("user_id", Some(&entry.user_id))
            && any("action", Some(&entry.action))
            && any("resource_type", Some(&entry.resource_type))
            && any("request_id", entry.request_id.as_deref())
            && any("resource_id", entry.resource_id.as_deref())
            && any("severity", Some(SEVERITIES[severity]))
            && self.severity_min.is_none_or(|least| entry.severity >= least)
            && self.from.is_none_or(|from| entry.occurred_at >= from)
            && self.to.is_none_or(|to| entry.occurred_at < to)
    }

    fn query(&self) -> String {
        let mut query = url_query();
        for (name, value) in &self.pairs {
            query.append_pair(name, value);
        }
        for (name, at) in [("from", self.from), ("to", self.to)] {
            if let Some(at) = at {
                query.append_pair(name, &at.format(&Rfc3339).unwrap());
            }
        }
        if let Some(least) = self.severity_min {
            query.append_pair("severity_min", SEVERITIES[usize::try_from(least).unwrap()]);
        }
        query.finish()
    }
}

fn url_query() -> form_urlencoded::Serializer<'static, String> {
    form_urlencoded::Serializer::new(String::new())
}

async fn listed(caller: &Caller<'_>, query: &str, random: &mut StdRng) -> Vec<i64> {
    let (mut seqs, mut cursor) = (Vec::new(), String::new());
    loop {
        let limit = random.random_range(1..120);
        let answer = caller.get(&format!("/logs?{query}&limit={limit}{cursor}")).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        let data = answer.body["data"].as_array().unwrap();
        assert!(data.len() <= limit);
        seqs.extend(data.iter().map(|entry| entry["seq"].as_i64().unwrap()));
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seqs,
        }
    }
}

async fn exported(caller: &Caller<'_>, query: &str) -> Vec<i64> {
    let answer = caller.get(&format!("/logs/export?format=json&{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let entries = answer.body.as_array().unwrap();
    entries.iter().map(|entry| entry["seq"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_exports_agree_with_a_model() {
    let app = TestApp::start().await;
    let mut admin = app.db.admin().await;
    history::make_room(&mut admin).await;
    for_seeds("lists and exports", 200, Duration::from_secs(15), async |seed| {
        let mut random = StdRng::seed_from_u64(seed);
        let tenant_id: TenantId = app.tenant().await;
        let log = random_log(&mut random);
        history::write(&mut app.db.admin().await, tenant_id, &log).await;
        let caller = app.caller(tenant_id, "auditor");
        for _ in 0..10 {
            let wanted = Wanted::random(&mut random, &log);
            let numbered = (1..).zip(&log);
            let mut expected: Vec<i64> =
                numbered.filter(|(_, entry)| wanted.passes(entry)).map(|(seq, _)| seq).collect();
            // Not the traces that earlier exports have left.
            let query = wanted.query();
            let ours = |seqs: Vec<i64>| -> Vec<i64> {
                let end = i64::try_from(log.len()).unwrap();
                seqs.into_iter().filter(|seq| *seq <= end).collect()
            };
            let up = ours(listed(&caller, &format!("{query}&order=asc"), &mut random).await);
            assert_eq!(up, expected, "{wanted:?}");
            assert_eq!(ours(exported(&caller, &query).await), expected, "{wanted:?}");
            expected.reverse();
            let down = ours(listed(&caller, &query, &mut random).await);
            assert_eq!(down, expected, "{wanted:?}");
        }
    })
    .await;
}
