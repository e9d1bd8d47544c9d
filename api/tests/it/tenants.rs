//! Tenants: made once, changed on the record, never deleted.

use domain::TenantId;
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{Answer, Caller, TestApp, send};
use crate::support::log::{self, assert_len, assert_whole};

/// The settings part of a tenant, as entries quote it.
fn settings(tenant: &Value) -> Value {
    let mut settings = tenant.clone();
    for name in ["id", "version", "created_at"] {
        settings.as_object_mut().unwrap().remove(name);
    }
    settings
}

async fn changed(caller: &Caller<'_>, path: &str, change: Value) -> Answer {
    let answer = caller.patch(path, &change).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_once_with_an_empty_log() {
    let app = TestApp::shared().await;
    let operator = app.operator();
    let id = Uuid::now_v7();
    let body = json!({ "id": id, "name": "Acme", "retention_days": 30, "masked_keys": ["badge"] });
    let made = operator.post("/tenants", &body).await.created();
    assert_eq!(made.headers["location"], format!("/api/v1/tenants/{id}"));
    let expected = json!({
        "name": "Acme", "suspended": false, "retention_days": 30, "retention_kept": null,
        "legal_hold": null, "masking": true, "masked_keys": ["badge"], "record_reads": true,
        "limits": {},
    });
    assert_eq!(settings(&made.body), expected);
    assert_eq!((&made.body["id"], &made.body["version"]), (&json!(id), &json!(1)));
    assert_eq!(operator.get(&format!("/tenants/{id}")).await.text, made.text);
    assert_len(app, TenantId::new(id), 0).await;

    operator.post("/tenants", &body).await.assert_problem(409, "tenant_exists");
    let other = json!({ "id": id, "name": "Other" });
    operator.post("/tenants", &other).await.assert_problem(409, "tenant_exists");
    assert_eq!(operator.get(&format!("/tenants/{id}")).await.text, made.text);

    let generated = operator.post("/tenants", &json!({ "name": "x" })).await.created();
    let generated: Uuid = generated.body["id"].as_str().unwrap().parse().unwrap();
    assert_len(app, TenantId::new(generated), 0).await;
    let caller = app.caller(TenantId::new(generated), "user");
    assert_eq!(caller.post_entry(json!({})).await.created().body["seq"], 1);
}

/// What a request asks for is done, or the request is refused: never a hold that is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_with_all_that_was_asked_for() {
    let app = TestApp::shared().await;
    let body = json!({
        "name": "Held", "suspended": true, "legal_hold": { "reason": "case 7" },
        "masking": false, "limits": { "write": "5/s" },
    });
    let made = app.operator().post("/tenants", &body).await.created();
    assert_eq!(made.body["suspended"], true);
    assert_eq!(made.body["legal_hold"]["reason"], "case 7");
    assert_eq!(made.body["legal_hold"]["by"], "alice");
    assert_eq!(made.body["masking"], false);
    assert_eq!(made.body["limits"], json!({ "write": "5/s" }));
    let path = format!("/tenants/{}", made.body["id"].as_str().unwrap());
    assert_eq!(app.operator().get(&path).await.text, made.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_that_race_to_make_a_tenant_one_does() {
    let app = TestApp::shared().await;
    let operator = app.operator();
    let id = Uuid::now_v7();
    let bodies: Vec<_> =
        (0..20).map(|n| json!({ "id": id, "name": format!("racer {n}") })).collect();
    let answers = join_all(bodies.iter().map(|body| operator.post("/tenants", body))).await;
    let (made, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(made.len(), 1, "{answers:?}");
    for answer in refused {
        answer.assert_problem(409, "tenant_exists");
    }
    assert_eq!(operator.get(&format!("/tenants/{id}")).await.text, made[0].text);
    assert_len(app, TenantId::new(id), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_each_tenant_once_in_pages() {
    let app = TestApp::start().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(app.tenant().await.to_string());
    }
    made.sort();
    for limit in [1, 3, 7, 1_000] {
        let mut listed = Vec::new();
        let mut path = format!("/tenants?limit={limit}");
        loop {
            let page = app.operator().get(&path).await;
            assert_eq!(page.status, StatusCode::OK, "{page:?}");
            let data = page.body["data"].as_array().unwrap();
            assert!(!data.is_empty() && data.len() <= limit);
            listed.extend(data.iter().map(|tenant| tenant["id"].as_str().unwrap().to_owned()));
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            path = format!("/tenants?limit={limit}&cursor={cursor}");
        }
        assert_eq!(listed, made, "pages of {limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_tenant_is_not_found() {
    let app = TestApp::shared().await;
    for id in [Uuid::now_v7().to_string(), "7".to_owned(), "%00".to_owned(), "%ff".to_owned()] {
        let path = format!("/tenants/{id}");
        app.operator().get(&path).await.assert_problem(404, "not_found");
        let patched = app.operator().patch(&path, &json!({ "name": "x" })).await;
        patched.assert_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_recorded_with_what_was_before_and_after() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let path = format!("/tenants/{tenant_id}");
    let before = app.operator().get(&path).await.body;
    let operator = app.operator().with("x-user-id", "olga").with("x-request-id", "change-7");
    let change = json!({ "name": "Renamed", "masked_keys": ["pin"], "limits": { "read": "off" } });
    let after = changed(&operator, &path, change).await.body;
    assert_eq!(after["version"], 2);
    assert_eq!(after["name"], "Renamed");
    assert_eq!(app.operator().get(&path).await.body, after);

    let rows = log::rows(&mut app.db.admin().await, tenant_id).await;
    assert_eq!(rows.len(), 1);
    let caller = app.caller(tenant_id, "auditor");
    let entry = caller.get(&format!("/logs/{}", rows[0].id())).await.body;
    for (field, value) in [
        ("action", json!("tenant.updated")),
        ("resource_type", json!("audit_log")),
        ("resource_id", json!(tenant_id)),
        ("recorded_by", json!("olga")),
        ("user_id", json!("olga")),
        ("request_id", json!("change-7")),
        ("severity", json!("INFO")),
        ("before", settings(&before)),
        ("after", settings(&after)),
    ] {
        assert_eq!(entry[field], value, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_changes_nothing_records_nothing() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let path = format!("/tenants/{tenant_id}");
    let hold = json!({ "legal_hold": { "reason": "case 7" } });
    let first = changed(&app.operator(), &path, hold.clone()).await;
    for patch in [json!({}), json!({ "name": "test" }), json!({ "suspended": false }), hold] {
        let answer = changed(&app.operator().with("x-user-id", "bob"), &path, patch).await;
        assert_eq!(answer.text, first.text);
    }
    assert_len(app, tenant_id, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_time_are_all_recorded_each_from_the_one_before() {
    let app = TestApp::start().await;
    let replica = TestApp::start_with(app.db.clone(), &[]).await;
    let tenant_id = app.tenant().await;
    let path = format!("/tenants/{tenant_id}");
    let operators = [app.operator(), replica.operator()];
    let writer = app.caller(tenant_id, "user");
    let patches: Vec<_> = (0..12).map(|n| json!({ "retention_days": 100 + n })).collect();
    let patching =
        patches.iter().enumerate().map(|(n, patch)| operators[n % 2].patch(&path, patch));
    let writing = (0..12).map(|_| writer.post_entry(json!({ "resource_type": "thing" })));
    let (answers, written) = tokio::join!(join_all(patching), join_all(writing));
    // Who changed too often in between is told to try again, and has then changed nothing.
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.assert_problem(503, "log_busy");
    }
    for answer in written.iter().filter(|answer| answer.status != 201) {
        answer.assert_problem(503, "log_busy");
    }
    assert!(!done.is_empty());
    let mut admin = app.db.admin().await;
    let rows = log::rows(&mut admin, tenant_id).await;
    let changes: Vec<_> = rows.iter().filter(|row| row.action == "tenant.updated").collect();
    assert_eq!(changes.len(), done.len());
    for pair in changes.windows(2) {
        assert_eq!(pair[0].after, pair[1].before);
    }
    let now = app.operator().get(&path).await.body;
    assert_eq!(now["version"], 1 + changes.len() as i64);
    let last: Value =
        serde_json::from_str(changes.last().unwrap().after.as_ref().unwrap()).unwrap();
    assert_eq!(last, settings(&now));
    assert_whole(&mut admin, tenant_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_changes_of_its_own_tenant_what_an_admin_may() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let admin = app.caller(tenant_id, "admin").with("x-user-id", "anna");
    let patch = json!({
        "name": "Ours", "retention_days": 365, "masking": true, "masked_keys": ["pin"],
        "legal_hold": { "reason": "case 7" }, "record_reads": false,
    });
    let after = changed(&admin, "/tenants/self", patch).await;
    assert_eq!(after.body["legal_hold"]["by"], "anna");
    assert_eq!(admin.get("/tenants/self").await.text, after.text);
    assert_eq!(app.operator().get(&format!("/tenants/{tenant_id}")).await.text, after.text);
    for refused in
        [json!({ "suspended": true }), json!({ "limits": {} }), json!({ "id": tenant_id })]
    {
        let answer = admin.patch("/tenants/self", &refused).await;
        answer.assert_problem(422, "invalid_tenant");
        assert_eq!(answer.field_problems()[0].2, "unknown_field");
    }
    assert_len(app, tenant_id, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_whole_however_they_are_written() {
    let app = TestApp::shared().await;
    let path = format!("/tenants/{}", app.tenant().await);
    for (written, days) in [("400.0", 400), ("5e2", 500), ("3.65E+2", 365)] {
        let request = app.operator().request(Method::PATCH, &path);
        let request = request.header("content-type", "application/json");
        let answer = send(request.body(format!(r#"{{"retention_days":{written}}}"#))).await;
        assert_eq!(answer.body["retention_days"], days, "{written}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_counts_at_once_at_a_replica_that_remembers_the_tenant() {
    let app = TestApp::start().await;
    let replica = TestApp::start_with(app.db.clone(), &[]).await;
    let tenant_id = app.tenant().await;
    let path = format!("/tenants/{tenant_id}");
    let there = replica.caller(tenant_id, "user");
    let id = there.record("VIEW").await;
    changed(&app.operator(), &path, json!({ "suspended": true })).await;
    there.post_entry(json!({})).await.assert_problem(403, "tenant_suspended");
    assert_len(&app, tenant_id, 2).await;
    assert_eq!(there.get(&format!("/logs/{id}")).await.status, StatusCode::OK);
    changed(&app.operator(), &path, json!({ "suspended": false })).await;
    // The suspended state is remembered, too: it must not outlive its end.
    there.post_entry(json!({})).await.created();
    // The same holds for what is masked.
    let secret = json!({ "metadata": { "pin": "planted" } });
    changed(&app.operator(), &path, json!({ "masked_keys": ["pin"] })).await;
    let masked = there.post_entry(secret).await.created();
    assert_eq!(masked.body["metadata"]["pin"], "[masked]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legal_hold_has_a_reason_an_author_and_an_end() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let path = format!("/tenants/{tenant_id}");
    let operator = app.operator();
    let held = changed(&operator, &path, json!({ "legal_hold": { "reason": "case 7" } })).await;
    let on = &held.body["legal_hold"];
    assert_eq!((&on["reason"], &on["by"]), (&json!("case 7"), &json!("alice")));
    assert!(on["at"].as_str().unwrap().ends_with('Z'));
    for (bad, code) in [
        (json!("case 7"), "wrong_type"),
        (json!({}), "wrong_type"),
        (json!({ "reason": "" }), "too_short"),
        (json!({ "reason": 7 }), "wrong_type"),
        (json!({ "reason": "x", "by": "mallory" }), "wrong_type"),
        (json!({ "reason": "x".repeat(1_025) }), "too_long"),
        (json!({ "reason": "a\0b" }), "nul_character"),
    ] {
        let answer = operator.patch(&path, &json!({ "legal_hold": bad })).await;
        answer.assert_problem(422, "invalid_tenant");
        assert_eq!(answer.field_problems(), [(-1, "legal_hold", code)]);
    }
    let free = changed(&operator, &path, json!({ "legal_hold": null })).await;
    assert_eq!(free.body["legal_hold"], Value::Null);
    assert_len(app, tenant_id, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_cannot_be_is_refused_and_not_made() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let path = format!("/tenants/{tenant_id}");
    let keys = vec!["k"; 101];
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("é".repeat(257))),
        ("name", json!(7)),
        ("name", json!(null)),
        ("name", json!("a\0b")),
        ("retention_days", json!(6)),
        ("retention_days", json!(0)),
        ("retention_days", json!(36_501)),
        ("retention_days", json!(1.5)),
        ("retention_days", json!("90")),
        ("retention_days", json!(1e300)),
        ("suspended", json!("true")),
        ("suspended", json!(null)),
        ("masking", json!(1)),
        ("masked_keys", json!("pin")),
        ("masked_keys", json!([7])),
        ("masked_keys", json!(keys)),
        ("masked_keys", json!(["--"])),
        ("masked_keys", json!(["x".repeat(65)])),
        ("masked_keys", json!(["a\0b"])),
        ("limits", json!([])),
        ("limits", json!({ "writes": "1/s" })),
        ("limits", json!({ "a\0b": "1/s" })),
        ("limits", json!({ "write": 1 })),
        ("limits", json!({ "write": null })),
        ("limits", json!({ "write": "1/s", "read": "0/s" })),
        ("usr", json!(1)),
        ("version", json!(7)),
    ] {
        let mut new = json!({ "name": "new" });
        new[field] = value.clone();
        let made = app.operator().post("/tenants", &new).await;
        let patched = app.operator().patch(&path, &json!({ field: value })).await;
        for answer in [made, patched] {
            answer.assert_problem(422, "invalid_tenant");
            assert_eq!(answer.field_problems()[0].1, field, "{answer:?}");
        }
    }
    for (body, field, code) in [
        (json!({}), "name", "required"),
        (json!({ "name": "x", "id": "7" }), "id", "invalid_characters"),
        (json!([]), "", "wrong_type"),
    ] {
        let answer = app.operator().post("/tenants", &body).await;
        answer.assert_problem(422, "invalid_tenant");
        assert_eq!(answer.field_problems(), [(-1, field, code)]);
    }
    let id = app.operator().patch(&path, &json!({ "id": tenant_id })).await;
    id.assert_problem(422, "invalid_tenant");
    for body in [&b"{"[..], b"\xff", br#"{"name":"\ud800"}"#] {
        let answer = app.operator().post_raw("/tenants", "application/json", body.to_vec()).await;
        assert!([400, 422].contains(&answer.status.as_u16()), "{answer:?}");
    }
    assert_len(&app, tenant_id, 0).await;
    let tenants: i64 = sqlx::query_scalar("select count(*) from tenant")
        .fetch_one(&mut app.db.admin().await)
        .await
        .unwrap();
    assert_eq!(tenants, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_makes_itself_where_that_is_switched_on() {
    let db = crate::support::database::TestDb::new().await;
    let app = TestApp::start_with(db, &["--tenant-autocreate"]).await;
    let tenant_id = TenantId::new(Uuid::now_v7());
    let caller = app.caller(tenant_id, "user");
    let answers = join_all((0..10).map(|_| caller.post_entry(json!({})))).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::CREATED), "{answers:?}");
    assert_whole(&mut app.db.admin().await, tenant_id).await;
    let other = TenantId::new(Uuid::now_v7());
    app.caller(other, "user").post_raw("/logs", "text/plain", "").await;
    assert_len(&app, other, 0).await;
}

/// While replicas are replaced one by one, those of the version before send fewer settings.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_the_version_before_changes_only_what_it_knows() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let path = format!("/tenants/{tenant_id}");
    let operator = app.operator();
    let change = json!({ "record_reads": false, "retention_days": 30 });
    let before = changed(&operator, &path, change).await.body;
    assert_eq!(before["retention_kept"]["days"], 90);
    let known = json!({
        "name": "Renamed", "suspended": false, "retention_days": 30, "legal_hold": null,
        "masking": true, "masked_keys": [], "limits": {},
    });
    let outcome: i16 = sqlx::query_scalar(
        "select change_tenant(clock_timestamp(), $1, 2, $2, 'x', 'x', null, null, null, null,
            'tenant.updated', null, null)",
    )
    .bind(tenant_id.as_uuid())
    .bind(&known)
    .fetch_one(&mut app.db.as_role("audit_worker").await)
    .await
    .unwrap();
    assert_eq!(outcome, 0);
    let after = operator.get(&path).await.body;
    assert_eq!(after["name"], "Renamed");
    for setting in ["record_reads", "retention_days", "retention_kept"] {
        assert_eq!(after[setting], before[setting], "{setting}");
    }
    let made: bool = sqlx::query_scalar("select create_tenant(gen_random_uuid(), 'x', $1)")
        .bind(&known)
        .fetch_one(&mut app.db.as_role("audit_worker").await)
        .await
        .unwrap();
    assert!(made);
}
