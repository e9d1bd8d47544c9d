//! The connection to PostgreSQL breaks, or falls silent, while `append` runs.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use sqlx::Connection as _;

use super::{RECOVERY, Stage, for_seeds, head, id_of, record, turn};
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::proxy::{Proxy, Way};
use crate::support::service::Service;

/// How long the outcome of a call may be looked for.
const SETTLED_WITHIN: Duration = Duration::from_secs(6);

/// Two replicas on one database, the first by way of a proxy.
async fn stage() -> (Proxy, Stage) {
    let url = TestDb::new().await.url();
    let proxy = Proxy::start(&url).await;
    let services = vec![Service::start(&proxy.url, &[]).await, Service::start(&url, &[]).await];
    (proxy, Stage { services, admin_url: url })
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_lose_nothing_and_write_nothing_twice() {
    let _turn = turn().await;
    let (proxy, stage) = stage().await;
    for_seeds("cut connection", async |seed| {
        let mut rng = SmallRng::seed_from_u64(seed);
        let tenants = stage.tenants(6).await;
        let load = stage.load(seed, &tenants).await;
        for _ in 0..rng.random_range(3..=6) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
            let moment = Duration::from_millis(rng.random_range(0..100));
            match rng.random_range(0..5) {
                0 => proxy.cut(),
                1 => proxy.cut_after(Way::ToServer, rng.random_range(0..20_000)),
                2 => proxy.cut_after(Way::ToService, rng.random_range(0..2_000)),
                // The server has committed, and nobody is told.
                3 => {
                    let silence = proxy.silence();
                    tokio::time::sleep(moment).await;
                    silence.end();
                }
                _ => {
                    let silence = proxy.silence();
                    tokio::time::sleep(Duration::from_secs(4)).await;
                    silence.end();
                }
            }
        }
        stage.verify(load).await;
        proxy.mend();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_the_commit_is_found_and_given() {
    let _turn = turn().await;
    let (proxy, stage) = stage().await;
    let service = &stage.services[0];
    let mut admin = stage.admin().await;
    let tenant_id = stage.tenants(1).await[0];
    let mut seq = 0;
    // The connection breaks; or nothing is heard any more.
    for breaks in [false, true] {
        seq += 1;
        assert_eq!(record(service, tenant_id, None).await.status, StatusCode::CREATED);
        seq += 1;
        let silence = proxy.silence();
        let asked = Instant::now();
        let recording = record(service, tenant_id, None);
        let breaking = async {
            until_head(&mut admin, tenant_id, seq).await;
            if breaks {
                silence.end();
            }
        };
        let (answer, ()) = tokio::join!(recording, breaking);
        assert!(asked.elapsed() < SETTLED_WITHIN, "after {:?}", asked.elapsed());
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        assert_eq!(answer.body["seq"], seq, "{answer:?}");
        assert_eq!(head(&mut admin, tenant_id).await, seq, "written twice");
    }
    // Its log may come a moment after its answers.
    eventually("both answers came from the writer's mark", SETTLED_WITHIN, async || {
        service.said().matches("\"committed\":true").count() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cut_before_it_commits_is_written_once() {
    let _turn = turn().await;
    let (proxy, stage) = stage().await;
    let service = &stage.services[0];
    let mut admin = stage.admin().await;
    let tenant_id = stage.tenants(1).await[0];
    assert_eq!(record(service, tenant_id, None).await.status, StatusCode::CREATED);

    let mut foreign = stage.admin().await;
    let mut holding = foreign.begin().await.unwrap();
    super::frozen::hold(&mut holding, tenant_id).await;
    let recording = record(service, tenant_id, None);
    let breaking = async {
        until_waiting(&mut admin).await;
        proxy.cut();
        // The old call goes on beside the new one: the mark lets only one of them through.
        holding.rollback().await.unwrap();
    };
    let (answer, ()) = tokio::join!(recording, breaking);
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_eq!(answer.body["seq"], 2, "{answer:?}");
    let entries: i64 = sqlx::query_scalar("select count(*) from audit_log where tenant_id = $1")
        .bind(tenant_id.as_uuid())
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(entries, 2, "written twice, or not at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_between_commit_and_answer_a_retry_gets_the_first_answer() {
    let _turn = turn().await;
    for_seeds("crash between commit and answer", async |seed| {
        let (proxy, mut stage) = stage().await;
        let mut admin = stage.admin().await;
        let tenant_id = stage.tenants(1).await[0];
        assert_eq!(record(&stage.services[0], tenant_id, None).await.status, StatusCode::CREATED);

        let _silence = proxy.silence();
        let key = format!("key-{seed}");
        let asking = tokio::spawn({
            let request = super::request(&stage.services[0], tenant_id, Some(&key));
            async move { request.send().await.is_ok() }
        });
        until_head(&mut admin, tenant_id, 2).await;
        stage.services[0].kill();
        assert!(!asking.await.unwrap(), "there was an answer");

        let retried = record(&stage.services[1], tenant_id, Some(&key)).await;
        assert_eq!(retried.status, StatusCode::CREATED, "{retried:?}");
        assert_eq!(retried.headers["idempotency-replayed"], "true", "{retried:?}");
        assert_eq!(retried.body["seq"], 2, "{retried:?}");
        let again = record(&stage.services[1], tenant_id, Some(&key)).await;
        assert_eq!(again.text, retried.text);
        assert_eq!(id_of(&again), id_of(&retried));
        assert_eq!(head(&mut admin, tenant_id).await, 2, "written twice");
    })
    .await;
}

async fn until_head(admin: &mut sqlx::PgConnection, tenant_id: domain::TenantId, seq: i64) {
    let admin = tokio::sync::Mutex::new(admin);
    eventually("it is committed", RECOVERY, async || {
        head(*admin.lock().await, tenant_id).await == seq
    })
    .await;
}

async fn until_waiting(admin: &mut sqlx::PgConnection) {
    let admin = tokio::sync::Mutex::new(admin);
    eventually("append waits for a head", RECOVERY, async || {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*)
             from pg_stat_activity
             where datname = current_database() and query like '%append(%'
                 and wait_event_type = 'Lock'",
        )
        .fetch_one(&mut **admin.lock().await)
        .await
        .unwrap();
        waiting == 1
    })
    .await;
}
