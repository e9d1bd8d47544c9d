//! Every route, against everybody who may not use it.

use api::routes;
use domain::TenantId;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{Answer, Caller, SECRET, TestApp, send};
use crate::support::log::assert_len;
use crate::support::spec::DOCUMENT;

/// A route as this file knows it. A new route of the service needs one, or the first test fails.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// Parameters that it cannot do without.
    pub(crate) query: &'static str,
    /// Who may use it.
    pub(crate) roles: &'static [&'static str],
    /// A body that it would take.
    pub(crate) body: Option<Value>,
    /// Whether it writes a caller's entries, which a suspended tenant may not.
    pub(crate) records: bool,
}

const ROLES: [&str; 4] = ["admin", "auditor", "user", "operator"];
const OPERATOR: &[&str] = &["operator"];

/// Its answer has no end of its own.
pub(crate) const STREAM: &str = "/logs/stream";

pub(crate) fn routes() -> Vec<Route> {
    let route =
        |method, path, roles, body| Route { method, path, query: "", roles, body, records: false };
    let records = |path, body| Route {
        records: true,
        ..route(Method::POST, path, &["admin", "user"][..], Some(body))
    };
    let entry = json!({ "action": "VIEW", "resource_type": "thing" });
    let patch = || Some(json!({ "name": "renamed" }));
    vec![
        records("/logs", entry.clone()),
        records("/logs/bulk", json!([entry])),
        Route {
            query: "?older_than=2020-01-01T00:00:00Z&dry_run=true",
            ..route(Method::DELETE, "/logs/cleanup", &["admin"], None)
        },
        route(Method::GET, "/logs/expiries", &["admin", "auditor"], None),
        route(Method::GET, "/logs", &["admin", "auditor", "user"], None),
        route(Method::GET, "/logs/export", &["admin", "auditor"], None),
        route(Method::GET, "/logs/search", &["admin", "auditor", "user"], None),
        route(Method::GET, "/logs/stats", &["admin", "auditor"], None),
        route(Method::GET, "/logs/board", &["admin", "auditor"], None),
        route(Method::GET, "/logs/board/session", &["admin", "auditor"], None),
        route(Method::GET, STREAM, &["admin", "auditor"], None),
        route(Method::POST, "/logs/stream/ticket", &["admin", "auditor"], None),
        route(Method::GET, "/logs/{id}", &["admin", "auditor", "user"], None),
        route(Method::GET, "/tenants", OPERATOR, None),
        route(Method::POST, "/tenants", OPERATOR, patch()),
        route(Method::GET, "/tenants/self", &["admin"], None),
        route(Method::PATCH, "/tenants/self", &["admin"], patch()),
        route(Method::GET, "/tenants/{id}", OPERATOR, None),
        route(Method::PATCH, "/tenants/{id}", OPERATOR, patch()),
    ]
}

impl Route {
    pub(crate) fn is_for_operators(&self) -> bool {
        self.roles == OPERATOR
    }

    /// What stands for `{id}`: an entry, or the tenant itself.
    pub(crate) fn path_of(&self, tenant_id: TenantId, entry_id: Uuid) -> String {
        let id = if self.path.starts_with("/tenants") { tenant_id.as_uuid() } else { entry_id };
        self.path.replace("{id}", &id.to_string()) + self.query
    }

    pub(crate) async fn call(&self, caller: &Caller<'_>, place: &Place) -> Answer {
        let path = self.path_of(place.tenant_id, place.entry_id);
        let request = caller.request(self.method.clone(), &path);
        if self.path == STREAM {
            return begin(request.header("accept", "text/event-stream")).await;
        }
        send(match &self.body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// A caller who may use it.
    pub(crate) fn caller<'a>(&self, app: &'a TestApp, tenant_id: TenantId) -> Caller<'a> {
        if self.is_for_operators() { app.operator() } else { app.caller(tenant_id, self.roles[0]) }
    }
}

/// Sends, and reads no more of a stream than that it begins.
async fn begin(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    if answer.status() != StatusCode::OK {
        return Answer::of(answer).await;
    }
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer { status, headers, text: String::new(), body: Value::Null }
}

/// A tenant whose log has one entry.
pub(crate) struct Place {
    pub(crate) tenant_id: TenantId,
    pub(crate) entry_id: Uuid,
}

pub(crate) async fn place(app: &TestApp) -> Place {
    let tenant_id = app.tenant().await;
    let entry_id = app.caller(tenant_id, "user").record("CREATE").await;
    Place { tenant_id, entry_id }
}

/// The log as [`place`] left it, and no tenant renamed or made.
async fn assert_untouched(app: &TestApp, place: &Place) {
    assert_len(app, place.tenant_id, 1).await;
    let renamed: i64 = sqlx::query_scalar("select count(*) from tenant where name = 'renamed'")
        .fetch_one(&mut app.db.admin().await)
        .await
        .unwrap();
    assert_eq!(renamed, 0);
}

#[test]
fn every_route_of_the_service_has_a_row_here_and_every_row_a_route() {
    let mut listed = routes::listed();
    let mut rows: Vec<_> = routes().into_iter().map(|route| (route.method, route.path)).collect();
    listed.sort_by_key(|(method, path)| (*path, method.to_string()));
    rows.sort_by_key(|(method, path)| (*path, method.to_string()));
    assert_eq!(rows, listed);
}

#[test]
fn the_roles_of_the_openapi_document_are_those_of_this_file() {
    for route in routes() {
        let method = route.method.as_str().to_lowercase();
        let told = &DOCUMENT["paths"][format!("/api/v1{}", route.path)][method]["x-roles"];
        assert_eq!(*told, json!(route.roles), "{}", route.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_exactly_one_right_proof() {
    let app = TestApp::start().await;
    let place = place(&app).await;
    for route in routes() {
        let right = route.caller(&app, place.tenant_id);
        for caller in [
            right.clone().without("x-gateway-secret"),
            right.clone().with("x-gateway-secret", ""),
            right.clone().with("x-gateway-secret", "wrong"),
            right.clone().with("x-gateway-secret", &SECRET[1..]),
            right.clone().with("x-gateway-secret", &format!("{SECRET}x")),
            right.clone().with_another("x-gateway-secret", SECRET),
            right.clone().with_another("x-gateway-secret", "wrong"),
            app.with_headers(reqwest::header::HeaderMap::new()),
        ] {
            let answer = route.call(&caller, &place).await;
            answer.assert_problem(401, "unauthenticated");
            assert_eq!(answer.headers["www-authenticate"], "Gateway");
        }
    }
    assert_untouched(&app, &place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_count_while_one_replaces_the_other() {
    let flags = ["--auth", "gateway", "--gateway-secret", "new-one,old-one"];
    let db = crate::support::database::TestDb::new().await;
    let app = TestApp::start_with(db, &flags).await;
    for (secret, status) in [("new-one", 200), ("old-one", 200), ("new-one,old-one", 401)] {
        let caller = app.operator().with("x-gateway-secret", secret);
        assert_eq!(caller.get("/tenants").await.status, status, "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_proof_nobody_learns_which_routes_there_are() {
    let app = TestApp::shared().await;
    let nobody = app.operator().without("x-gateway-secret");
    for (method, path, status) in [
        (Method::GET, "", 404),
        (Method::GET, "/", 404),
        (Method::GET, "/nothing", 404),
        (Method::GET, "/logs/a/b", 404),
        (Method::GET, "/logs/bulk/", 404),
        (Method::GET, "/tenants/%ff", 404),
        (Method::DELETE, "/logs/bulk", 405),
        (Method::PUT, "/tenants/self", 405),
        (Method::OPTIONS, "/tenants", 405),
    ] {
        let answer = send(nobody.request(method.clone(), path)).await;
        answer.assert_problem(401, "unauthenticated");
        assert_eq!(answer.headers["www-authenticate"], "Gateway");
        let answer = send(app.operator().request(method.clone(), path)).await;
        let code = if status == 404 { "not_found" } else { "method_not_allowed" };
        answer.assert_problem(status, code);
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_405_names_the_methods_there_are() {
    let app = TestApp::shared().await;
    for (path, allowed) in [
        ("/logs/bulk", &["POST"][..]),
        ("/tenants", &["GET", "HEAD", "POST"]),
        ("/tenants/self", &["GET", "HEAD", "PATCH"]),
    ] {
        let answer = send(app.operator().request(Method::DELETE, path)).await;
        answer.assert_problem(405, "method_not_allowed");
        let allow = answer.headers["allow"].to_str().unwrap();
        let mut methods: Vec<_> = allow.split(',').map(str::trim).collect();
        methods.sort_unstable();
        assert_eq!(methods, allowed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_repeated_or_malformed_identity_is_refused_by_name() {
    let app = TestApp::start().await;
    let place = place(&app).await;
    for route in routes() {
        let right = route.caller(&app, place.tenant_id);
        let tenant = place.tenant_id.to_string();
        let long = "é".repeat(257);
        let mut wrong = vec![
            ("x-user-id", right.clone().without("x-user-id")),
            ("x-user-role", right.clone().without("x-user-role")),
            ("x-user-id", right.clone().with_another("x-user-id", "alice")),
            ("x-user-role", right.clone().with_another("x-user-role", "admin")),
            ("user id", right.clone().with("x-user-id", "")),
            ("user id", right.clone().with_bytes("x-user-id", long.as_bytes())),
            ("x-user-id", right.clone().with_bytes("x-user-id", b"\xff")),
            ("user id", right.clone().with_bytes("x-user-id", b"a\tb")),
            ("x-user-role", right.clone().with("x-user-role", "root")),
            ("x-user-role", right.clone().with("x-user-role", "Admin")),
            ("x-user-role", right.clone().with("x-user-role", "admin,user")),
            ("x-tenant-id", right.clone().with("x-tenant-id", "")),
            ("x-tenant-id", right.clone().with("x-tenant-id", "7")),
            ("x-tenant-id", right.clone().with("x-tenant-id", &format!("{{{tenant}}}"))),
            ("user name", right.clone().with("x-user-name", "")),
            ("x-user-name", right.clone().with_bytes("x-user-name", b"\xc3")),
            (
                "x-user-name",
                right.clone().with("x-user-name", "A").with_another("x-user-name", "A"),
            ),
            (
                "x-tenant-id",
                right.clone().with("x-tenant-id", &tenant).with_another("x-tenant-id", &tenant),
            ),
        ];
        if !route.is_for_operators() {
            wrong.push(("x-tenant-id", right.clone().without("x-tenant-id")));
        }
        for (named, caller) in wrong {
            let answer = route.call(&caller, &place).await;
            answer.assert_problem(400, "invalid_identity");
            assert!(answer.body["detail"].as_str().unwrap().contains(named), "{answer:?}");
        }
    }
    assert_untouched(&app, &place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_does_what_the_contract_gives_it_and_nothing_else() {
    let app = TestApp::start().await;
    for route in routes() {
        for role in ROLES {
            let place = place(&app).await;
            let caller = app.caller(place.tenant_id, role);
            let answer = route.call(&caller, &place).await;
            if route.roles.contains(&role) {
                assert!(answer.status.is_success(), "{role} {}: {answer:?}", route.path);
            } else {
                answer.assert_problem(403, "forbidden_role");
                assert_len(&app, place.tenant_id, 1).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_of_an_unknown_tenant_gets_nowhere() {
    let app = TestApp::start().await;
    let place = place(&app).await;
    let unknown = TenantId::new(Uuid::now_v7());
    for route in routes().iter().filter(|route| !route.is_for_operators()) {
        for role in ["admin", "auditor", "user"] {
            let answer = route.call(&app.caller(unknown, role), &place).await;
            answer.assert_problem(403, "unknown_tenant");
        }
    }
    let tenants: i64 = sqlx::query_scalar("select count(*) from tenant")
        .fetch_one(&mut app.db.admin().await)
        .await
        .unwrap();
    assert_eq!(tenants, 1, "a tenant came from nowhere");
    assert_untouched(&app, &place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_never_sees_anothers_entries() {
    let app = TestApp::shared().await;
    let (own, other) = (place(app).await, place(app).await);
    let nothing = Place { tenant_id: TenantId::new(Uuid::now_v7()), entry_id: Uuid::now_v7() };
    let by_id = routes().into_iter().filter(|route| route.path.contains("{id}"));
    for route in by_id.filter(|route| !route.is_for_operators()) {
        let caller = route.caller(app, own.tenant_id);
        assert_eq!(route.call(&caller, &own).await.status, StatusCode::OK);
        let others = route.call(&caller, &other).await;
        let unknown = route.call(&caller, &nothing).await;
        others.assert_problem(404, "not_found");
        assert_eq!(others.text, unknown.text, "the answer tells that it exists");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_is_read_but_not_written() {
    let app = TestApp::start().await;
    for route in routes().iter().filter(|route| !route.is_for_operators()) {
        let place = place(&app).await;
        let path = format!("/tenants/{}", place.tenant_id);
        let suspended = app.operator().patch(&path, &json!({ "suspended": true })).await;
        assert_eq!(suspended.status, StatusCode::OK, "{suspended:?}");
        let answer = route.call(&route.caller(&app, place.tenant_id), &place).await;
        if route.records {
            answer.assert_problem(403, "tenant_suspended");
            // The entry of `place`, and the one that says it was suspended.
            assert_len(&app, place.tenant_id, 2).await;
        } else {
            assert!(answer.status.is_success(), "{}: {answer:?}", route.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_wrong_in_several_ways_is_told_the_first() {
    let app = TestApp::start().await;
    let place = place(&app).await;
    let good = app.caller(place.tenant_id, "user");
    let nobody = TenantId::new(Uuid::now_v7());
    let huge = "x".repeat((10 << 20) + 1);
    let large = "x".repeat((512 << 10) + 1);
    let refused = r#"{"action":1}"#;
    let long_key = "k".repeat(256);
    let json = "application/json";
    let lines = "application/x-ndjson";
    let not_anyone = app.caller(nobody, "auditor").with("x-user-role", "root");

    let mut cases: Vec<(u16, &str, Answer)> = Vec::new();
    let thief = not_anyone.clone().with("x-gateway-secret", "wrong");
    cases.push((401, "unauthenticated", thief.post_raw("/nothing?x", "text/plain", "").await));
    cases.push((404, "not_found", not_anyone.post_raw("/nothing?x", "text/plain", "").await));
    let deleted = send(not_anyone.request(Method::DELETE, "/logs?x")).await;
    cases.push((405, "method_not_allowed", deleted));
    let answer = not_anyone.post_raw("/logs?x", "text/plain", refused).await;
    cases.push((400, "invalid_identity", answer));
    let stranger = app.caller(nobody, "auditor");
    let answer = stranger.post_raw("/logs?x", "text/plain", refused).await;
    cases.push((403, "unknown_tenant", answer));
    let auditor = app.caller(place.tenant_id, "auditor").with("idempotency-key", &long_key);
    let answer = auditor.post_raw("/logs?x", "text/plain", large.clone()).await;
    cases.push((403, "forbidden_role", answer));

    let bad_key = good.clone().with("idempotency-key", &long_key);
    for (path, body) in [("/logs?x=1", &large), ("/logs/bulk?x=1", &huge)] {
        let answer = bad_key.post_raw(path, "text/plain", body.clone()).await;
        cases.push((415, "unsupported_media_type", answer));
        let brotli = bad_key.clone().with("content-encoding", "br");
        let answer = brotli.post_raw(path, json, body.clone()).await;
        cases.push((415, "unsupported_encoding", answer));
        let answer = bad_key.post_raw(path, json, body.clone()).await;
        cases.push((413, "body_too_large", answer));
    }
    let answer = bad_key.post_raw("/logs", lines, large.clone()).await;
    cases.push((415, "unsupported_media_type", answer));
    for path in ["/logs", "/logs/bulk"] {
        let answer = bad_key.post_raw(path, json, refused).await;
        cases.push((400, "invalid_idempotency_key", answer));
        let answer = good.post_raw(&format!("{path}?x=1"), json, refused).await;
        cases.push((400, "unknown_parameter", answer));
        cases.push((400, "unreadable_json", good.post_raw(path, json, "{").await));
        cases.push((422, "invalid_entry", good.post_raw(path, json, refused).await));
    }
    for (status, code, answer) in cases {
        answer.assert_problem(status, code);
    }
    assert_untouched(&app, &place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_settings_are_checked_in_the_same_order() {
    let app = TestApp::start().await;
    let place = place(&app).await;
    let large = "x".repeat((64 << 10) + 1);
    let own = app.caller(place.tenant_id, "admin");
    let by_id = format!("/tenants/{}", place.tenant_id);
    for (caller, method, path) in [
        (&app.operator(), Method::POST, "/tenants"),
        (&app.operator(), Method::PATCH, &by_id),
        (&own, Method::PATCH, "/tenants/self"),
    ] {
        for (query, media, body, status, code) in [
            ("?x=1", "text/plain", &large[..], 415, "unsupported_media_type"),
            ("?x=1", "application/x-ndjson", &large, 415, "unsupported_media_type"),
            ("?x=1", "application/json", &large, 413, "body_too_large"),
            ("?x=1", "application/json", "{", 400, "unknown_parameter"),
            ("", "application/json", "{", 400, "unreadable_json"),
            ("", "application/json", r#"{"x":1}"#, 422, "invalid_tenant"),
        ] {
            let request = caller.request(method.clone(), &format!("{path}{query}"));
            let request = request.header("content-type", media).body(body.to_owned());
            send(request).await.assert_problem(status, code);
        }
    }
    assert_untouched(&app, &place).await;
}
