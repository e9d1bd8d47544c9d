//! Requests that might show something.

use domain::TenantId;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

use super::victim::{KEY, Loot};
use crate::support::app::{SECRET, identity};
use crate::support::spec;

/// A request, and what cannot be its answer.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Value>,
    /// Its headers are none that a gateway sends: it is refused whatever it asks.
    pub(super) is_forged: bool,
}

/// Somebody with an account of their own.
#[derive(Debug)]
pub(super) struct Attacker<'a> {
    pub(super) random: StdRng,
    pub(super) tenant_id: TenantId,
    pub(super) loot: &'a Loot,
}

impl<'a> Attacker<'a> {
    /// The next try.
    pub(super) fn attempt(&mut self) -> Attempt {
        let role = *self.one_of(&["admin", "admin", "auditor", "user"]);
        let mut headers = identity(Some(self.tenant_id), role);
        let (method, path, body) = self.request(&mut headers);
        let is_forged = self.random.random_ratio(1, 4);
        if is_forged {
            self.forge(&mut headers);
        } else if self.random.random_ratio(1, 4) {
            self.embellish(&mut headers);
        }
        Attempt { method, path: format!("/api/v1{path}"), headers, body, is_forged }
    }

    fn one_of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        all.choose(&mut self.random).unwrap()
    }

    fn request(&mut self, headers: &mut HeaderMap) -> (Method, String, Option<Value>) {
        match self.random.random_range(0..20) {
            0..=8 => (Method::GET, self.reading(), None),
            9 => {
                headers.insert("accept", HeaderValue::from_static("text/event-stream"));
                let cursor = self.cursor();
                if self.random.random() {
                    headers.insert("last-event-id", value(self.stolen_cursor()));
                }
                (Method::GET, format!("/logs/stream?include_self=true{cursor}"), None)
            }
            10 => (Method::GET, format!("/logs/stream?ticket={}", self.loot.ticket), None),
            11 | 12 => self.writing(headers),
            13 => self.tenants(),
            14 => (Method::DELETE, self.cleanup(), None),
            15 | 16 => self.around_the_path(),
            _ => self.any_route(),
        }
    }

    fn stolen_cursor(&mut self) -> &'a str {
        let loot = self.loot;
        let all = if self.random.random() { &loot.cursors } else { &loot.ids };
        self.one_of(all).as_str()
    }

    fn cursor(&mut self) -> String {
        if self.random.random_ratio(1, 3) {
            return String::new();
        }
        format!("&cursor={}", self.stolen_cursor())
    }

    fn reading(&mut self) -> String {
        let filter = self.one_of(&self.loot.filters).clone();
        let cursor = self.cursor();
        let tenant = self.loot.victim_id;
        let more =
            *self.one_of(&["", "&limit=1", "&severity_min=INFO", "&from=2024-03-01T00:00:00Z"]);
        match self.random.random_range(0..8) {
            0 => format!("/logs?{filter}{cursor}{more}"),
            1 => format!("/logs?tenant_id={tenant}&{filter}"),
            2 => format!("/logs/{}", self.one_of(&self.loot.ids)),
            3 => {
                let format = *self.one_of(&["json", "ndjson", "csv"]);
                format!("/logs/export?format={format}&max_entries=5&{filter}{cursor}")
            }
            4 => {
                let group = *self.one_of(&["user_id", "action", "severity"]);
                let interval = *self.one_of(&["", "&interval=day"]);
                let filter = filter.replace("order=asc", "");
                format!("/logs/stats?group_by={group}{interval}&{filter}")
                    .trim_end_matches('&')
                    .to_owned()
            }
            5 => format!("/logs/expiries?limit=5{cursor}"),
            6 => {
                let q = *self.one_of(&["*", "victim", "user_id:victim-1", "only", "request-3"]);
                format!("/logs/search?q={q}&facets=user_id,action&highlight=true{cursor}")
            }
            _ => "/logs/board/session".to_owned(),
        }
    }

    fn writing(&mut self, headers: &mut HeaderMap) -> (Method, String, Option<Value>) {
        let mut entry =
            json!({ "action": "LOOK", "resource_type": "thing", "user_id": "victim-1" });
        match self.random.random_range(0..4) {
            0 => drop(headers.insert("idempotency-key", HeaderValue::from_static(KEY))),
            1 => entry["tenant_id"] = json!(self.loot.victim_id.to_string()),
            2 => entry["id"] = json!(self.one_of(&self.loot.ids)),
            _ => {}
        }
        if self.random.random() {
            (Method::POST, "/logs".to_owned(), Some(entry))
        } else {
            headers.remove("idempotency-key");
            (Method::POST, "/logs/bulk".to_owned(), Some(json!([entry])))
        }
    }

    fn tenants(&mut self) -> (Method, String, Option<Value>) {
        let victim_id = self.loot.victim_id.to_string();
        let cursor = self.cursor();
        match self.random.random_range(0..6) {
            0 => (Method::GET, format!("/tenants/{victim_id}"), None),
            1 => (Method::PATCH, format!("/tenants/{victim_id}"), Some(json!({ "name": "mine" }))),
            2 => {
                (Method::POST, "/tenants".to_owned(), Some(json!({ "id": victim_id, "name": "x" })))
            }
            3 => (Method::GET, format!("/tenants?limit=100{cursor}"), None),
            4 => (Method::GET, "/tenants/self".to_owned(), None),
            _ => (Method::PATCH, "/tenants/self".to_owned(), Some(json!({ "id": victim_id }))),
        }
    }

    fn cleanup(&mut self) -> String {
        let confirm = self.one_of(&self.loot.confirms).clone();
        let day = self.random.random_range(1..12);
        format!("/logs/cleanup?older_than=2024-03-{day:02}T00:00:00Z&confirm={confirm}")
    }

    /// Paths that something in between may read otherwise.
    fn around_the_path(&mut self) -> (Method, String, Option<Value>) {
        let victim_id = self.loot.victim_id;
        let id = self.one_of(&self.loot.ids).clone();
        let path = match self.random.random_range(0..9) {
            0 => format!("/tenants/self%2f..%2f{victim_id}"),
            1 => format!("/tenants/{victim_id}/logs"),
            2 => format!("/logs;tenant={victim_id}"),
            3 => format!("//logs/{id}"),
            4 => format!("/logs/{id}/"),
            5 => format!("/LOGS/{id}"),
            6 => format!("/logs/{}%00", id.to_uppercase()),
            7 => format!("/logs/%7B{id}%7D"),
            _ => format!("/logs/{}", id.replace('-', "")),
        };
        (Method::GET, path, None)
    }

    /// Any route with any method, the contract's or not.
    fn any_route(&mut self) -> (Method, String, Option<Value>) {
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
        let method = Method::from_bytes(self.one_of(&methods).as_bytes()).unwrap();
        let routes: Vec<&str> = spec::operations().map(|(path, ..)| path).collect();
        let path = (*self.one_of(&routes)).trim_start_matches("/api/v1").to_owned();
        let id = match self.random.random_range(0..3) {
            0 => self.loot.victim_id.to_string(),
            1 => Uuid::new_v4().to_string(),
            _ => self.one_of(&self.loot.ids).clone(),
        };
        let path =
            path.replace("{id}", &id).replace("{version}", "x").replace("{file}", "board.js");
        let body = matches!(method.as_str(), "POST" | "PUT" | "PATCH");
        (method, path, body.then(|| json!({ "name": "x" })))
    }

    /// Headers as no gateway sends them, with the victim among them.
    fn forge(&mut self, headers: &mut HeaderMap) {
        let (victim, own) = (self.loot.victim_id.to_string(), self.tenant_id.to_string());
        match self.random.random_range(0..8) {
            0 => drop(headers.append("x-tenant-id", value(&victim))),
            1 => {
                headers.insert("x-tenant-id", value(&victim));
                headers.append("x-tenant-id", value(&own));
            }
            2 => drop(headers.insert("x-tenant-id", value(&format!("{own}, {victim}")))),
            3 => drop(headers.append("x-user-role", value("operator"))),
            4 => drop(headers.insert("x-user-role", value("user, operator"))),
            5 => {
                headers.insert("x-tenant-id", value(&victim));
                headers.remove("x-gateway-secret");
            }
            6 => {
                headers.insert("x-tenant-id", value(&victim));
                let almost = &SECRET[..SECRET.len() - 1];
                headers.insert("x-gateway-secret", value(almost));
            }
            _ => {
                headers.append("x-gateway-secret", value("another"));
                headers.insert("x-tenant-id", value(&victim));
            }
        }
    }

    /// Headers that other systems believe.
    fn embellish(&mut self, headers: &mut HeaderMap) {
        let names = [
            "x-original-tenant-id",
            "x-forwarded-tenant-id",
            "x-tenant",
            "tenant-id",
            "x-http-method-override",
            "x-original-url",
            "x-rewrite-url",
            "forwarded",
            "cookie",
        ];
        let name = *self.one_of(&names);
        let text = match name {
            "x-http-method-override" => "DELETE".to_owned(),
            "x-original-url" | "x-rewrite-url" => {
                format!("/api/v1/tenants/{}", self.loot.victim_id)
            }
            "cookie" => format!("tenant_id={}", self.loot.victim_id),
            "forwarded" => format!("for=127.0.0.1;tenant={}", self.loot.victim_id),
            _ => self.loot.victim_id.to_string(),
        };
        headers.insert(HeaderName::from_static(name), value(&text));
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap()
}
