//! Retention: each tenant's own days, at UTC midnights, never below the least.

use std::time::Duration;

use api::store::expiry::{self, ExpireError};
use api::store::{self, DbRole};
use domain::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Stage;
use crate::support::database::run;
use crate::support::eventually;
use crate::support::log;
use crate::support::old_log::{self, floor, floor_and_rows, midnight};

#[tokio::test(flavor = "multi_thread")]
async fn each_tenants_entries_expire_after_its_own_days_at_a_utc_midnight() {
    let mut stage = Stage::new().await;
    let (long, short) = (stage.tenant(json!({})).await, stage.tenant(json!({})).await);
    run(&mut stage.admin, format!("update tenant set retention_days = 30 where id = '{short}'"))
        .await;
    // Two entries a day, in partitions that both share.
    for tenant_id in [long, short] {
        old_log::record(&mut stage.admin, tenant_id, [100, 91, 90, 89, 31, 30, 29, 1], 2).await;
    }
    let done = stage.round().await;
    assert_eq!((done.expired, done.entries), (2, 4 + 10));
    // Two below, and the entry that records the expiry.
    assert_eq!(floor_and_rows(&mut stage.admin, long).await, (5, 4, 13));
    assert_eq!(floor_and_rows(&mut stage.admin, short).await, (11, 10, 7));
    for (tenant_id, days, floor) in [(long, 90, 5), (short, 30, 11)] {
        let certificates = stage.certificates(tenant_id).await;
        assert_eq!(certificates.len(), 1);
        let certificate = &certificates[0];
        assert_eq!(certificate["older_than"], midnight(days));
        assert_eq!(certificate["rule"], "retention");
        assert_eq!(certificate["expired_by"], "audit-log");
        assert_eq!(
            (&certificate["first_seq"], &certificate["entries"]),
            (&json!(1), &json!(floor - 1))
        );
        assert_eq!(certificate["last_seq"], floor - 1);
        assert_eq!(certificate["erased_at"], Value::Null);
        let rows = log::rows(&mut stage.admin, tenant_id).await;
        let reader = stage.app.caller(tenant_id, "user");
        for row in &rows {
            let answer = reader.get(&format!("/logs/{}", row.id())).await;
            let expected = if row.seq < floor { StatusCode::NOT_FOUND } else { StatusCode::OK };
            assert_eq!(answer.status, expected, "{}", row.seq);
        }
        let entry = reader.get(&format!("/logs/{}", rows.last().unwrap().id())).await.body;
        assert_eq!(entry["action"], "log.expired");
        assert_eq!(entry["severity"], "WARNING");
        assert_eq!(entry["resource_type"], "audit_log");
        assert_eq!(entry["resource_id"], certificate["id"]);
        assert_eq!(entry["recorded_at"], certificate["expired_at"]);
        let metadata = json!({
            "rule": "retention", "older_than": midnight(days), "first_seq": 1,
            "last_seq": floor - 1, "entries": floor - 1,
        });
        assert_eq!(entry["metadata"], metadata);
        assert!(!rows.last().unwrap().metadata.as_ref().unwrap().contains(' '));
        let at =
            |n: usize| json!(rows[n].id().place_in(tenant_id).unwrap().recorded_at.to_string());
        assert_eq!(certificate["first_recorded_at"], at(0));
        assert_eq!(certificate["last_recorded_at"], at(usize::try_from(floor).unwrap() - 2));
    }
    assert_eq!(stage.round().await.expired, 0, "a round that finds nothing does nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_below_the_least() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, (0..=9).rev(), 1).await;
    // As if an instance that kept less had been here before.
    run(&mut stage.admin, "update tenant set retention_days = 1".to_owned()).await;
    stage.round().await;
    assert_eq!(stage.certificates(tenant_id).await[0]["older_than"], midnight(7));
    assert_eq!(floor(&mut stage.admin, tenant_id).await, 3);
    let admin = stage.app.caller(tenant_id, "admin");
    let dry = super::dry_run(&admin, &midnight(0)).await;
    assert_eq!((&dry.body["older_than"], &dry.body["entries"]), (&json!(midnight(7)), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_retention_counts_after_the_grace() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, [91, 60, 20], 1).await;
    let changed = stage.change(tenant_id, &json!({ "retention_days": 30 })).await;
    assert_eq!(changed.body["retention_kept"]["days"], 90);
    let until = changed.body["retention_kept"]["until"].as_str().unwrap();
    let until = domain::Timestamp::parse(until).unwrap().as_millis();
    let day_ms = 86_400_000;
    assert!((until - domain::Timestamp::now().as_millis() - day_ms).abs() < 60_000);
    assert_eq!(stage.round().await.expired, 1);
    assert_eq!(floor(&mut stage.admin, tenant_id).await, 2, "what was older than 90 days alone");

    // Taken back in time: nothing is lost.
    let back = stage.change(tenant_id, &json!({ "retention_days": 90 })).await;
    assert_eq!(back.body["retention_kept"], Value::Null);
    stage.change(tenant_id, &json!({ "retention_days": 30 })).await;
    let over = "update tenant set retention_kept_until = clock_timestamp() - interval '1 s'";
    run(&mut stage.admin, over.to_owned()).await;
    assert_eq!(stage.round().await.expired, 1);
    assert_eq!(floor(&mut stage.admin, tenant_id).await, 3);
    let rows = log::rows(&mut stage.admin, tenant_id).await;
    let change = rows.iter().find(|row| row.action == "tenant.updated").unwrap();
    assert!(change.after.as_ref().unwrap().contains(r#""retention_kept":{"days":90,"until":""#));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grace_a_shorter_retention_counts_at_once() {
    let mut stage = Stage::with(&["--retention-grace-h", "0"]).await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, [60, 20], 1).await;
    let changed = stage.change(tenant_id, &json!({ "retention_days": 30 })).await;
    assert_eq!(changed.body["retention_kept"], Value::Null);
    assert_eq!(stage.round().await.expired, 1);
    assert_eq!(floor(&mut stage.admin, tenant_id).await, 2);
}

/// Each expiry is recorded: records of expiry alone are no reason for another.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_writes_to_does_not_feed_itself() {
    let mut stage = Stage::new().await;
    let (own, mixed) = (stage.tenant(json!({})).await, stage.tenant(json!({})).await);
    for (action, day) in [("log.expired", 100), ("log.erased", 99), ("log.expired", 98)] {
        let what = format!("{action}', 'audit_log");
        for tenant_id in [own, mixed] {
            old_log::record_as(&mut stage.admin, tenant_id, [day], 1, &what).await;
        }
    }
    // Of that name, but somebody's.
    old_log::record_as(&mut stage.admin, mixed, [97], 1, "log.expired', 'thing").await;
    assert_eq!(stage.round().await.expired, 1);
    assert_eq!(floor_and_rows(&mut stage.admin, own).await, (1, 0, 3));
    assert_eq!(floor(&mut stage.admin, mixed).await, 5);
}

/// Two replicas at it at once, and writers besides: each floor moves once, and by the same numbers.
#[tokio::test(flavor = "multi_thread")]
async fn two_workers_at_once_expire_each_log_once() {
    let mut stage = Stage::new().await;
    let mut tenants = Vec::new();
    for _ in 0..8 {
        let tenant_id = stage.tenant(json!({})).await;
        old_log::record(&mut stage.admin, tenant_id, [95, 94], 3).await;
        tenants.push(tenant_id);
    }
    let write = async {
        for tenant_id in &tenants {
            stage.app.caller(*tenant_id, "user").record("VIEW").await;
        }
    };
    let (a, b, ()) = tokio::join!(stage.round(), stage.round(), write);
    assert_eq!(a.expired + b.expired, 8, "{a:?} {b:?}");
    for tenant_id in tenants {
        // Six below; the write and the record of the expiry.
        assert_eq!(floor_and_rows(&mut stage.admin, tenant_id).await, (7, 6, 2));
        assert_eq!(stage.certificates(tenant_id).await.len(), 1);
    }
}

/// Both have made the same plan, and the second waits for the head that the first one holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_overtaken_undoes_its_own_work() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, [95, 94], 3).await;
    let mut blocker = stage.app.db.admin().await;
    log::hold_head(&mut blocker, tenant_id).await;
    let work = async || {
        let mut worker = store::connect(&stage.options(), DbRole::Worker).await.unwrap();
        expiry::expire(&mut worker, tenant_id, Timestamp::now(), 7).await
    };
    let release = async {
        eventually("both wait for the head", Duration::from_millis(900), async || {
            let mut admin = stage.app.db.admin().await;
            sqlx::query_scalar(
                "select count(*) = 2 from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'",
            )
            .fetch_one(&mut admin)
            .await
            .unwrap()
        })
        .await;
        run(&mut blocker, "commit".to_owned()).await;
    };
    let (a, b, ()) = tokio::join!(work(), work(), release);
    let (done, other) = if a.is_ok() { (a, b) } else { (b, a) };
    assert_eq!(done.unwrap().unwrap().entries, 6);
    assert!(matches!(other, Err(ExpireError::Raced)), "{other:?}");
    // Six below, and one record.
    assert_eq!(floor_and_rows(&mut stage.admin, tenant_id).await, (7, 6, 1));
}
