//! Recording entries, one and many.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_entry_can_be_read_back_as_it_was_answered() {
    let app = TestApp::start().await;
    let caller = app.caller(app.tenant().await, "user");
    let recorded = caller
        .post(
            "/logs",
            &json!({ "action": "UPDATE", "resource_type": "invoice", "after": { "n": 1.50 } }),
        )
        .await;
    assert_eq!(recorded.status, StatusCode::CREATED, "{recorded:?}");
    let location = recorded.headers["location"].to_str().unwrap();
    let found = caller.get(location.strip_prefix("/api/v1").unwrap()).await;
    assert_eq!(found.status, StatusCode::OK);
    assert_eq!(found.text, recorded.text);
}
