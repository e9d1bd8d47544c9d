//! Reads leave a trace in the log that was read: one for what belongs together.

use domain::TenantId;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::database::TestDb;

/// The metadata of the traces of reading, by who read and which route.
async fn traces(db: &TestDb, tenant_id: TenantId) -> Vec<(String, Value)> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select user_id, metadata::text
         from audit_log
         where tenant_id = $1
            and action = 'log.read'
            and resource_type = 'audit_log'
         order by user_id, metadata ->> 'route', metadata ->> 'filter'",
    )
    .bind(tenant_id.as_uuid())
    .fetch_all(&mut db.admin().await)
    .await
    .unwrap();
    rows.into_iter().map(|(user, text)| (user, serde_json::from_str(&text).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_recorded_once_for_each_principal_route_and_filter() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let alice = app.caller(tenant_id, "admin");
    let id = alice.record("CREATE").await;
    alice.record("VIEW").await;
    let bob = app.caller(tenant_id, "auditor").with("x-user-id", "bob");
    for _ in 0..3 {
        alice.get("/logs?limit=1").await;
    }
    alice.get("/logs?action=VIEW&order=asc").await;
    bob.get("/logs").await;
    bob.get(&format!("/logs/{id}")).await;
    bob.get("/logs?limit=x").await;
    let db = app.db.clone();
    assert_eq!(traces(&db, tenant_id).await, [], "not yet: more of the same may come");
    app.stop().await.unwrap();

    let traces = traces(&db, tenant_id).await;
    let told: Vec<_> = traces
        .iter()
        .map(|(user, told)| {
            let counts = (told["requests"].as_u64().unwrap(), told["entries"].as_u64().unwrap());
            (user.as_str(), told["route"].as_str().unwrap(), told["filter"].clone(), counts)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("alice", "GET /logs", json!({ "action": ["VIEW"] }), (1, 1)),
            ("alice", "GET /logs", json!({}), (3, 3)),
            ("bob", "GET /logs", json!({}), (1, 2)),
            ("bob", "GET /logs/{id}", json!({}), (1, 1)),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_can_do_without_traces_of_reading() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let admin = app.caller(tenant_id, "admin");
    let off = admin.patch("/tenants/self", &json!({ "record_reads": false })).await;
    assert_eq!(off.body["record_reads"], false, "{off:?}");
    assert_eq!(admin.get("/logs").await.status, 200);
    let db = app.db.clone();
    app.stop().await.unwrap();
    assert_eq!(traces(&db, tenant_id).await, []);
}
