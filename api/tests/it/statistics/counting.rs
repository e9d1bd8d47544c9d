//! Counting ahead never shows: not while it runs, not after late entries, expiry or a restart.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration as StdDuration;

use serde_json::{Value, json};
use sqlx::Connection as _;
use time::Duration;

use super::{BEGIN, Log, Row, app_with_past, only_count};
use crate::support::app::TestApp;
use crate::support::eventually;

/// Windows that are counted while a test writes and asks.
const WINDOWS: usize = 150;

#[tokio::test(flavor = "multi_thread")]
async fn late_entries_are_counted_where_they_occurred() {
    let app = app_with_past().await;
    let mut log = Log::new(&app).await;
    let day = Duration::days(1);
    log.append(&[Row::new(BEGIN), Row::new(BEGIN + day)]).await;
    assert_eq!(log.count().await, Some(2));
    let late = Row { recorded_at: BEGIN + day * 40, ..Row::new(BEGIN + Duration::minutes(7)) };
    log.append(&[late.clone(), late.clone()]).await;
    let first_day = "from=2026-03-02T00:00:00Z&to=2026-03-03T00:00:00Z";
    let quarter = "from=2026-03-02T00:07:00Z&to=2026-03-02T00:08:00Z";
    for _ in 0..2 {
        assert_eq!(log.total(first_day).await, 3);
        assert_eq!(log.total(quarter).await, 2);
        assert!(log.count().await.is_some());
    }
    // The day of the record decides about expiry, not the day of the deed.
    log.expire_before(2).await;
    assert_eq!(log.total(first_day).await, 2);
    assert_eq!(log.total("").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_goes_on_at_the_floor_and_expired_counts_are_removed() {
    let app = app_with_past().await;
    let mut log = Log::new(&app).await;
    let days = |days: std::ops::Range<i64>| -> Vec<Row> {
        days.flat_map(|day| (0..10).map(move |n| Row::new(BEGIN + Duration::hours(24 * day + n))))
            .collect()
    };
    log.append(&days(0..3)).await;
    assert_eq!(log.count().await, Some(30));
    log.append(&days(3..6)).await;
    log.expire_before(45).await;
    assert_eq!(log.total("").await, 20);
    assert_eq!(log.count().await, Some(20), "what has expired uncounted is passed over");
    assert_eq!(log.counted().await, (60, 50));
    assert_eq!(log.total("").await, 20);

    let mut worker = app.db.as_role("audit_worker").await;
    let mut forget = async || {
        api::store::statistics::counting::forget(&mut worker, log.tenant_id).await.unwrap()
    };
    assert_eq!(forget().await, Some(30));
    assert_eq!(forget().await, Some(0));
    assert_eq!(log.counted().await, (60, 20));
    assert_eq!(log.total("").await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_somebody_counts_is_left_to_them() {
    let app = app_with_past().await;
    let mut log = Log::new(&app).await;
    log.append(&[Row::new(BEGIN)]).await;
    let held = log.hold_counting().await;
    assert_eq!(log.count().await, None);
    assert_eq!(log.total("").await, 1);
    held.close().await.unwrap();
    eventually("the lock is gone", StdDuration::from_secs(5), async || {
        let mut worker = app.db.as_role("audit_worker").await;
        let counting = api::store::statistics::counting::count_window(&mut worker, log.tenant_id);
        counting.await.unwrap().is_some()
    })
    .await;
    assert_eq!(log.counted().await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_counts_logs_that_lag_and_goes_on_after_a_restart() {
    let app = app_with_past().await;
    let mut log = Log::new(&app).await;
    let rows: Vec<Row> = (0..25_000).map(|n| Row::new(BEGIN + Duration::seconds(n))).collect();
    log.append(&rows).await;
    let tenant_id = log.tenant_id;
    // Or the service would let them expire when it starts again, and record that.
    sqlx::query("update tenant set retention_days = 36500 where id = $1")
        .bind(tenant_id.as_uuid())
        .execute(&mut app.db.admin().await)
        .await
        .unwrap();
    let is_counted = async |app: &TestApp| {
        eventually("the log is counted to its head", StdDuration::from_secs(30), async || {
            let counted: Option<bool> = sqlx::query_scalar(
                "select h.seq = c.seq
                 from log_head h
                 join log_cursor c using (tenant_id)
                 where tenant_id = $1 and c.consumer = 'statistics'",
            )
            .bind(tenant_id.as_uuid())
            .fetch_optional(&mut app.db.admin().await)
            .await
            .unwrap();
            counted == Some(true)
        })
        .await;
    };
    is_counted(&app).await;
    assert_eq!(log.total("").await, 25_000);
    assert_eq!(log.counted().await, (25_000, 25_000));

    log.append(&[Row::new(BEGIN + Duration::days(1))]).await;
    let db = app.db.clone();
    app.stop().await.unwrap();
    let app = TestApp::start_with(db, &[]).await;
    // A service that starts counts all that lags, however little.
    is_counted(&app).await;
    let answer = app.caller(tenant_id, "auditor").get("/logs/stats").await;
    assert_eq!(answer.body["head_seq"], only_count(&answer.body));
    assert!(only_count(&answer.body) > 25_000, "{answer:?}");
}

/// Whoever asks, of whatever replica, sees each entry up to the head that is answered once.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_counted_twice_or_missed_while_replicas_count_and_writers_write() {
    let app = TestApp::start().await;
    let other = TestApp::start_with(app.db.clone(), &[]).await;
    let log = Log::new(&app).await;
    let tenant_id = log.tenant_id;
    let done = AtomicBool::new(false);
    let write = async |app: &TestApp| {
        let entries: Vec<Value> = (0..97)
            .map(|n| json!({ "action": format!("A{}", n % 7), "resource_type": "thing" }))
            .collect();
        while !done.load(Ordering::Relaxed) {
            let user = app.caller(tenant_id, "user");
            user.post("/logs/bulk", &json!(entries)).await.created();
        }
    };
    let count = async || {
        for _ in 0..WINDOWS {
            log.count().await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let ask = async |app: &TestApp, parameters: &str| {
        let path = format!("/logs/stats?{parameters}");
        let mut answers = 0;
        while !done.load(Ordering::Relaxed) {
            let answer = app.caller(tenant_id, "auditor").get(&path).await;
            let counts = answer.body["data"].as_array().unwrap().iter();
            let sum: i64 = counts.map(|row| row["count"].as_i64().unwrap()).sum();
            assert_eq!(answer.body["head_seq"], sum, "{parameters}: {answer:?}");
            assert_eq!(answer.body["partial"], false);
            answers += 1;
        }
        answers
    };
    let ((), (), (), (), a, b) = tokio::join!(
        write(&app),
        write(&other),
        count(),
        count(),
        ask(&app, "group_by=action"),
        ask(&other, "interval=hour&tz=Asia/Kolkata"),
    );
    assert!(a > 5 && b > 5, "{a} and {b} answers only");
    let mut log = log;
    while log.count().await != Some(0) {}
    let (head, _) = crate::support::log::head_and_count(&mut log.admin, tenant_id).await;
    assert_eq!(log.counted().await, (head, head));
}

/// What is answered lies at or above the floor that is answered, all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_floor_that_moves_meanwhile_is_seen_or_not_but_never_half() {
    const DAYS: i64 = 60;
    let app = app_with_past().await;
    let mut log = Log::new(&app).await;
    let rows: Vec<Row> =
        (0..DAYS * 50).map(|n| Row::new(BEGIN + Duration::minutes(n * 28))).collect();
    log.append(&rows).await;
    let held = log.hold_counting().await;
    let (tenant_id, done) = (log.tenant_id, AtomicBool::new(false));
    let ask = async |parameters: &str| {
        while !done.load(Ordering::Relaxed) {
            let path = format!("/logs/stats?{parameters}");
            let answer = app.caller(tenant_id, "auditor").get(&path).await;
            if answer.status == 503 {
                continue;
            }
            let count = only_count(&answer.body);
            let (last, first) = (&answer.body["head_seq"], &answer.body["floor_seq"]);
            assert_eq!(last.as_i64().unwrap() - first.as_i64().unwrap() + 1, count);
        }
    };
    let mut expire = async || {
        for index in (0..rows.len()).step_by(60) {
            log.expire_before(index).await;
            // As partitions go: the floor first, then the rows.
            let gone = "delete from audit_log where tenant_id = $1 and seq < $2";
            let gone = sqlx::query(gone).bind(tenant_id.as_uuid()).bind(log.floor_seq as i64);
            gone.execute(&mut log.admin).await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(ask(""), ask("user_id=alice"), expire());
    held.close().await.unwrap();
}
