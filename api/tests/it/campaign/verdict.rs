//! Sets compared, when nothing comes any more: what was promised, what the logs hold, what the index
//! holds, and what everybody saw.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::asking::{Asked, Door};
use super::crew::Haul;
use super::exporters;
use super::ledger::{Book, Kept, Ledger};
use super::readers::{self, Kind};
use super::stage::{Scene, Stage, TENANTS};
use super::truth::{Fact, Log};
use super::writers;
use crate::support::parts;

/// Keys that are tried once more at the end.
const KEYS: usize = 40;

/// Violations of a kind that are named.
const NAMED: usize = 5;

/// How long the repair may take to look at all logs again, and between two looks at the index.
const REPAIRED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long one last request may be asked again.
const LAST: Duration = Duration::from_secs(30);

/// What is wrong, by all that is known once nothing comes any more.
pub(super) async fn judge(
    stage: &Stage,
    ledger: &Ledger,
    logs: &[Log],
    haul: &Haul,
) -> Vec<String> {
    let mut found = haul.given_up.clone();
    found.extend(haul.courses.iter().filter_map(|course| course.problem.clone()));
    found.extend(haul.walks.iter().filter_map(|walk| walk.judge(&logs[walk.tenant])));
    let exports = haul.exports.iter();
    found.extend(exports.filter_map(|export| export.judge(&logs[export.tenant])));
    for (tenant, log) in logs.iter().enumerate() {
        found.extend(judge_order(tenant, log));
    }
    found.extend(judge_promises(&ledger.book(), logs));
    found.extend(judge_index(stage, logs).await);
    found
}

/// No gap, no step back, nothing gone above the floor.
fn judge_order(tenant: usize, log: &Log) -> Option<String> {
    let rows: Vec<_> = log.rows.iter().copied().filter(|seq| *seq >= log.floor).collect();
    let gapless: Vec<_> = (log.floor..=log.head).collect();
    if rows != gapless {
        let (floor, head, rows) = (log.floor, log.head, rows.len());
        return Some(format!("the log of tenant {tenant} has a gap: {rows} of {floor} to {head}"));
    }
    let back = log.facts.values().is_sorted_by_key(|fact| fact.recorded_ms);
    (!back).then(|| format!("the log of tenant {tenant} goes back in time"))
}

/// What was acknowledged is there and once; what is there was sent, and not denied.
fn judge_promises(book: &Book, logs: &[Log]) -> Vec<String> {
    let mut there: HashMap<Uuid, (usize, &str)> = HashMap::new();
    let (mut twice, mut strays, mut denied) = (Vec::new(), Vec::new(), Vec::new());
    let mut markers = HashSet::new();
    for (tenant, log) in logs.iter().enumerate() {
        for fact in log.facts.values().filter(|fact| is_sent(fact)) {
            let marker = fact.value["resource_id"].as_str().unwrap_or_default();
            there.insert(fact.value["id"].as_str().unwrap().parse().unwrap(), (tenant, marker));
            if !markers.insert(marker) {
                twice.push(format!("{marker} is in the log twice"));
            }
            if !book.sent.contains(marker) {
                strays.push(format!("nobody sent {marker} of tenant {tenant}"));
            }
            if book.denied.contains(marker) {
                denied.push(format!("{marker} is in the log, but it was denied"));
            }
        }
    }
    let promised = book.acknowledged.iter();
    let lost = promised.filter(|(id, (tenant, marker))| {
        there.get(id).is_none_or(|found| *found != (*tenant, marker.as_str()))
    });
    let lost = lost.map(|(id, (_, marker))| format!("acknowledged, not in the log: {marker} {id}"));
    [lost.collect(), twice, strays, denied].into_iter().flat_map(few).collect()
}

/// Whether it is neither the service's own nor of the past.
fn is_sent(fact: &Fact) -> bool {
    let past = fact.value["message"].as_str().is_some_and(|said| said.starts_with("entry number"));
    !fact.seen.own && !past
}

fn few(mut found: Vec<String>) -> Vec<String> {
    let more = found.len().saturating_sub(NAMED);
    found.truncate(NAMED);
    found.extend((more > 0).then(|| format!("… and {more} more")));
    found
}

/// What is wrong with the index, and stays so: a message that comes late brings back documents of
/// entries that have expired meanwhile, until the repair has looked again.
async fn judge_index(stage: &Stage, logs: &[Log]) -> Vec<String> {
    let deadline = Instant::now() + REPAIRED_WITHIN;
    loop {
        let found = compare_index(stage, logs).await;
        if found.is_empty() || Instant::now() > deadline {
            return found;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// By two counts that share no code with the service.
async fn compare_index(stage: &Stage, logs: &[Log]) -> Vec<String> {
    let mut found = Vec::new();
    let entries: i64 = logs.iter().map(|log| log.head - log.floor + 1).sum();
    let documents = stage.deployed.documents(&json!({ "match_all": {} })).await;
    if documents.cast_signed() != entries {
        found.push(format!("{documents} documents in the index of {entries} entries"));
    }
    let (url, _) =
        stage.cluster.admin_url.split_once('?').unwrap_or((&stage.cluster.admin_url, ""));
    let script = parts::root().join("dev/compare-index.py");
    let mut comparing = Command::new("python3");
    comparing.arg(script).args([url, &stage.deployed.search_url, &stage.deployed.name]);
    let ended = comparing.output().await.unwrap();
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stdout);
        found.push(format!("the index is not the log: {said:.1000}"));
    }
    found
}

/// What the service itself says at the end: keys, certificates, counts, and every way to read all.
/// Fails at the first thing that is wrong.
pub(super) async fn question(scene: &Scene, ledger: &Ledger, logs: &[Log]) {
    let mut door = Door::new(scene, 0);
    let mut rng = SmallRng::seed_from_u64(0);
    let kept: Vec<Kept> = ledger.book().kept.choose_multiple(&mut rng, KEYS).cloned().collect();
    for kept in &kept {
        question_key(&mut door, kept).await;
    }
    for (tenant, log) in logs.iter().enumerate() {
        question_counts(&mut door, tenant, log).await;
        question_certificates(&mut door, tenant, log).await;
        for kind in [Kind::Ascending, Kind::Descending, Kind::Search] {
            let walk = readers::walk(&mut door, ledger, (tenant, 0, kind), 1_000).await.unwrap();
            let problem = walk.judge(log);
            assert!(problem.is_none() && walk.whole, "in the end: {problem:?}");
            assert!(kind != Kind::Search || walk.indexed, "in the end, a search not by the index");
        }
        let export = exporters::whole(&mut door, &mut rng, tenant, 0).await;
        assert_eq!(export.len() as i64, log.head - log.floor + 1, "in the end, an export of less");
    }
}

async fn ask(door: &mut Door, asked: &Asked<'_>) -> crate::support::app::Answer {
    let deadline = Instant::now() + LAST;
    let answer = door.insist(asked, || Instant::now() > deadline).await;
    answer.unwrap_or_else(|| panic!("{} is not answered in the end", asked.path))
}

/// Each replica gives the first answer.
async fn question_key(door: &mut Door, kept: &Kept) {
    for _ in 0..door.scene.bases.len() {
        let (method, key, body) = (Method::POST, Some(&*kept.key), Some(&kept.body));
        let asked = Asked { tenant: kept.tenant, role: "user", method, path: kept.path, key, body };
        let again = ask(door, &asked).await;
        writers::assert_replayed(kept, &again);
    }
}

/// Counts by action are those of the log.
async fn question_counts(door: &mut Door, tenant: usize, log: &Log) {
    let stats = ask(door, &Asked::get(tenant, "/logs/stats?group_by=action")).await;
    let (head, floor) = (stats.body["head_seq"].as_i64(), stats.body["floor_seq"].as_i64());
    assert_eq!((head, floor), (Some(log.head), Some(log.floor)), "{stats:?}");
    let counted = stats.body["data"].as_array().unwrap().iter();
    let counted: BTreeMap<_, _> = counted
        .map(|row| (row["action"].as_str().unwrap().to_owned(), row["count"].as_i64().unwrap()))
        .collect();
    let mut expected: BTreeMap<String, i64> = BTreeMap::new();
    for (_, fact) in log.facts.range(log.floor..) {
        *expected.entry(fact.value["action"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(counted, expected, "counts of tenant {tenant}");
}

/// Certificates cover all that is below the floor, each number once.
async fn question_certificates(door: &mut Door, tenant: usize, log: &Log) {
    let told = ask(door, &Asked::get(tenant, "/logs/expiries?limit=1000")).await;
    assert_eq!(told.body["next_cursor"], Value::Null);
    let told = told.body["data"].as_array().unwrap().iter();
    let mut ranges: Vec<_> = told
        .map(|one| ["first_seq", "last_seq", "entries"].map(|n| one[n].as_i64().unwrap()))
        .collect();
    ranges.sort_unstable();
    let mut next = 1;
    for [first, last, entries] in &ranges {
        let fits = *first == next && *entries == last - first + 1;
        assert!(fits, "certificates of tenant {tenant} do not fit: {ranges:?}");
        next = last + 1;
    }
    assert_eq!(next, log.floor, "certificates of tenant {tenant} end elsewhere: {ranges:?}");
    assert!(tenant + 1 < TENANTS || log.floor > 1, "nothing has expired");
}
