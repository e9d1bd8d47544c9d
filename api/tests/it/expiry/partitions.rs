//! Partitions go when nobody needs them, and not a moment sooner.

use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _};
use std::time::Duration;

use super::{Stage, cleaned};
use crate::support::database::run;
use crate::support::eventually;
use crate::support::old_log::{self, floor_and_rows, has_partition, midnight, partition};

/// All of the week that so many days ago belongs to, from old to new.
fn week_of(days_ago: i64) -> impl Iterator<Item = i64> {
    let monday = i64::from(old_log::day(days_ago).weekday().number_days_from_monday()) + days_ago;
    (monday - 6..=monday).rev()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_goes_when_every_tenants_part_of_it_has_expired() {
    let mut stage = Stage::new().await;
    let (short, long) =
        (stage.tenant(json!({ "retention_days": 30 })).await, stage.tenant(json!({})).await);
    for tenant_id in [short, long] {
        old_log::record(&mut stage.admin, tenant_id, week_of(120), 2).await;
        old_log::record(&mut stage.admin, tenant_id, week_of(60), 2).await;
        old_log::record(&mut stage.admin, tenant_id, [1], 1).await;
    }
    let (old, shared, today) = (partition(120), partition(60), partition(0));
    assert_eq!(stage.drop_partitions().await, 0, "nothing has expired yet");
    stage.round().await;
    assert_eq!(stage.drop_partitions().await, 1);
    assert!(!has_partition(&mut stage.admin, &old).await);
    assert!(has_partition(&mut stage.admin, &shared).await, "the other tenant needs it");
    assert!(has_partition(&mut stage.admin, &today).await);
    assert_eq!(floor_and_rows(&mut stage.admin, short).await.1, 14);
    assert_eq!(floor_and_rows(&mut stage.admin, long).await, (15, 0, 16));
    // One has lost all of its rows, the other some: retention waits for the other partition.
    assert_eq!(stage.round().await.erased, 1);
    assert_ne!(stage.certificates(long).await[0]["erased_at"], Value::Null);
    assert_eq!(stage.certificates(short).await[0]["erased_at"], Value::Null);

    // A week and a day later it has waited long enough.
    let later = "update expiry set expired_at = expired_at - interval '8 days'";
    run(&mut stage.admin, later.to_owned()).await;
    assert_eq!(stage.round().await.erased, 1);
    assert_eq!(floor_and_rows(&mut stage.admin, short).await.1, 0);
    assert_eq!(floor_and_rows(&mut stage.admin, long).await.1, 0);
    assert!(has_partition(&mut stage.admin, &shared).await);
    run(&mut stage.admin, "update tenant set retention_days = 30".to_owned()).await;
    stage.round().await;
    assert_eq!(stage.drop_partitions().await, 1);
    assert!(!has_partition(&mut stage.admin, &shared).await);
}

/// What the relay has not sent yet must still be there when it comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_holds_expiry_keeps_what_it_has_not_read() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, week_of(130), 1).await;
    old_log::record(&mut stage.admin, tenant_id, week_of(123), 1).await;
    stage.round().await;
    // It has read one entry of the second week.
    let cursor = format!(
        "insert into log_cursor (tenant_id, consumer, recorded_at, seq, holds_expiry)
         select tenant_id, 'relay', recorded_at, seq, true from audit_log
         where tenant_id = '{tenant_id}' and seq = 8"
    );
    run(&mut stage.admin, cursor).await;
    let (first, second) = (partition(130), partition(123));
    assert_eq!(stage.drop_partitions().await, 1);
    assert!(!has_partition(&mut stage.admin, &first).await);
    assert!(has_partition(&mut stage.admin, &second).await);
    let later = "update expiry set expired_at = expired_at - interval '8 days'";
    run(&mut stage.admin, later.to_owned()).await;
    stage.round().await;
    let rows: Vec<i64> =
        sqlx::query_scalar("select seq from audit_log where tenant_id = $1 order by seq")
            .bind(tenant_id.as_uuid())
            .fetch_all(&mut stage.admin)
            .await
            .unwrap();
    assert_eq!(rows, [9, 10, 11, 12, 13, 14, 15], "what it has read may go, the rest not");
    assert_eq!(stage.certificates(tenant_id).await[0]["erased_at"], Value::Null);

    // A consumer that does not hold expiry holds nothing.
    run(&mut stage.admin, "update log_cursor set holds_expiry = false".to_owned()).await;
    assert_eq!(stage.drop_partitions().await, 1);
    assert_eq!(stage.round().await.erased, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detach_that_was_interrupted_is_finished_first() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, week_of(130), 1).await;
    old_log::record(&mut stage.admin, tenant_id, week_of(123), 1).await;
    stage.round().await;
    // A reader that is there before, and longer than a try.
    let mut reader = stage.app.db.admin().await;
    let mut read = reader.begin().await.unwrap();
    read.execute("select count(*) from audit_log").await.unwrap();
    let (first, second) = (partition(123), partition(130));
    let mut interrupted = stage.app.db.admin().await;
    let detach = format!(
        "set lock_timeout = '100ms'; set role audit_owner;
         comment on table {first} is 'expired, to be dropped'"
    );
    run(&mut interrupted, detach).await;
    let detach = format!("alter table audit_log detach partition {first} concurrently");
    let timed_out = sqlx::query(sqlx::AssertSqlSafe(detach)).execute(&mut interrupted).await;
    let code = timed_out.unwrap_err().into_database_error().unwrap();
    assert_eq!(code.code().as_deref(), Some("55P03"));
    let pending: i64 =
        sqlx::query_scalar("select count(*) from pg_inherits where inhdetachpending")
            .fetch_one(&mut stage.admin)
            .await
            .unwrap();
    assert_eq!(pending, 1);
    read.commit().await.unwrap();
    assert_eq!(stage.drop_partitions().await, 2);
    assert!(!has_partition(&mut stage.admin, &first).await);
    assert!(!has_partition(&mut stage.admin, &second).await);
}

/// The same met by the worker itself: it comes back until the reader has gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_reader_is_waited_for_and_sees_no_gap() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, week_of(130), 1).await;
    stage.round().await;
    let mut reader = stage.app.db.admin().await;
    let mut read = reader.begin().await.unwrap();
    let count = async |read: &mut sqlx::PgConnection| -> i64 {
        sqlx::query_scalar("select count(*) from audit_log").fetch_one(read).await.unwrap()
    };
    run(&mut read, "set transaction isolation level repeatable read".to_owned()).await;
    let before = count(&mut read).await;
    let working = async {
        let dropped = stage.drop_partitions().await;
        assert_eq!(dropped, 1);
    };
    let reading = async {
        let mut admin = stage.app.db.admin().await;
        eventually("the detach is begun", Duration::from_secs(5), async || {
            let mut admin = stage.app.db.admin().await;
            sqlx::query_scalar("select count(*) > 0 from pg_inherits where inhdetachpending")
                .fetch_one(&mut admin)
                .await
                .unwrap()
        })
        .await;
        // Meanwhile writes go on.
        stage.app.caller(tenant_id, "user").record("VIEW").await;
        assert_eq!(count(&mut read).await, before);
        assert!(has_partition(&mut admin, &partition(130)).await);
        read.commit().await.unwrap();
    };
    tokio::join!(working, reading);
    assert!(!has_partition(&mut stage.admin, &partition(130)).await);
}

/// Somebody put it aside, to archive it.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_somebody_else_detached_is_left_alone() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, week_of(130), 1).await;
    stage.round().await;
    let name = partition(130);
    run(&mut stage.admin, format!("alter table audit_log detach partition {name}")).await;
    assert_eq!(stage.drop_partitions().await, 0);
    assert!(has_partition(&mut stage.admin, &name).await);
}

/// Upkeep and expiry in the service itself, from its start on, without anybody's word.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_expires_and_drops_what_is_due() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    old_log::record(&mut stage.admin, tenant_id, week_of(130), 1).await;
    // Some by a cleanup, and what it has left by retention.
    let middle = week_of(130).nth(3).unwrap();
    cleaned(&stage.app.caller(tenant_id, "admin"), &midnight(middle)).await;
    let db = stage.app.db.clone();
    stage.app.stop().await.unwrap();
    stage.turns.close().await.unwrap();
    let app = crate::support::app::TestApp::start_with(db, &[]).await;
    let admin = app.caller(tenant_id, "admin");
    eventually("everything has expired and gone", Duration::from_secs(20), async || {
        let listed = admin.get("/logs/expiries").await;
        let listed = listed.body["data"].as_array().unwrap().clone();
        listed.len() == 2 && listed.iter().any(|one| one["erased_at"] != Value::Null)
    })
    .await;
}
