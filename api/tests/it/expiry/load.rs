//! Partitions go while a reader takes its five seconds and 32 clients write.

use std::time::{Duration, Instant};

use domain::TenantId;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use sqlx::{Connection as _, Executor as _};

use super::Stage;
use crate::support::old_log::{self, has_partition, partition};
use crate::support::seeds::soak;

const WRITERS: usize = 32;

/// Partitions that go meanwhile.
const WEEKS: i64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn partitions_go_beside_writers_and_a_reader_of_five_seconds() {
    let mut stage = Stage::new().await;
    let tenant_id = stage.tenant(json!({})).await;
    let per_day = if soak() { 20_000 } else { 500 };
    let weeks: Vec<i64> = (0..WEEKS).map(|week| 100 + 7 * week).rev().collect();
    for week in &weeks {
        old_log::record(&mut stage.admin, tenant_id, [*week], per_day).await;
    }
    stage.round().await;
    let span = Duration::from_secs(if soak() { 20 } else { 8 });
    // With the reader both times: what is compared is the work on partitions.
    let (without, ()) = tokio::join!(write(&stage, tenant_id, span), read(&stage, span));
    let (with, (), dropped) =
        tokio::join!(write(&stage, tenant_id, span), read(&stage, span), stage.drop_partitions());
    assert_eq!(dropped, usize::try_from(WEEKS).unwrap());
    for week in weeks {
        assert!(!has_partition(&mut stage.admin, &partition(week)).await);
    }
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    eprintln!("p99 of a write: {without:?} without, {with:?} with; {ratio:.2}");
    if soak() {
        assert!(ratio <= 2.0, "p99 {without:?} without and {with:?} with");
    }
}

/// Readers of five seconds, one after the other, as the longest export would be.
async fn read(stage: &Stage, span: Duration) {
    let until = Instant::now() + span;
    while Instant::now() < until {
        let mut reader = stage.app.db.admin().await;
        let mut read = reader.begin().await.unwrap();
        read.execute("select count(*) from audit_log").await.unwrap();
        let left = until.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(Duration::from_millis(4_900))).await;
        read.commit().await.unwrap();
    }
}

/// Writes without a pause, every one of which has to succeed; gives the 99th of 100 durations.
async fn write(stage: &Stage, tenant_id: TenantId, span: Duration) -> Duration {
    let until = Instant::now() + span;
    let client = reqwest::Client::new();
    let one = async || {
        let caller = stage.app.caller(tenant_id, "user");
        let mut took = Vec::new();
        while Instant::now() < until {
            let begun = Instant::now();
            let request = client
                .post(format!("{}/api/v1/logs", stage.app.base))
                .headers(caller.headers.clone())
                .json(&json!({ "action": "VIEW", "resource_type": "thing" }));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::CREATED);
            took.push(begun.elapsed());
        }
        took
    };
    let mut took = join_all((0..WRITERS).map(|_| one())).await.concat();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}
