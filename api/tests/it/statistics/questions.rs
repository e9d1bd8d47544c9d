//! What can be asked, by whom, and what comes back.

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _};
use time::Duration;

use super::{BEGIN, Log, Row, app_with_past};
use crate::support::app::TestApp;
use crate::support::database::run;

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_counted_as_soon_as_they_are_recorded() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let auditor = app.caller(tenant_id, "auditor");
    let empty = auditor.get("/logs/stats").await;
    assert_eq!(
        empty.body,
        json!({ "data": [{ "count": 0 }], "partial": false, "head_seq": 0, "floor_seq": 1 })
    );
    let grouped = auditor.get("/logs/stats?group_by=action&interval=day").await;
    assert_eq!(grouped.body["data"], json!([]));
    let user = app.caller(tenant_id, "user");
    for action in ["VIEW", "VIEW", "DELETE"] {
        user.record(action).await;
    }
    let answer = auditor.get("/logs/stats?group_by=action").await;
    let data = json!([{ "action": "DELETE", "count": 1 }, { "action": "VIEW", "count": 2 }]);
    assert_eq!(
        answer.body,
        json!({ "data": data, "partial": false, "head_seq": 3, "floor_seq": 1 })
    );
    let answer = auditor.get("/logs/stats?group_by=user_id,severity&action=VIEW").await;
    assert_eq!(
        answer.body["data"],
        json!([{ "user_id": "alice", "severity": "INFO", "count": 2 }])
    );
    assert_eq!(app.caller(tenant_id, "admin").get("/logs/stats").await.status, 200);
    user.get("/logs/stats").await.assert_problem(403, "forbidden_role");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_question_is_refused_and_what_is_wrong_named() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    app.caller(tenant_id, "user").record("VIEW").await;
    let auditor = app.caller(tenant_id, "auditor");
    let years = "from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z";
    for (parameters, code, named) in [
        ("q=x".to_owned(), "unknown_parameter", "q"),
        ("limit=10".to_owned(), "unknown_parameter", "limit"),
        ("group_by=message".to_owned(), "invalid_parameter", "group_by"),
        ("group_by=".to_owned(), "invalid_parameter", "group_by"),
        ("group_by=action,action".to_owned(), "invalid_parameter", "action twice"),
        ("group_by=action&group_by=action".to_owned(), "invalid_parameter", "action twice"),
        ("group_by=action,severity,user_id".to_owned(), "invalid_parameter", "group_by"),
        ("interval=year".to_owned(), "invalid_parameter", "interval"),
        ("interval=day&interval=day".to_owned(), "invalid_parameter", "interval"),
        ("interval=day&tz=Berlin".to_owned(), "invalid_parameter", "tz"),
        ("tz=%2B02:00".to_owned(), "invalid_parameter", "tz"),
        ("severity=info".to_owned(), "invalid_parameter", "severity"),
        (
            "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z".to_owned(),
            "invalid_parameter",
            "from",
        ),
        (format!("interval=minute&{years}"), "invalid_parameter", "interval"),
        (format!("interval=hour&{years}"), "invalid_parameter", "interval"),
    ] {
        let answer = auditor.get(&format!("/logs/stats?{parameters}")).await;
        answer.assert_problem(400, code);
        assert!(answer.body["detail"].as_str().unwrap().contains(named), "{answer:?}");
    }
    let answer = auditor.get(&format!("/logs/stats?interval=day&{years}")).await;
    assert_eq!(answer.body["data"].as_array().unwrap().len(), 366);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_counts_are_not_anothers() {
    let app = app_with_past().await;
    let (mut own, mut other) = (Log::new(&app).await, Log::new(&app).await);
    own.append(&[Row::new(BEGIN), Row::new(BEGIN)]).await;
    other.append(&[Row::new(BEGIN), Row::new(BEGIN), Row::new(BEGIN)]).await;
    for _ in 0..2 {
        for parameters in ["", "user_id=alice"] {
            assert_eq!(own.total(parameters).await, 2);
            assert_eq!(other.total(parameters).await, 3);
        }
        assert!(own.count().await.is_some() && other.count().await.is_some());
    }
    // A reader who asks for nobody in particular sees the tenant of the session.
    let mut reader = app.db.as_role("audit_reader").await;
    run(&mut reader, format!("set audit.tenant_id = '{}'", own.tenant_id)).await;
    for view in ["entry_count", "counted_until"] {
        let tenants = AssertSqlSafe(format!("select tenant_id from {view}"));
        let tenants: Vec<uuid::Uuid> =
            sqlx::query_scalar(tenants).fetch_all(&mut reader).await.unwrap();
        assert_eq!(tenants, [own.tenant_id.as_uuid()], "{view}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_beyond_a_thousand_are_folded_and_said_to_be() {
    let app = app_with_past().await;
    let mut log = Log::new(&app).await;
    let row = |n: i64| Row {
        action: format!("A{n:04}"),
        severity: i16::from(n % 2 == 0),
        ..Row::new(BEGIN + Duration::seconds(n / 10))
    };
    // A client's own word for it is an action like any other.
    let literal = Row { action: "__other__".to_owned(), ..Row::new(BEGIN) };
    log.append(&[literal.clone(), literal]).await;
    log.append(&(0..999).map(row).collect::<Vec<_>>()).await;
    assert!(log.count().await.is_some());
    assert_eq!(log.total("action=__other__").await, 2);
    log.append(&(997..1_003).map(row).collect::<Vec<_>>()).await;
    // The next quarter has room again.
    let later = Row {
        recorded_at: BEGIN + Duration::hours(1),
        occurred_at: BEGIN + Duration::hours(1),
        ..row(1_001)
    };
    log.append(&[later]).await;
    assert_eq!(log.total("action=A1001").await, 2, "what is not counted ahead is told apart");
    assert!(log.count().await.is_some());
    let total = log.rows.len() as i64;
    assert_eq!(log.counted().await, (total, total));

    assert_eq!(log.total("").await, total);
    let severities = log.ask("group_by=severity&severity_min=INFO").await;
    assert_eq!(severities.body["partial"], false, "severities stay exact");
    let exact: i64 = log.rows.iter().filter(|row| row.severity == 0).count() as i64;
    assert_eq!(severities.body["data"][0], json!({ "severity": "INFO", "count": exact }));

    let actions = log.ask("group_by=action").await;
    assert_eq!(actions.body["partial"], true);
    let count_of = |action: &str| {
        let rows = actions.body["data"].as_array().unwrap();
        rows.iter().find(|row| row["action"] == action).map(|row| row["count"].as_i64().unwrap())
    };
    assert_eq!(count_of("A0998"), Some(2), "what was there before goes on to be counted");
    assert_eq!(count_of("A1001"), Some(1), "the one of the next quarter");
    assert_eq!(count_of("__other__"), Some(2 + 4), "the client's own, and four that were folded");

    for (parameters, count) in
        [("action=A1001", 1), ("action=A0998", 2), ("resource_type=thing", total - 4)]
    {
        let answer = log.ask(parameters).await;
        assert_eq!(answer.body["partial"], true, "{parameters}");
        assert_eq!(super::only_count(&answer.body), count, "{parameters}");
    }
    // Asked of the log itself, all is told apart.
    assert_eq!(log.total("action=A1001&user_id=alice").await, 2);
    let elsewhere = format!("action=A1001&from={}", "2026-03-02T01:00:00Z");
    assert_eq!(log.total(&elsewhere).await, 1, "no quarter of the range was folded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_to_look_at_is_said_to_be_partial() {
    let app = app_with_past().await;
    let mut log = Log::new(&app).await;
    let held = log.hold_counting().await;
    let total = 230_000_i64;
    for first in (0..total).step_by(46_000) {
        let rows: Vec<Row> = (first..first + 46_000)
            .map(|n| Row {
                user_id: format!("user-{}", n % 3),
                ..Row::new(BEGIN + Duration::milliseconds(n * 2_000))
            })
            .collect();
        log.append(&rows).await;
    }
    let answer = log.ask("group_by=user_id").await;
    assert_eq!(answer.body["partial"], true);
    let counts = answer.body["data"].as_array().unwrap().iter();
    assert_eq!(counts.map(|row| row["count"].as_i64().unwrap()).sum::<i64>(), 200_000);
    let answer = log.ask("").await;
    assert_eq!(
        (answer.body["partial"].clone(), super::only_count(&answer.body)),
        (json!(true), 200_000)
    );

    // A part of the log that is not too long is exact; of a part that is long ago, whatever was
    // recorded in time is counted before what may have come late.
    assert_eq!(log.total("user_id=user-1&from=2026-03-06T00:00:00Z").await, 19_067);
    let hour = "user_id=user-1&from=2026-03-02T00:00:00Z&to=2026-03-02T01:00:00Z";
    let answer = log.ask(hour).await;
    assert_eq!(
        (answer.body["partial"].clone(), super::only_count(&answer.body)),
        (json!(true), 600)
    );

    held.close().await.unwrap();
    while log.count().await != Some(0) {}
    assert_eq!(log.total("").await, total);
}
