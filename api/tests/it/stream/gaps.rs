//! What is not delivered is told.

use domain::TenantId;
use serde_json::{Value, json};
use time::Duration;
use time::macros::datetime;

use crate::support::app::TestApp;
use crate::support::database::run;
use crate::support::history::{self, Past};
use crate::support::socket::Socket;

const DAY: time::OffsetDateTime = datetime!(2024-03-01 00:00 UTC);

/// A log with an entry at each of these hours after the beginning of a day.
async fn with_past(hours: impl Iterator<Item = i64>) -> (TestApp, TenantId) {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut admin = app.db.admin().await;
    history::make_room(&mut admin).await;
    let past: Vec<Past> = hours.map(|hour| Past::at(DAY + Duration::hours(hour))).collect();
    history::write(&mut admin, tenant_id, &past).await;
    (app, tenant_id)
}

/// The cursors of the log's entries, from the one of its beginning on.
async fn cursors(app: &TestApp, tenant_id: TenantId, begin: &str, count: usize) -> Vec<String> {
    let mut socket = Socket::open(&app.base, tenant_id, &format!("?cursor={begin}")).await;
    socket.expect("hello").await;
    let mut cursors = vec![begin.to_owned()];
    for _ in 0..count {
        cursors.push(text(&socket.expect("log").await["cursor"]));
    }
    cursors
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn begin(app: &TestApp, tenant_id: TenantId) -> String {
    let mut socket = Socket::open(&app.base, tenant_id, "").await;
    text(&socket.expect("hello").await["cursor"])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_a_gap_and_the_rest_follows() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let begin = begin(&app, tenant_id).await;
    let mut admin = app.db.admin().await;
    history::make_room(&mut admin).await;
    let past: Vec<Past> = (0..6).map(|n| Past::at(DAY + Duration::hours(12 * n))).collect();
    history::write(&mut admin, tenant_id, &past).await;
    let cursors = cursors(&app, tenant_id, &begin, 6).await;
    let floor = (DAY + Duration::hours(24)).date();
    history::move_floor(&mut admin, tenant_id, floor).await;
    for (seen, cursor) in cursors.iter().enumerate() {
        let mut socket = Socket::open(&app.base, tenant_id, &format!("?cursor={cursor}")).await;
        let hello = socket.expect("hello").await;
        assert_eq!(hello["floor_seq"], 3);
        assert_eq!(hello["cursor"], json!(cursor), "who breaks off here is told again");
        if seen < 2 {
            let gap = json!({
                "type": "gap", "from_seq": seen + 1, "to_seq": 2, "reason": "expired"
            });
            assert_eq!(socket.expect("gap").await, gap);
        }
        let first = 3.max(seen as i64 + 1);
        let rest = usize::try_from(7 - first).unwrap();
        assert_eq!(socket.seqs(rest).await, (first..7).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restore_has_undone_is_a_gap_and_what_came_since_follows() {
    let (app, tenant_id) = with_past(0..0).await;
    let begin = begin(&app, tenant_id).await;
    let mut admin = app.db.admin().await;
    let past: Vec<Past> = (0..6).map(|n| Past::at(DAY + Duration::hours(n))).collect();
    history::write(&mut admin, tenant_id, &past).await;
    let cursors = cursors(&app, tenant_id, &begin, 6).await;
    let mut live = Socket::open(&app.base, tenant_id, "").await;
    live.expect("hello").await;
    let mut early = Socket::open(&app.base, tenant_id, &format!("?cursor={}", cursors[4])).await;
    early.expect("hello").await;
    assert_eq!(early.seqs(2).await, [5, 6]);
    // Back to the state after four entries, then on with other ones.
    run(
        &mut admin,
        "with gone as (delete from audit_log where seq > 4)
         update log_head set seq = 4, recorded_at = '2024-03-01 03:00+00'"
            .to_owned(),
    )
    .await;
    let gap = json!({ "type": "gap", "from_seq": 5, "to_seq": 6, "reason": "history_changed" });
    for socket in [&mut live, &mut early] {
        assert_eq!(socket.expect("gap").await, gap);
    }
    let more: Vec<Past> = (10..14).map(|n| Past::at(DAY + Duration::hours(n))).collect();
    history::write(&mut admin, tenant_id, &more).await;
    for socket in [&mut live, &mut early] {
        assert_eq!(socket.seqs(4).await, [5, 6, 7, 8]);
    }
    // Those that come back later see the same.
    for (seen, cursor) in cursors.iter().enumerate() {
        let mut socket = Socket::open(&app.base, tenant_id, &format!("?cursor={cursor}")).await;
        socket.expect("hello").await;
        if seen > 4 {
            let gap = json!({
                "type": "gap", "from_seq": 5, "to_seq": seen, "reason": "history_changed"
            });
            assert_eq!(socket.expect("gap").await, gap);
        }
        let first = 5.min(seen as i64 + 1);
        let rest = usize::try_from(9 - first).unwrap();
        assert_eq!(socket.seqs(rest).await, (first..9).collect::<Vec<_>>());
    }
}
