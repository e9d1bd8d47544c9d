//! Clients that record: single entries, bulks, bulks in parts, and those who send again with a key
//! until they are answered, at another replica, at both at once, and also when they were answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::Rng as _;
use rand::rngs::SmallRng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::asking::{Asked, Door, Outcome};
use super::ledger::{Kept, Ledger};
use super::plan::some;
use super::stage::{ANSWER_TIMEOUT, TENANTS};
use crate::support::app::Answer;
use crate::support::wishes;

/// Between two wishes of a client.
const REST_MS: std::ops::Range<u64> = 30..250;

/// Between two attempts.
const AGAIN_MS: std::ops::Range<u64> = 10..200;

/// When somebody gives up on an answer who is in a hurry.
const HURRY_MS: std::ops::Range<u64> = 2..120;

/// Entries of a bulk.
const BULK_LEN_MAX: usize = 25;

/// How long a request with a key may go on after all faults.
const LAST_ANSWERS: Duration = Duration::from_mins(1);

/// How a client records.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    Single,
    Bulk,
    Partial,
    /// With a key; any of the above.
    Retrier,
}

/// See the module.
pub(super) struct Writer {
    pub(super) name: String,
    pub(super) manner: Manner,
    pub(super) door: Door,
    pub(super) ledger: Arc<Ledger>,
    pub(super) rng: SmallRng,
    pub(super) wishes: usize,
}

/// What is to be recorded.
struct Wish {
    tenant: usize,
    path: &'static str,
    body: Value,
    /// The markers of those that can be stored, in order.
    good: Vec<String>,
    /// The places of those that cannot.
    bad: Vec<usize>,
    key: Option<String>,
}

impl Wish {
    fn asked(&self) -> Asked<'_> {
        Asked {
            tenant: self.tenant,
            role: "user",
            method: Method::POST,
            path: self.path,
            key: self.key.as_deref(),
            body: Some(&self.body),
        }
    }
}

impl Writer {
    pub(super) async fn write(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wish = self.wish();
            if wish.key.is_some() {
                self.insist(&wish, &stop).await;
            } else {
                self.attempt_once(&wish).await;
            }
            sleep(some(&mut self.rng, REST_MS)).await;
        }
    }

    fn wish(&mut self) -> Wish {
        self.wishes += 1;
        let tenant = self.rng.random_range(0..TENANTS);
        let (manner, key) = match self.manner {
            Manner::Retrier => {
                let any = [Manner::Single, Manner::Bulk, Manner::Partial];
                (any[self.rng.random_range(0..3)], Some(format!("{}-{}", self.name, self.wishes)))
            }
            manner => (manner, None),
        };
        let len = match manner {
            Manner::Single => 1,
            _ => self.rng.random_range(1..=BULK_LEN_MAX),
        };
        let (mut good, mut bad, mut drafts) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..len {
            let canary = &self.door.tenant(tenant).canary;
            let marker = format!("{canary}-{}-{}-{n}", self.name, self.wishes);
            let is_bad = n > 0 && self.rng.random_bool(0.1);
            drafts.push(draft(&marker, canary, is_bad, self.rng.random()));
            self.ledger.book().sent.insert(marker.clone());
            if is_bad { bad.push(n) } else { good.push(marker) }
        }
        let (path, body) = match manner {
            Manner::Single => ("/logs", drafts.remove(0)),
            Manner::Partial => ("/logs/bulk?partial=true", Value::Array(drafts)),
            _ => ("/logs/bulk", Value::Array(drafts)),
        };
        if path == "/logs/bulk" && !bad.is_empty() {
            self.ledger.book().denied.extend(std::mem::take(&mut good));
        }
        Wish { tenant, path, body, good, bad, key }
    }

    /// Without a key nobody may send twice.
    async fn attempt_once(&mut self, wish: &Wish) {
        match self.attempt(wish, ANSWER_TIMEOUT).await {
            Outcome::Answered(answer) => self.judge(wish, &answer),
            Outcome::Later(code) if code != "outcome_unknown" => {
                self.ledger.book().denied.extend(wish.good.iter().cloned());
            }
            Outcome::Later(_) | Outcome::Nothing => {}
        }
    }

    async fn attempt(&mut self, wish: &Wish, patience: Duration) -> Outcome {
        self.ledger.requests.fetch_add(1, Ordering::Relaxed);
        self.door.ask(&wish.asked(), patience).await
    }

    /// Sends until there is an answer; then, sometimes, again.
    async fn insist(&mut self, wish: &Wish, stop: &CancellationToken) {
        let mut deadline = None;
        let first = loop {
            if let Some(answer) = self.attempt_somehow(wish).await {
                break answer;
            }
            if stop.is_cancelled() {
                let deadline = *deadline.get_or_insert(Instant::now() + LAST_ANSWERS);
                assert!(Instant::now() < deadline, "{}: is never answered", self.name);
            }
            sleep(some(&mut self.rng, AGAIN_MS)).await;
        };
        self.judge(wish, &first);
        if wish.good.is_empty() {
            return;
        }
        let kept = Kept {
            tenant: wish.tenant,
            path: wish.path,
            key: wish.key.clone().unwrap_or_default(),
            body: wish.body.clone(),
            answer: first.body,
        };
        if self.rng.random_bool(0.5)
            && let Outcome::Answered(again) = self.attempt(wish, ANSWER_TIMEOUT).await
        {
            assert_replayed(&kept, &again);
        }
        if self.rng.random_bool(0.1) {
            self.reuse(wish).await;
        }
        self.ledger.book().kept.push(kept);
    }

    /// In good order, in a hurry, or at two replicas at once.
    async fn attempt_somehow(&mut self, wish: &Wish) -> Option<Answer> {
        let dice = self.rng.random_range(0..10);
        let patience = if dice < 2 { some(&mut self.rng, HURRY_MS) } else { ANSWER_TIMEOUT };
        if dice < 8 {
            return answer(self.attempt(wish, patience).await);
        }
        let mut twin = self.door.clone();
        twin.base();
        let asked = wish.asked();
        let both =
            tokio::join!(self.door.ask(&asked, ANSWER_TIMEOUT), twin.ask(&asked, ANSWER_TIMEOUT));
        match (answer(both.0), answer(both.1)) {
            (Some(one), Some(other)) => {
                assert_eq!(one.body, other.body, "two at once got two answers");
                Some(one)
            }
            (one, other) => one.or(other),
        }
    }

    /// The key of one request is not that of another.
    async fn reuse(&mut self, wish: &Wish) {
        let another = json!({ "action": "REUSED", "resource_type": "thing" });
        let asked = Asked { body: Some(&another), path: "/logs", ..wish.asked() };
        if let Outcome::Answered(answer) = self.door.ask(&asked, ANSWER_TIMEOUT).await {
            let told = (answer.status.as_u16(), answer.code());
            assert_eq!(told, (409, "idempotency_key_reused"), "a key was forgotten: {answer:?}");
        }
    }

    /// Notes what was acknowledged.
    fn judge(&self, wish: &Wish, answer: &Answer) {
        let (status, body) = (answer.status.as_u16(), &answer.body);
        let as_it_should = match wish.path {
            _ if wish.bad.is_empty() => 201,
            "/logs/bulk" => 422,
            _ => 207,
        };
        assert_eq!(status, as_it_should, "{}: {answer:?}", wish.path);
        if status == 422 {
            return;
        }
        if wish.path == "/logs" {
            assert_eq!(body["resource_id"], json!(wish.good[0]), "another entry is answered");
            self.ledger.acknowledge(wish.tenant, &body["id"], &wish.good[0]);
            return self.ledger.reached(wish.tenant, &body["seq"]);
        }
        let ids = body["ids"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(ids.len(), wish.good.len(), "not as many ids as entries: {answer:?}");
        for (id, marker) in ids.iter().zip(&wish.good) {
            self.ledger.acknowledge(wish.tenant, id, marker);
        }
        self.ledger.reached(wish.tenant, &body["last_seq"]);
        let refused = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let refused: Vec<_> = refused.iter().filter_map(|e| e["index"].as_u64()).collect();
        let bad: Vec<_> = wish.bad.iter().map(|n| *n as u64).collect();
        assert_eq!(refused, bad, "others were refused than are bad: {answer:?}");
    }
}

/// Fails unless this is the first answer again, and says so.
pub(super) fn assert_replayed(kept: &Kept, again: &Answer) {
    assert_eq!(again.body, kept.answer, "key {}: not the first answer", kept.key);
    let replayed = again.headers.get("idempotency-replayed").is_some_and(|v| v == "true");
    assert!(replayed, "key {}: written again", kept.key);
}

fn answer(outcome: Outcome) -> Option<Answer> {
    match outcome {
        Outcome::Answered(answer) => Some(answer),
        Outcome::Later(_) | Outcome::Nothing => None,
    }
}

/// An entry that somebody's filter wants, and that cannot be stored if it is bad.
pub(super) fn draft(marker: &str, canary: &str, is_bad: bool, dice: u64) -> Value {
    let mut draft = wishes::entry(dice);
    let message = format!("{} {canary}", draft["message"].as_str().unwrap_or_default());
    draft["message"] = message.into();
    draft["resource_id"] = marker.into();
    if is_bad {
        draft["severity"] = "NONE".into();
    }
    draft
}
