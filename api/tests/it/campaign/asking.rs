//! A client's way to the service: the replicas in turn, and no answer is taken that names another
//! tenant, breaks off, is none that the OpenAPI document tells of, or says what nothing explains.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use tokio::time::sleep;

use super::stage::{ANSWER_TIMEOUT, Scene, Tenant};
use crate::support::app::{Answer, identity};
use crate::support::spec;

/// How long a client waits before it asks again.
const AGAIN: Duration = Duration::from_millis(60);

/// Longer answers are not held against the document, which takes its time: pages, as short ones are.
const HELD_BYTES_MAX: usize = 4 << 10;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    Answered(Answer),
    /// With this code, and to be asked again.
    Later(String),
    /// Nobody is there, or no whole answer came.
    Nothing,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) scene: Scene,
    http: Client,
    turn: usize,
}

/// A request that may be sent any number of times.
pub(super) struct Asked<'a> {
    pub(super) tenant: usize,
    pub(super) role: &'a str,
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) body: Option<&'a serde_json::Value>,
}

impl<'a> Asked<'a> {
    pub(super) fn get(tenant: usize, path: &'a str) -> Self {
        Self { tenant, role: "auditor", method: Method::GET, path, key: None, body: None }
    }
}

impl Door {
    /// Begins with this replica.
    pub(super) fn new(scene: &Scene, turn: usize) -> Self {
        Self { scene: scene.clone(), http: Client::new(), turn }
    }

    pub(super) fn tenant(&self, tenant: usize) -> &Tenant {
        &self.scene.tenants[tenant]
    }

    /// The next replica.
    pub(super) fn base(&mut self) -> &str {
        self.turn += 1;
        &self.scene.bases[self.turn % self.scene.bases.len()]
    }

    /// Asks the next replica, once.
    pub(super) async fn ask(&mut self, asked: &Asked<'_>, patience: Duration) -> Outcome {
        let base = self.base().to_owned();
        self.ask_at(&base, asked, patience).await
    }

    /// Asks this one.
    pub(super) async fn ask_at(
        &self,
        base: &str,
        asked: &Asked<'_>,
        patience: Duration,
    ) -> Outcome {
        let sending = self.request(base, asked).timeout(patience).send().await;
        let Ok(answer) = sending else { return Outcome::Nothing };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let Ok(text) = answer.text().await else { return Outcome::Nothing };
        self.assert_own(asked.tenant, &text, asked.path);
        let body = serde_json::from_str(&text).unwrap_or_default();
        let answer = Answer { status, headers, text, body };
        judge(asked, answer)
    }

    /// Asks one replica after the other until there is an answer; `None`: it is over.
    pub(super) async fn insist(
        &mut self,
        asked: &Asked<'_>,
        give_up: impl Fn() -> bool,
    ) -> Option<Answer> {
        loop {
            if let Outcome::Answered(answer) = self.ask(asked, ANSWER_TIMEOUT).await {
                return Some(answer);
            }
            if give_up() {
                return None;
            }
            sleep(AGAIN).await;
        }
    }

    pub(super) fn request(&self, base: &str, asked: &Asked<'_>) -> RequestBuilder {
        let tenant_id = self.tenant(asked.tenant).id;
        let url = format!("{base}/api/v1{}", asked.path);
        let mut request = self.http.request(asked.method.clone(), url);
        request = request.headers(identity(Some(tenant_id), asked.role));
        if let Some(key) = asked.key {
            request = request.header("idempotency-key", key);
        }
        match asked.body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    /// Fails when something of another tenant stands in what this one is told.
    pub(super) fn assert_own(&self, tenant: usize, text: &str, asked: &str) {
        assert_own(&self.scene, tenant, text, asked);
    }
}

pub(super) fn assert_own(scene: &Scene, tenant: usize, text: &str, asked: &str) {
    for (number, other) in scene.tenants.iter().enumerate().filter(|(n, _)| *n != tenant) {
        let foreign = text.contains(&other.canary) || text.contains(&other.id.to_string());
        assert!(!foreign, "tenant {tenant} is told of tenant {number} by {asked}: {text:.2000}");
    }
}

/// Fails at an answer that the document does not tell of.
fn assert_told(asked: &Asked<'_>, answer: &Answer) {
    if answer.text.len() > HELD_BYTES_MAX {
        return;
    }
    let (path, _) = asked.path.split_once('?').unwrap_or((asked.path, ""));
    let told = spec::check(asked.method.as_str(), &format!("/api/v1{path}"), answer);
    assert_eq!(told, Ok(()), "{}", asked.path);
}

fn judge(asked: &Asked<'_>, answer: Answer) -> Outcome {
    assert_told(asked, &answer);
    let (status, path) = (answer.status, asked.path);
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        let said = answer.headers.contains_key(RETRY_AFTER);
        assert!(said, "{path}: {status} without Retry-After: {}", answer.text);
        return Outcome::Later(answer.code().to_owned());
    }
    assert!(!status.is_server_error(), "{path}: no fault explains {status}: {}", answer.text);
    Outcome::Answered(answer)
}
