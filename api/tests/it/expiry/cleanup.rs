//! Cleanup: announced, confirmed once, on the record.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Stage, clean_up, cleaned, dry_run};
use crate::support::database::run;
use crate::support::log;
use crate::support::old_log::{self, floor, floor_and_rows, midnight};

#[tokio::test(flavor = "multi_thread")]
async fn a_cleanup_is_announced_confirmed_and_recorded() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, [60, 50, 40, 1], 2).await;
    let admin = stage.app.caller(tenant_id, "admin").with("x-user-id", "anna");
    let older_than = midnight(40).replace("00:00:00.000", "17:30:00");
    let dry = dry_run(&admin, &older_than).await;
    let range = json!({
        "older_than": midnight(40), "first_seq": 1, "last_seq": 4, "entries": 4,
        "confirm": dry.body["confirm"],
    });
    assert_eq!(dry.body, range);
    assert_eq!(floor(&mut stage.admin, tenant_id).await, 1, "a dry run expires nothing");
    let token = dry.body["confirm"].as_str().unwrap();
    assert_eq!(token.len(), 43);
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("select token from cleanup_confirm")
        .fetch_all(&mut stage.admin)
        .await
        .unwrap();
    assert_eq!(stored.len(), 1);
    assert!(!stored[0].starts_with(token.as_bytes()), "the token itself is not kept");

    let parameters = format!("older_than={older_than}&confirm={token}");
    let done = clean_up(&admin.clone().with("x-request-id", "r-7"), &parameters).await;
    assert_eq!(done.status, StatusCode::OK, "{done:?}");
    let certificates = stage.certificates(tenant_id).await;
    assert_eq!(certificates, std::slice::from_ref(&done.body));
    assert_eq!((&done.body["rule"], &done.body["expired_by"]), (&json!("cleanup"), &json!("anna")));
    assert_eq!(done.body["older_than"], midnight(40));
    assert_eq!((&done.body["first_seq"], &done.body["last_seq"]), (&json!(1), &json!(4)));
    assert_eq!(floor(&mut stage.admin, tenant_id).await, 5);

    let rows = log::rows(&mut stage.admin, tenant_id).await;
    let [.., requested, expired] = &rows[..] else { panic!("{rows:?}") };
    let reader = stage.app.caller(tenant_id, "auditor");
    let requested = reader.get(&format!("/logs/{}", requested.id())).await.body;
    assert_eq!(requested["action"], "cleanup.requested");
    assert_eq!(
        (&requested["user_id"], &requested["metadata"]["entries"]),
        (&json!("anna"), &json!(4))
    );
    let expired = reader.get(&format!("/logs/{}", expired.id())).await.body;
    assert_eq!((&expired["action"], &expired["user_id"]), (&json!("log.expired"), &json!("anna")));
    assert_eq!((&expired["request_id"], &expired["recorded_by"]), (&json!("r-7"), &json!("anna")));
    assert_eq!(expired["resource_id"], done.body["id"]);
    assert_eq!(expired["metadata"]["rule"], "cleanup");
    clean_up(&admin, &parameters).await.assert_problem(409, "confirm_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_is_good_for_one_range_of_one_tenant_for_ten_minutes() {
    let mut stage = Stage::new().await;
    let (own, other) = (stage.tenant(json!({})).await, stage.tenant(json!({})).await);
    for tenant_id in [own, other] {
        old_log::record(&mut stage.admin, tenant_id, [60, 50, 40, 1], 2).await;
    }
    let admin = stage.app.caller(own, "admin");
    let (range, another) = (midnight(40), midnight(50));
    let missing = clean_up(&admin, &format!("older_than={range}")).await;
    missing.assert_problem(400, "confirm_required");

    let dry = dry_run(&admin, &range).await;
    let token = dry.body["confirm"].as_str().unwrap();
    let others = dry_run(&stage.app.caller(other, "admin"), &range).await;
    let others = others.body["confirm"].as_str().unwrap();
    let swapped: String = token.chars().rev().collect();
    for (older_than, confirm) in [
        (&range, "x"),
        (&range, "not base64!"),
        (&range, swapped.as_str()),
        (&range, &token[1..]),
        (&range, others),
        (&another, token),
    ] {
        let refused = clean_up(&admin, &format!("older_than={older_than}&confirm={confirm}")).await;
        refused.assert_problem(409, "confirm_mismatch");
    }
    run(
        &mut stage.admin,
        "update cleanup_confirm set made_at = made_at - interval '10 min'".into(),
    )
    .await;
    let confirmed = format!("older_than={range}&confirm={token}");
    clean_up(&admin, &confirmed).await.assert_problem(409, "confirm_mismatch");
    for tenant_id in [own, other] {
        assert_eq!(floor(&mut stage.admin, tenant_id).await, 1);
        assert!(stage.certificates(tenant_id).await.is_empty());
    }

    // What was announced is not what there is any more.
    let dry = dry_run(&admin, &range).await;
    cleaned(&admin, &another).await;
    let token = dry.body["confirm"].as_str().unwrap();
    let outdated = clean_up(&admin, &format!("older_than={range}&confirm={token}")).await;
    outdated.assert_problem(409, "confirm_mismatch");
    assert_eq!(floor(&mut stage.admin, own).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_with_one_token_one_cleans_up() {
    let mut stage = Stage::new().await;
    for _ in 0..10 {
        let tenant_id = stage.tenant(json!({})).await;
        old_log::record(&mut stage.admin, tenant_id, [60, 50, 1], 2).await;
        let admin = stage.app.caller(tenant_id, "admin");
        let dry = dry_run(&admin, &midnight(40)).await;
        let token = dry.body["confirm"].as_str().unwrap();
        let parameters = format!("older_than={}&confirm={token}", midnight(40));
        let answers = join_all((0..4).map(|_| clean_up(&admin, &parameters))).await;
        let (done, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!(done.len(), 1, "{answers:?}");
        for answer in refused {
            answer.assert_problem(409, "confirm_mismatch");
        }
        assert_eq!(stage.certificates(tenant_id).await, std::slice::from_ref(&done[0].body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_nothing_to_expire_nothing_is_written_and_the_token_is_spent() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, [20, 1], 2).await;
    let admin = stage.app.caller(tenant_id, "admin");
    let dry = dry_run(&admin, "2020-01-01T00:00:00Z").await;
    let nothing = json!({
        "older_than": "2020-01-01T00:00:00.000Z", "first_seq": 1, "last_seq": 0, "entries": 0,
    });
    let mut announced = nothing.clone();
    announced["confirm"] = dry.body["confirm"].clone();
    assert_eq!(dry.body, announced);
    let token = dry.body["confirm"].as_str().unwrap();
    let parameters = format!("older_than=2020-01-01T00:00:00Z&confirm={token}");
    let done = clean_up(&admin, &parameters).await;
    assert_eq!((done.status, &done.body), (StatusCode::OK, &nothing));
    clean_up(&admin, &parameters).await.assert_problem(409, "confirm_mismatch");
    assert!(stage.certificates(tenant_id).await.is_empty());
    // The four, and the announcement.
    assert_eq!(floor_and_rows(&mut stage.admin, tenant_id).await, (1, 0, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_are_named_and_do_nothing() {
    let stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    let admin = stage.app.caller(tenant_id, "admin");
    for (parameters, code, named) in [
        ("", "invalid_parameter", "older_than"),
        ("dry_run=true", "invalid_parameter", "older_than"),
        ("older_than=", "invalid_parameter", "older_than"),
        ("older_than=yesterday", "invalid_parameter", "older_than"),
        ("older_than=2020-01-01", "invalid_parameter", "older_than"),
        (
            "older_than=2020-01-01T00:00:00Z&older_than=2020-01-01T00:00:00Z",
            "invalid_parameter",
            "older_than",
        ),
        ("older_than=2020-01-01T00:00:00Z&dry_run=yes", "invalid_parameter", "dry_run"),
        ("older_than=2020-01-01T00:00:00Z&dry_run=true&confirm=x", "invalid_parameter", "confirm"),
        ("older_than=2020-01-01T00:00:00Z&action=VIEW", "unknown_parameter", "action"),
    ] {
        let refused = clean_up(&admin, parameters).await;
        refused.assert_problem(400, code);
        assert!(refused.body["detail"].as_str().unwrap().contains(named), "{refused:?}");
    }
    log::assert_len(&stage.app, tenant_id, 0).await;
}

/// Far times on both ends, and a log with nothing in it.
#[tokio::test(flavor = "multi_thread")]
async fn any_time_is_brought_down_to_what_may_go() {
    let mut stage = Stage::new().await;
    let empty = stage.tenant(json!({})).await;
    let empty = dry_run(&stage.app.caller(empty, "admin"), &midnight(0)).await;
    assert_eq!((&empty.body["first_seq"], &empty.body["entries"]), (&json!(1), &json!(0)));
    let tenant_id = stage.tenant(json!({})).await;
    let admin = stage.app.caller(tenant_id, "admin");
    old_log::record(&mut stage.admin, tenant_id, [9, 8], 2).await;
    for (far, used, entries) in [
        ("9999-12-31T23:59:59.999Z", midnight(7), 4),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z".to_owned(), 0),
    ] {
        let dry = dry_run(&admin, far).await;
        assert_eq!(dry.body["older_than"], Value::from(used));
        assert_eq!(dry.body["entries"], entries);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_are_bounded() {
    let mut stage = Stage::new().await;
    let (many, few) = (stage.tenant(json!({})).await, stage.tenant(json!({})).await);
    let kept = dry_run(&stage.app.caller(few, "admin"), &midnight(9)).await;
    let admin = stage.app.caller(many, "admin");
    let mut tokens = Vec::new();
    for _ in 0..103 {
        tokens.push(dry_run(&admin, &midnight(9)).await.body["confirm"].clone());
    }
    let counts: Vec<i64> =
        sqlx::query_scalar("select count(*) from cleanup_confirm group by tenant_id order by 1")
            .fetch_all(&mut stage.admin)
            .await
            .unwrap();
    assert_eq!(counts, [1, 100]);
    for (caller, token, status) in [
        (&admin, &tokens[102], 200),
        (&admin, &tokens[0], 409),
        (&stage.app.caller(few, "admin"), &kept.body["confirm"], 200),
    ] {
        let token = token.as_str().unwrap();
        let answer = clean_up(caller, &format!("older_than={}&confirm={token}", midnight(9))).await;
        assert_eq!(answer.status, status);
    }
    run(&mut stage.admin, "update cleanup_confirm set made_at = made_at - interval '1 h'".into())
        .await;
    dry_run(&admin, &midnight(9)).await;
    let left: i64 = sqlx::query_scalar("select count(*) from cleanup_confirm")
        .fetch_one(&mut stage.admin)
        .await
        .unwrap();
    assert_eq!(left, 1, "old ones go, whoever's they are");
}
