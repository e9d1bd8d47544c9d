//! The database's clock is wrong by an hour: a log must not keep such a time for ever.

use domain::TenantId;
use reqwest::StatusCode;
use sqlx::PgConnection;

use super::{RECOVERY, Stage, record, turn};
use crate::support::cluster::Cluster;
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_an_hour_off_gets_503_and_never_into_a_log() {
    let _turn = turn().await;
    let cluster = Cluster::start();
    let stage = Stage::on_cluster(&cluster, 1).await;
    let service = &stage.services[0];
    let tenant_id = stage.tenants(1).await[0];
    let mut seq = 0;
    for offset in ["+1h", "-1h"] {
        assert_eq!(record(service, tenant_id, None).await.status, StatusCode::CREATED);
        seq += 1;
        let before = head(&mut stage.admin().await, tenant_id).await;
        cluster.shut_down();
        cluster.start_off_by(offset);
        let off: i64 =
            sqlx::query_scalar("select (extract(epoch from clock_timestamp()) - $1)::bigint")
                .bind(now_s())
                .fetch_one(&mut stage.admin().await)
                .await
                .unwrap();
        assert!((3_500..3_700).contains(&off.abs()), "the clock is off by {off} s");

        eventually("the skew is told", RECOVERY, async || {
            let answer = record(service, tenant_id, None).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
            answer.code() == "clock_skew"
        })
        .await;
        assert_eq!(head(&mut stage.admin().await, tenant_id).await, before);
        cluster.shut_down();
        cluster.start_again();
        eventually("writes are taken again", RECOVERY, async || {
            record(service, tenant_id, None).await.status == StatusCode::CREATED
        })
        .await;
        seq += 1;
        let (last, recorded_s) = head(&mut stage.admin().await, tenant_id).await;
        assert_eq!(last, seq);
        assert!((now_s() - recorded_s).abs() < 60, "recorded at {recorded_s}, now {}", now_s());
    }
}

/// Number and time of a log's end.
async fn head(admin: &mut PgConnection, tenant_id: TenantId) -> (i64, i64) {
    sqlx::query_as(
        "select seq, extract(epoch from recorded_at)::bigint from log_head where tenant_id = $1",
    )
    .bind(tenant_id.as_uuid())
    .fetch_one(admin)
    .await
    .unwrap()
}

fn now_s() -> i64 {
    domain::Timestamp::now().as_millis() / 1_000
}
