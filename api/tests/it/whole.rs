//! From the request that records an entry to the search that finds it, through everything that is
//! delivered: service, relay, queue, mapping, the Lambda's binary, OpenSearch. No part is a fake.

use std::collections::HashSet;
use std::time::Duration;

use domain::{StoredEntry, TenantId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::support::app::{Answer, entry, identity, send};
use crate::support::database::TestDb;
use crate::support::deployed::Deployed;
use crate::support::eventually;
use crate::support::service::{Service, migrate_with};

/// How long an entry may take into the index while other tests keep the machine busy.
const INDEXED_WITHIN: Duration = Duration::from_mins(1);

/// What finds the entry of [`everything`] and no other, by field.
const FOUND_BY: [(&str, &[&str]); 18] = [
    ("id", &["q=id:{id}"]),
    ("seq", &["q=seq:{seq}", "q=seq:{seq} severity:CRITICAL"]),
    ("recorded_by", &["q=recorded_by:{recorded_by}", "q=anna.schmidt"]),
    ("occurred_at", &["from=2026-01-31T23:59:59.998Z&to=2026-02-01T00:00:00Z"]),
    ("user_id", &["user_id=u-4711", "q=user_id:u-4711", "q=u-4711"]),
    ("user_name", &["q=user_name:花子", "q=\"山田 花子\"", "q=山田"]),
    ("session_id", &["session_id=sess/9f8e", "q=session_id:sess/9f8e", "q=sess/9f8e"]),
    ("request_id", &["request_id=req-77", "q=request_id:req-77", "q=req-77"]),
    ("action", &["action=invoice.approved", "q=action:invoice.approved", "q=approved"]),
    ("resource_type", &["resource_type=invoice", "q=resource_type:invoice", "q=invoice"]),
    (
        "resource_id",
        &["resource_id=inv-2024/0042", "q=resource_id:inv-2024/0042", "q=inv-2024/0042"],
    ),
    ("severity", &["severity=CRITICAL", "severity_min=ERROR", "q=severity:CRITICAL"]),
    (
        "message",
        &[
            "q=message:geprüft",
            "q=\"Rechnung für 東京\"",
            "q=東京 GEPRÜFT",
            "q=rechn*",
            "q=jo.smith@example.co.jp",
            "q=192.0.2.17",
            "q=geprüft -storniert",
        ],
    ),
    ("ip_address", &["q=ip_address:2001:db8::17", "q=ip_address:2001:db8::/32"]),
    ("user_agent", &["q=user_agent:mosaic", "q=mosaic"]),
    ("before", &["q=before.state:draft", "q=draft", "q=before.limits:20.5", "q=zoë", "q=limits"]),
    (
        "after",
        &[
            "q=after.nested.deep.value:271828",
            "q=271828",
            "q=after.\"a.b\".c:true",
            "q=after.owner:null",
            "q=\"zwei Worte\"",
        ],
    ),
    (
        "metadata",
        &[
            "q=metadata.ticket:OPS-1234",
            "q=ops-1234",
            "q=metadata.tags:監査",
            "q=監査",
            "q=metadata.mail:ops@example.org",
            "q=metadata.net:198.51.100.7",
            "q=metadata.order:inv-2023/0007",
            "q=inv-2023/0007",
            "q=metadata.名前:山本",
            "q=metadata.ticket:*",
        ],
    ),
];

/// What finds nothing, though it is close.
const FOUND_BY_NOTHING: [&str; 12] = [
    "q=storniert",
    "q=before.state:approved",
    "q=after.state:draft",
    "q=metadata.nested.deep.value:271828",
    "q=\"東京 Rechnung\"",
    "q=message:draft",
    "q=user_id:u-4712",
    "q=rechnung -geprüft",
    "q=ip_address:2001:db9::/32",
    "q=inv-2024/0043",
    "user_id=u-471",
    "q=draft&severity=INFO",
];

/// An entry that uses every field.
fn everything() -> Value {
    json!({
        "occurred_at": "2026-01-31T23:59:59.999Z",
        "user_id": "u-4711",
        "user_name": "山田 花子",
        "session_id": "sess/9f8e",
        "request_id": "req-77",
        "action": "invoice.approved",
        "resource_type": "invoice",
        "resource_id": "inv-2024/0042",
        "severity": "CRITICAL",
        "message": "Rechnung für 東京 geprüft, Frage von jo.smith@example.co.jp an 192.0.2.17",
        "ip_address": "2001:db8::17",
        "user_agent": "Mosaic/0.9 (Windows 3.1)",
        "before": { "state": "draft", "limits": [10, 20.5], "owner": { "name": "Zoë" } },
        "after": {
            "state": "approved",
            "nested": { "deep": { "value": 271_828 } },
            "a.b": { "c": true },
            "owner": null,
            "lines": [{ "text": "eins" }, { "text": "zwei Worte" }],
        },
        "metadata": {
            "ticket": "OPS-1234",
            "tags": ["quarterly", "監査"],
            "mail": "ops@example.org",
            "net": "198.51.100.7",
            "order": "inv-2023/0007",
            "名前": "山本",
        },
    })
}

struct Stage {
    service: Service,
    deployed: Deployed,
    http: reqwest::Client,
}

impl Stage {
    async fn new() -> Self {
        let (deployed, db) = (Deployed::on_shared(), TestDb::new().await);
        deployed.make(&[]).await;
        let (url, settings) = (db.url(), deployed.of_service());
        let service = {
            let settings: Vec<_> = settings.iter().map(|(n, value)| (*n, value.as_str())).collect();
            Service::start(&url, &settings).await
        };
        let migrate = move || {
            let settings: Vec<_> = settings.iter().map(|(n, value)| (*n, value.as_str())).collect();
            migrate_with(&url, &settings);
        };
        spawn_blocking(migrate).await.unwrap();
        Self { service, deployed, http: reqwest::Client::new() }
    }

    async fn tenant(&self) -> TenantId {
        let request = self.http.post(format!("{}/api/v1/tenants", self.service.base));
        let request = request.headers(identity(None, "operator")).json(&json!({ "name": "whole" }));
        TenantId::parse(send(request).await.created().body["id"].as_str().unwrap()).unwrap()
    }

    /// Records the entry of [`everything`], by somebody who records nothing else.
    async fn record_everything(&self, tenant_id: TenantId) -> Value {
        let mut headers = identity(Some(tenant_id), "user");
        headers.insert("x-user-id", "anna.schmidt".parse().unwrap());
        let request = self.http.post(format!("{}/api/v1/logs", self.service.base));
        send(request.headers(headers).json(&everything())).await.created().body
    }

    async fn record(&self, tenant_id: TenantId, draft: &Value) -> Value {
        let request = self.request(Method::POST, tenant_id, "/logs").json(draft);
        send(request).await.created().body
    }

    /// A search with these parameters, written as a person would: not encoded.
    async fn search(&self, tenant_id: TenantId, parameters: &str) -> Answer {
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap();
            encoded.append_pair(name, value);
        }
        let path = format!("/logs/search?{}", encoded.finish());
        let answer = send(self.request(Method::GET, tenant_id, &path)).await;
        assert_eq!(answer.status, StatusCode::OK, "{parameters}: {answer:?}");
        answer
    }

    fn request(&self, method: Method, tenant_id: TenantId, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.service.base));
        request.headers(identity(Some(tenant_id), "admin"))
    }

    /// Waits until a search says that it had all of a log from the index.
    async fn until_indexed(&self, tenant_id: TenantId) {
        eventually("the index has all of the log", INDEXED_WITHIN, async || {
            let answer = self.search(tenant_id, "").await.body;
            answer["index"]["complete"] == json!(true) && answer["source"] == "opensearch"
        })
        .await;
    }
}

/// Parameters with what only the entry itself knows.
fn filled(parameters: &str, entry: &Value) -> String {
    let text = |field: &str| entry[field].to_string().trim_matches('"').to_owned();
    let mut filled = parameters.to_owned();
    for field in ["id", "seq", "recorded_by"] {
        filled = filled.replace(&format!("{{{field}}}"), &text(field));
    }
    filled
}

fn ids(answer: &Answer) -> Vec<&str> {
    let entries = answer.body["data"].as_array().unwrap();
    entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_found_by_every_field_and_by_values_inside_its_json() {
    let covered = FOUND_BY.iter().map(|(field, _)| *field).chain(["tenant_id", "recorded_at"]);
    let covered: HashSet<_> = covered.collect();
    assert_eq!(covered, HashSet::from(StoredEntry::FIELDS), "a field is missing here");
    let stage = Stage::new().await;
    let (own, twin, stranger) = (stage.tenant().await, stage.tenant().await, stage.tenant().await);
    stage.record(stranger, &entry(json!({}))).await;
    for tenant_id in [own, twin] {
        stage.record(tenant_id, &entry(json!({ "message": "before it" }))).await;
    }
    let theirs = stage.record_everything(twin).await;
    let entry_of_all = stage.record_everything(own).await;
    stage.assert_found(own, &entry_of_all, "right after the 201").await;
    let plain = stage.record(own, &entry(json!({ "message": "after it" }))).await;

    for tenant_id in [own, twin, stranger] {
        stage.until_indexed(tenant_id).await;
    }
    for entry in [&entry_of_all, &theirs, &plain] {
        let this = json!({ "ids": { "values": [entry["id"]] } });
        assert_eq!(stage.deployed.documents(&this).await, 1, "OpenSearch has no {entry}");
    }
    stage.assert_found(own, &entry_of_all, "in the index").await;
    stage.assert_found(twin, &theirs, "in the index").await;
    stage.assert_only_from_index(own, &entry_of_all).await;
    for parameters in FOUND_BY_NOTHING {
        let answer = stage.search(own, parameters).await;
        assert_eq!(ids(&answer), [""; 0], "{parameters}");
    }
    stage.assert_strangers_find_nothing(stranger, &entry_of_all).await;

    // By the time at which it was recorded, which is when it occurred unless somebody says so.
    let (from, to) = (plain["recorded_at"].as_str().unwrap(), "2999-01-01T00:00:00Z");
    let answer = stage.search(own, &format!("q=after&from={from}&to={to}")).await;
    assert_eq!(ids(&answer), [plain["id"].as_str().unwrap()]);
    let all = stage.search(own, "").await;
    let own = json!(own.to_string());
    assert!(all.body["data"].as_array().unwrap().iter().all(|entry| entry["tenant_id"] == own));
    stage.deployed.delete_indices().await;
}

impl Stage {
    /// Fails unless every search finds the entry, all of it and nothing else.
    async fn assert_found(&self, tenant_id: TenantId, entry: &Value, when: &str) {
        for (field, searches) in FOUND_BY {
            for parameters in searches {
                let answer = self.search(tenant_id, &filled(parameters, entry)).await;
                let found = &answer.body["data"];
                assert_eq!(*found, json!([entry]), "{field} by {parameters}, {when}");
            }
        }
    }

    /// Fails unless all of it came from the index: none is left to the log.
    async fn assert_only_from_index(&self, tenant_id: TenantId, entry: &Value) {
        for (_, searches) in FOUND_BY {
            for parameters in searches {
                let answer = self.search(tenant_id, &filled(parameters, entry)).await.body;
                assert_eq!(answer["source"], "opensearch", "{parameters}");
                assert_eq!(answer["index"]["complete"], json!(true), "{parameters}");
                assert_eq!(answer["total"], json!({ "value": 1, "exact": true }), "{parameters}");
            }
        }
    }

    /// Fails if a tenant finds another's entry by anything.
    async fn assert_strangers_find_nothing(&self, stranger: TenantId, entry: &Value) {
        for (field, searches) in FOUND_BY {
            for parameters in searches {
                let answer = self.search(stranger, &filled(parameters, entry)).await;
                assert_eq!(ids(&answer), [""; 0], "{field} by {parameters}");
                assert_eq!(answer.body["total"]["value"], 0, "{field} by {parameters}");
            }
        }
    }
}
