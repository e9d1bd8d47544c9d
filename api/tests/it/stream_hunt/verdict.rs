//! What the logs hold, read as lists when nothing comes any more.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::TenantId;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use crate::support::app::identity;
use crate::support::wishes::WISHES;

/// How long a page may be refused.
const PAGE_WITHIN: Duration = Duration::from_secs(20);

/// An entry: its number, and a hash of its JSON to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) seq: u64,
    hash: u64,
}

/// Told once, when nothing comes any more.
#[derive(Clone, Default)]
pub(super) struct Truth(Arc<OnceLock<Told>>);

/// All logs.
pub(super) struct Told {
    pub(super) at: Instant,
    logs: HashMap<TenantId, Vec<Judged>>,
}

/// An entry, and which wishes let it pass.
struct Judged {
    entry: Entry,
    passes: Vec<bool>,
}

/// A list, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct Page {
    data: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
    pub(super) live_cursor: String,
}

impl Entry {
    pub(super) fn of(json: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Numbered {
            seq: u64,
        }
        let Numbered { seq } = serde_json::from_str(json.get()).unwrap();
        let mut hasher = DefaultHasher::new();
        json.get().hash(&mut hasher);
        Self { seq, hash: hasher.finish() }
    }
}

impl Truth {
    /// Reads all logs.
    pub(super) async fn tell(&self, base: &str, tenants: &[TenantId]) {
        let mut logs = HashMap::new();
        for tenant_id in tenants {
            logs.insert(*tenant_id, read_log(base, *tenant_id).await);
        }
        assert!(self.0.set(Told { at: Instant::now(), logs }).is_ok(), "told twice");
    }

    pub(super) fn told(&self) -> Option<&Told> {
        self.0.get()
    }

    pub(super) fn is_told(&self) -> bool {
        self.told().is_some()
    }
}

impl Told {
    /// What a client must have seen that began at this cursor.
    pub(super) async fn after(
        &self,
        base: &str,
        tenant_id: TenantId,
        start: &str,
        wish: usize,
    ) -> Vec<Entry> {
        let rest = page(base, tenant_id, Some(start), 1).await.data;
        let first = rest.first().map_or(u64::MAX, |json| Entry::of(json).seq);
        let later = self.logs[&tenant_id].iter().filter(|judged| judged.entry.seq >= first);
        later.filter(|judged| judged.passes[wish]).map(|judged| judged.entry).collect()
    }
}

async fn read_log(base: &str, tenant_id: TenantId) -> Vec<Judged> {
    let (mut log, mut cursor) = (Vec::new(), None);
    loop {
        let Page { data, next_cursor, .. } = page(base, tenant_id, cursor.as_deref(), 1_000).await;
        for json in data {
            let value: Value = serde_json::from_str(json.get()).unwrap();
            let passes = WISHES.iter().map(|wish| wish.lets_pass(&value)).collect();
            log.push(Judged { entry: Entry::of(&json), passes });
        }
        cursor = next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let seqs: Vec<_> = log.iter().map(|judged| judged.entry.seq).collect();
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "the log itself has a gap");
    log
}

/// A page of a log, upwards; asked for again while too many others ask.
pub(super) async fn page(
    base: &str,
    tenant_id: TenantId,
    cursor: Option<&str>,
    limit: usize,
) -> Page {
    let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
    let url = format!("{base}/api/v1/logs?order=asc&limit={limit}{cursor}");
    let deadline = Instant::now() + PAGE_WITHIN;
    loop {
        let asking = reqwest::Client::new().get(&url);
        let answer = asking.headers(identity(Some(tenant_id), "auditor")).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        if status == StatusCode::OK {
            return serde_json::from_str(&text).unwrap();
        }
        let is_busy = status == StatusCode::SERVICE_UNAVAILABLE;
        assert!(is_busy && Instant::now() < deadline, "no page but {status}: {text}");
        sleep(Duration::from_millis(100)).await;
    }
}
