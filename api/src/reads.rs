//! Who has read what: kept for a while, then told in the log that was read.
//!
//! One entry for each principal, route and filter in ten minutes, with counts: a walk over ten
//! thousand pages is one fact, not ten thousand. Kept in memory until then; what a process that
//! is killed had not written yet is lost, at most ten minutes of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::{Action, CallerDefaults, JsonText, NewEntry, Selection, TenantId, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::app::App;
use crate::identity::caller::Caller;
use crate::own;

/// How long reads are counted together.
const COUNTED_FOR: Duration = Duration::from_mins(10);

/// How often those that are due are looked for.
const PERIOD: Duration = Duration::from_secs(5);

/// Kept at a time; with more, the oldest are written early.
const KEPT_MAX: usize = 4_096;

/// The longest filter that is told in words, in bytes of its JSON.
const FILTER_BYTES_MAX: usize = 4 << 10;

/// How long a stop waits for reads to be written.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

const LOG_READ: Action = Action::from_static("log.read");

/// See the module.
#[derive(Debug, Default)]
pub struct Reads {
    kept: Mutex<HashMap<Key, Read>>,
}

/// What reads must have in common to be counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant_id: TenantId,
    principal: String,
    route: &'static str,
    filter: [u8; 32],
}

#[derive(Debug, Clone)]
struct Read {
    by: CallerDefaults,
    filter: Box<str>,
    begun: Instant,
    first_at: Timestamp,
    last_at: Timestamp,
    requests: u64,
    entries: u64,
}

/// What the log says of reads.
#[derive(Serialize)]
struct Told<'a> {
    route: &'static str,
    filter: &'a RawValue,
    requests: u64,
    entries: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

impl Reads {
    /// Counts a read of a tenant's log that showed so many entries, if the tenant wants to know.
    pub fn note(&self, caller: &Caller, route: &'static str, about: &Selection, entries: usize) {
        self.count(caller, route, about, 1, entries);
    }

    /// Counts more entries of a read that goes on.
    pub fn add(&self, caller: &Caller, route: &'static str, about: &Selection, entries: usize) {
        self.count(caller, route, about, 0, entries);
    }

    fn count(
        &self,
        caller: &Caller,
        route: &'static str,
        about: &Selection,
        requests: u64,
        entries: usize,
    ) {
        if !caller.tenant.record_reads {
            return;
        }
        let key = Key {
            tenant_id: caller.tenant_id(),
            principal: caller.defaults.recorded_by.as_str().to_owned(),
            route,
            filter: about.digest(),
        };
        let now = Timestamp::now();
        let mut kept = self.lock();
        let read = kept.entry(key).or_insert_with(|| Read {
            by: caller.defaults.clone(),
            filter: told_filter(about),
            begun: Instant::now(),
            first_at: now,
            last_at: now,
            requests: 0,
            entries: 0,
        });
        read.last_at = now;
        read.requests += requests;
        read.entries += entries as u64;
        if kept.len() > KEPT_MAX {
            // Only when the log cannot be written for long: then there is nobody to tell.
            let oldest = kept.iter().min_by_key(|(_, read)| read.begun).map(|(key, _)| key.clone());
            oldest.and_then(|key| kept.remove(&key));
            warn!("more reads than are kept at a time: the oldest is not recorded");
        }
    }

    /// How many are not told yet.
    pub fn pending(&self) -> usize {
        self.lock().len()
    }

    /// Takes those out that have been counted for long enough, and with more than half of what is
    /// kept, the older half.
    fn take_due(&self, now: Instant) -> Vec<(Key, Read)> {
        let mut kept = self.lock();
        let mut begun: Vec<Instant> = kept.values().map(|read| read.begun).collect();
        begun.sort_unstable();
        let early = begun.get(KEPT_MAX / 2).and(begun.get(begun.len() / 2)).copied();
        let is_due = |read: &Read| {
            now.saturating_duration_since(read.begun) >= COUNTED_FOR
                || early.is_some_and(|early| read.begun < early)
        };
        kept.extract_if(|_, read| is_due(read)).collect()
    }

    fn take_all(&self) -> Vec<(Key, Read)> {
        self.lock().drain().collect()
    }

    /// Puts one back that could not be written, beside what came meanwhile.
    fn put_back(&self, key: Key, read: Read) {
        let mut kept = self.lock();
        let entry = kept.entry(key);
        entry
            .and_modify(|newer| {
                newer.begun = read.begun;
                newer.first_at = read.first_at;
                newer.requests += read.requests;
                newer.entries += read.entries;
            })
            .or_insert(read);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Read>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The filter's JSON, or what it can be told by when it is long.
fn told_filter(filter: &Selection) -> Box<str> {
    let told = serde_json::to_string(filter).unwrap_or_default();
    if told.len() <= FILTER_BYTES_MAX {
        return told.into();
    }
    let digest = filter.digest().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    serde_json::json!({ "sha256": digest }).to_string().into()
}

/// Writes what is due, until it is stopped; then all.
pub async fn write(app: App, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        let due = app.reads.take_due(Instant::now());
        write_these(&app, due).await;
    }
    let rest = app.reads.take_all();
    if tokio::time::timeout(STOP_TIMEOUT, write_these(&app, rest)).await.is_err() {
        error!("reads of the last minutes could not be recorded before the stop");
    }
}

async fn write_these(app: &App, reads: Vec<(Key, Read)>) {
    for (key, read) in reads {
        let Some(entry) = entry(&key, &read) else { continue };
        if own::record(app, key.tenant_id, entry).await.is_err() {
            app.reads.put_back(key, read);
        } else {
            app.metrics.writing.read_recorded();
        }
    }
}

fn entry(key: &Key, read: &Read) -> Option<NewEntry> {
    let told = Told {
        route: key.route,
        filter: serde_json::from_str(&read.filter).ok()?,
        requests: read.requests,
        entries: read.entries,
        first_at: read.first_at,
        last_at: read.last_at,
    };
    Some(NewEntry {
        metadata: Some(JsonText::of(&told).ok()?),
        ..NewEntry::own(&read.by, LOG_READ)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{Filter, Masking};
    use uuid::Uuid;

    use super::*;
    use crate::rates::OwnLimits;
    use crate::tenants::KnownTenant;

    fn caller() -> Caller {
        let id = TenantId::new(Uuid::from_u128(1));
        let masking = Masking::default();
        let tenant = KnownTenant {
            id,
            name: "test".to_owned(),
            version: 1,
            suspended: false,
            masking,
            record_reads: true,
            limits: OwnLimits::default(),
        };
        Caller { tenant: Arc::new(tenant), defaults: CallerDefaults::service(), allowance: None }
    }

    fn filter(user_id: &str) -> Selection {
        Filter::read([("user_id", user_id)]).unwrap_or_default().into()
    }

    #[test]
    fn reads_alike_are_counted_together_for_ten_minutes() {
        let (reads, caller) = (Reads::default(), caller());
        for _ in 0..3 {
            reads.note(&caller, "GET /logs", &filter("alice"), 100);
        }
        reads.note(&caller, "GET /logs", &filter("bob"), 1);
        reads.note(&caller, "GET /logs/stats", &filter("alice"), 0);
        assert_eq!(reads.take_due(Instant::now()).len(), 0);
        let due = reads.take_due(Instant::now() + COUNTED_FOR);
        let mut counts: Vec<_> =
            due.iter().map(|(_, read)| (read.requests, read.entries)).collect();
        counts.sort_unstable();
        assert_eq!(counts, [(1, 0), (1, 1), (3, 300)]);
        assert_eq!(reads.take_all().len(), 0);
    }

    #[test]
    fn what_could_not_be_written_is_counted_on() {
        let (reads, caller) = (Reads::default(), caller());
        reads.note(&caller, "GET /logs", &filter("alice"), 5);
        let [(key, read)] = &reads.take_all()[..] else { panic!("there is one") };
        reads.note(&caller, "GET /logs", &filter("alice"), 7);
        reads.put_back(key.clone(), read.clone());
        let [(_, both)] = &reads.take_all()[..] else { panic!("there is one") };
        assert_eq!((both.requests, both.entries, both.begun), (2, 12, read.begun));
    }

    #[test]
    fn many_are_written_early_and_a_long_filter_is_told_by_its_digest() {
        let (reads, caller) = (Reads::default(), caller());
        for n in 0..=KEPT_MAX / 2 {
            reads.note(&caller, "GET /logs", &filter(&n.to_string()), 1);
        }
        assert_eq!(reads.take_due(Instant::now()).len(), (KEPT_MAX / 2).div_ceil(2));
        let pairs: Vec<String> = (0..100).map(|n| format!("{n:0200}")).collect();
        let long = Filter::read(pairs.iter().map(|value| ("user_id", value.as_str())));
        assert!(told_filter(&long.unwrap_or_default().into()).starts_with("{\"sha256\":\""));
    }
}
