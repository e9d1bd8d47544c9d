//! What the logs hold, read past the service, and what of it somebody must have seen.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

use domain::{EntryId, Place, Seq, TenantId, Timestamp};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::time::Instant;

use crate::support::log;

/// What tells the service's own entries.
const OWN: &str = "audit_log";

/// What is compared of an entry.
const FIELDS: [&str; 13] = [
    "id",
    "seq",
    "recorded_by",
    "occurred_at",
    "user_id",
    "request_id",
    "action",
    "resource_type",
    "resource_id",
    "severity",
    "message",
    "ip_address",
    "metadata",
];

/// How severities are kept.
const SEVERITIES: [&str; 4] = ["INFO", "WARNING", "ERROR", "CRITICAL"];

/// An entry as it stands in the log.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) seen: Seen,
    pub(super) recorded_ms: i64,
    pub(super) value: Value,
}

/// An entry as somebody saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) seq: i64,
    pub(super) own: bool,
    digest: u64,
}

impl Seen {
    pub(super) fn of(entry: &Value) -> Self {
        let mut hasher = DefaultHasher::new();
        for field in FIELDS {
            entry[field].to_string().hash(&mut hasher);
        }
        let seq = entry["seq"].as_i64().unwrap_or_else(|| panic!("an entry has a seq: {entry}"));
        Self { seq, own: entry["resource_type"] == OWN, digest: hasher.finish() }
    }
}

/// A log from its first entry on, also of what has expired since somebody could see it.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) floor: i64,
    pub(super) head: i64,
    pub(super) facts: BTreeMap<i64, Fact>,
    /// The numbers whose rows are still there.
    pub(super) rows: Vec<i64>,
}

/// Told once, when nothing comes any more.
#[derive(Clone, Default)]
pub(super) struct Truth(Arc<OnceLock<Told>>);

#[derive(Debug)]
pub(super) struct Told {
    pub(super) at: Instant,
    pub(super) logs: Vec<Log>,
}

impl Truth {
    pub(super) fn tell(&self, logs: Vec<Log>) -> &Told {
        assert!(self.0.set(Told { at: Instant::now(), logs }).is_ok(), "told twice");
        self.told().unwrap()
    }

    pub(super) fn told(&self) -> Option<&Told> {
        self.0.get()
    }
}

impl Log {
    /// Reads it; what it held before all began may be gone from it.
    pub(super) async fn read(admin: &mut PgConnection, id: TenantId, past: &[Fact]) -> Self {
        let (floor, head) = log::floor_and_head(admin, id).await;
        let found = facts(admin, id).await;
        let rows = found.iter().map(|fact| fact.seen.seq).collect();
        let all = past.iter().cloned().chain(found);
        Self { floor, head, facts: all.map(|fact| (fact.seen.seq, fact)).collect(), rows }
    }

    /// Those in a range that somebody wants.
    pub(super) fn wanted(
        &self,
        range: std::ops::RangeInclusive<i64>,
        wants: impl Fn(&Fact) -> bool,
    ) -> Vec<Seen> {
        if range.is_empty() {
            return Vec::new();
        }
        let found = self.facts.range(range).map(|(_, fact)| fact);
        found.filter(|fact| wants(fact)).map(|fact| fact.seen).collect()
    }
}

/// What is wrong with what somebody saw, who must see all that is wanted, in order and each once.
pub(super) fn difference(
    wanted: &[Seen],
    seen: &[Seen],
    may_lack: impl Fn(i64) -> bool,
) -> Option<String> {
    let mut left = wanted.iter();
    for (n, entry) in seen.iter().enumerate() {
        let mut lacking = Vec::new();
        let found = loop {
            match left.next() {
                Some(wanted) if wanted.seq == entry.seq => break Some(wanted),
                Some(wanted) => lacking.extend((!may_lack(wanted.seq)).then_some(wanted.seq)),
                None => break None,
            }
        };
        let Some(found) = found else { return Some(surplus(wanted, seen, n)) };
        if !lacking.is_empty() {
            return Some(lack(&lacking, seen, n, wanted));
        }
        if found != entry {
            return Some(format!("{} is another entry than in the log", entry.seq));
        }
    }
    let lacking: Vec<_> = left.map(|wanted| wanted.seq).filter(|seq| !may_lack(*seq)).collect();
    (!lacking.is_empty()).then(|| lack(&lacking, seen, seen.len(), wanted))
}

fn surplus(wanted: &[Seen], seen: &[Seen], at: usize) -> String {
    let (seq, around) = (seen[at].seq, around(seen, at));
    if wanted.iter().any(|wanted| wanted.seq == seq) {
        return format!("{seq} comes twice or too late: {around:?}");
    }
    format!("{seq} is not wanted, or not in the log: {around:?}")
}

fn lack(lacking: &[i64], seen: &[Seen], at: usize, wanted: &[Seen]) -> String {
    let (first, around) = (lacking[0], around(seen, at));
    if seen.iter().any(|seen| seen.seq == first) {
        return format!("{first} comes too late: {around:?}");
    }
    let (seen, wanted) = (seen.len(), wanted.len());
    format!("{} entries lack from {first} on ({seen} seen of {wanted}): {around:?}", lacking.len())
}

fn around(seen: &[Seen], at: usize) -> Vec<i64> {
    seen.iter().skip(at.saturating_sub(2)).take(5).map(|seen| seen.seq).collect()
}

#[derive(sqlx::FromRow)]
struct Row {
    seq: i64,
    recorded_ms: i64,
    recorded_by: String,
    occurred_ms: i64,
    user_id: String,
    request_id: Option<String>,
    action: String,
    resource_type: String,
    resource_id: Option<String>,
    severity: i16,
    message: Option<String>,
    ip_address: Option<String>,
    metadata: Option<String>,
}

/// All rows of a log.
pub(super) async fn facts(admin: &mut PgConnection, tenant_id: TenantId) -> Vec<Fact> {
    let rows: Vec<Row> = sqlx::query_as(
        "select seq, (extract(epoch from recorded_at) * 1000)::bigint as recorded_ms, recorded_by,
            (extract(epoch from occurred_at) * 1000)::bigint as occurred_ms, user_id, request_id,
            action, resource_type, resource_id, severity, message, ip_address,
            metadata::text as metadata
         from audit_log
         where tenant_id = $1
         order by seq",
    )
    .bind(tenant_id.as_uuid())
    .fetch_all(admin)
    .await
    .unwrap();
    rows.into_iter().map(|row| fact(tenant_id, &row)).collect()
}

fn fact(tenant_id: TenantId, row: &Row) -> Fact {
    let recorded_at = Timestamp::from_millis(row.recorded_ms);
    let id = EntryId::of(Place { recorded_at, seq: Seq::new(row.seq).unwrap() }, tenant_id);
    let metadata = row.metadata.as_ref().map(|text| serde_json::from_str::<Value>(text).unwrap());
    let value = json!({
        "id": id.as_uuid(),
        "seq": row.seq,
        "recorded_by": row.recorded_by,
        "occurred_at": Timestamp::from_millis(row.occurred_ms).to_string(),
        "user_id": row.user_id,
        "request_id": row.request_id,
        "action": row.action,
        "resource_type": row.resource_type,
        "resource_id": row.resource_id,
        "severity": SEVERITIES[usize::try_from(row.severity).unwrap()],
        "message": row.message,
        "ip_address": row.ip_address,
        "metadata": metadata,
    });
    Fact { seen: Seen::of(&value), recorded_ms: row.recorded_ms, value }
}

#[test]
fn whatever_is_not_once_in_order_and_as_it_stands_in_the_log_is_named() {
    let entry = |seq: i64| Seen::of(&json!({ "seq": seq, "message": "said" }));
    let wanted = [1, 2, 3, 4].map(entry);
    let names = |seen: &[Seen]| difference(&wanted, seen, |seq| seq == 1);
    assert_eq!(names(&wanted), None);
    assert_eq!(names(&wanted[1..]), None, "what may lack may lack");
    assert!(names(&[1, 2, 4].map(entry)).is_some_and(|named| named.contains("lack from 3")));
    assert!(names(&[1, 2, 3].map(entry)).is_some_and(|named| named.contains("lack from 4")));
    assert!(names(&[1, 2, 2, 3, 4].map(entry)).is_some());
    assert!(names(&[1, 3, 2, 4].map(entry)).is_some());
    assert!(names(&[1, 2, 3, 4, 5].map(entry)).is_some_and(|named| named.contains("not wanted")));
    let mut other = wanted;
    other[2] = Seen::of(&json!({ "seq": 3, "message": "another" }));
    assert!(names(&other).is_some_and(|named| named.contains("another entry")));
}
