//! How streams end, and with which code.

use serde_json::json;

use super::record;
use crate::support::app::TestApp;
use crate::support::socket::Socket;

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sends_what_is_there_a_last_cursor_and_1012() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut socket = Socket::open(&app.base, tenant_id, "").await;
    socket.expect("hello").await;
    let mut paused = Socket::open(&app.base, tenant_id, "").await;
    paused.expect("hello").await;
    paused.say(json!({ "type": "pause" })).await;
    let begin = paused.expect("hello").await;
    record(&app.caller(tenant_id, "user"), 0, 20).await;
    let stopping = tokio::spawn(app.stop());
    assert_eq!(socket.seqs(20).await, (1..21).collect::<Vec<_>>());
    let beat = socket.frame().await;
    assert_eq!((&beat["type"], &beat["head_seq"]), (&json!("heartbeat"), &json!(20)));
    assert_eq!(socket.closed().await.0, 1012);
    let beat = paused.frame().await;
    assert_eq!(beat["cursor"], begin["cursor"]);
    assert_eq!(paused.closed().await.0, 1012);
    stopping.await.unwrap().unwrap();
}
