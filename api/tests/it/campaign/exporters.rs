//! Clients that export a log and go on where an answer broke off, until they have all of it.

use std::time::{Duration, Instant};

use rand::Rng as _;
use rand::rngs::SmallRng;
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::asking::{Asked, Door};
use super::plan::some;
use super::stage::{ANSWER_TIMEOUT, TENANTS};
use super::truth::{Fact, Log, Seen, difference};
use crate::support::wishes::WISHES;

const REST_MS: std::ops::Range<u64> = 100..800;

/// Between two attempts.
const AGAIN_MS: std::ops::Range<u64> = 30..150;

/// How long an export may take over all of its parts.
const WHOLE_WITHIN: Duration = Duration::from_mins(2);

/// How long nothing may come before the client breaks off.
const SILENT: Duration = Duration::from_secs(6);

/// See the module.
pub(super) struct Exporter {
    pub(super) door: Door,
    pub(super) rng: SmallRng,
}

/// What somebody has on disk.
#[derive(Debug, Default)]
pub(super) struct Export {
    pub(super) tenant: usize,
    wish: usize,
    first_seq: Option<i64>,
    last_seq: i64,
    seen: Vec<Seen>,
    last_id: Option<String>,
    /// The export that ended in good order; without one, what comes next had expired.
    id: Option<String>,
    parts: usize,
}

impl Exporter {
    pub(super) async fn export(mut self, stop: CancellationToken) -> Vec<Export> {
        let mut exports = Vec::new();
        while !stop.is_cancelled() {
            let (tenant, wish) = (self.rng.random_range(0..TENANTS), self.wish());
            exports.push(whole(&mut self.door, &mut self.rng, tenant, wish).await);
            sleep(some(&mut self.rng, REST_MS)).await;
        }
        exports
    }

    fn wish(&mut self) -> usize {
        loop {
            let wish = self.rng.random_range(0..WISHES.len());
            if !WISHES[wish].query.contains("include_self") {
                return wish;
            }
        }
    }
}

/// One export, in as many parts as it takes.
pub(super) async fn whole(
    door: &mut Door,
    rng: &mut SmallRng,
    tenant: usize,
    wish: usize,
) -> Export {
    let mut export = Export { tenant, wish, ..Export::default() };
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < WHOLE_WITHIN, "an export is never whole: {export:?}");
        if export.part(door).await {
            return export;
        }
        sleep(some(rng, AGAIN_MS)).await;
    }
}

impl Export {
    /// Asks for what is not here yet; whether it is over.
    async fn part(&mut self, door: &mut Door) -> bool {
        let cursor = self.last_id.as_ref().map_or_else(String::new, |id| format!("&cursor={id}"));
        let query = WISHES[self.wish].query;
        let path = format!("/logs/export?format=ndjson&{query}{cursor}").replace("&&", "&");
        let path = path.trim_end_matches('&');
        let base = door.base().to_owned();
        let sending = door.request(&base, &Asked::get(self.tenant, path)).send();
        let Ok(Ok(answer)) = timeout(ANSWER_TIMEOUT, sending).await else { return false };
        match answer.status().as_u16() {
            200 => {}
            429 | 503 => return false,
            410 if self.last_id.is_some() => return true,
            status => panic!("{path}: no fault explains {status}"),
        }
        let headers = answer.headers().clone();
        self.parts += 1;
        let (body, in_order) = read(answer).await;
        door.assert_own(self.tenant, &String::from_utf8_lossy(&body), path);
        self.take(&body, in_order, &headers)
    }

    /// Keeps all whole lines; whether they were all.
    fn take(&mut self, body: &[u8], in_order: bool, headers: &HeaderMap) -> bool {
        let header = |name: &str| headers[name].to_str().unwrap();
        let first_seq = header("x-export-first-seq").parse().unwrap();
        if self.last_id.is_none() {
            self.first_seq = Some(first_seq);
        }
        self.last_seq = header("x-export-last-seq").parse().unwrap();
        let (mut hash, mut rows) = (Sha256::new(), 0);
        for line in body.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            let value: Value = serde_json::from_slice(line).unwrap();
            if let Value::Object(end) = &value["end"] {
                if !in_order {
                    // It is whole, but the service may not know that, and say so in the log.
                    return false;
                }
                assert_eq!(end["rows"], rows, "an export says of itself that it is another");
                assert_eq!(end["sha256"], format!("{:x}", hash.finalize()));
                self.id = Some(header("x-export-id").to_owned());
                return true;
            }
            hash.update(line);
            rows += 1;
            self.seen.push(Seen::of(&value));
            self.last_id = value["id"].as_str().map(ToOwned::to_owned);
        }
        assert!(!in_order, "an export ends as if it were whole: {self:?}");
        false
    }

    /// What is wrong with it.
    pub(super) fn judge(&self, log: &Log) -> Option<String> {
        let wish = &WISHES[self.wish];
        let takes_own = !wish.query.contains("q=");
        let is_judged = |seen: &Seen| takes_own || !seen.own;
        let wants = |fact: &Fact| is_judged(&fact.seen) && (wish.wants)(&fact.value);
        let wanted = log.wanted(self.first_seq.unwrap_or(1)..=self.last_seq, wants);
        let seen: Vec<_> = self.seen.iter().copied().filter(is_judged).collect();
        let last = seen.last().map_or(0, |last| last.seq);
        let may_lack = |seq: i64| self.id.is_none() && seq > last;
        let told = |id: &String| {
            let tells = |fact: &Fact| {
                fact.value["action"] == "export.completed" && fact.value["resource_id"] == **id
            };
            log.facts.values().any(tells)
        };
        let untold = self.id.as_ref().filter(|id| !told(id));
        let untold = untold.map(|id| format!("the log does not say that {id} was completed"));
        difference(&wanted, &seen, may_lack).or(untold).map(|problem| {
            let Self { tenant, first_seq, last_seq, parts, .. } = self;
            let query = wish.query;
            format!(
                "export {query:?} of tenant {tenant} ({first_seq:?} to {last_seq} in {parts} parts): {problem}"
            )
        })
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}

/// What came, and whether it ended in good order.
async fn read(mut answer: Response) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match timeout(SILENT, answer.chunk()).await {
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            Ok(Ok(None)) => return (body, true),
            Ok(Err(_)) | Err(_) => return (body, false),
        }
    }
}
