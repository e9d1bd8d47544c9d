//! A clock a year ahead expires nothing, whichever of the two it is.

use api::store::append::CLOCKS_APART;
use api::store::expiry::ExpireError;
use api::store::{self, DbRole, connect_options, erasure, expiry, partitions};
use api::store::{tenants, tenants::Tenant};
use api::tenants::default_settings;
use domain::{TenantId, Timestamp};
use serde_json::json;
use sqlx::PgConnection;
use sqlx::error::DatabaseError;
use uuid::Uuid;

use super::Stage;
use crate::support::cluster::Cluster;
use crate::support::old_log::{self, floor_and_rows, has_partition, partition};

const YEAR_MS: i64 = 365 * 86_400_000;

#[track_caller]
fn assert_apart<T: std::fmt::Debug>(result: Result<T, ExpireError>) {
    let Err(ExpireError::Failed(error)) = result else { panic!("{result:?}") };
    let code = error.as_database_error().and_then(DatabaseError::code);
    assert_eq!(code.as_deref(), Some(CLOCKS_APART), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_a_year_ahead_or_behind_expires_nothing() {
    let mut stage = Stage::new().await;
    let (due, young) = (stage.tenant(json!({})).await, stage.tenant(json!({})).await);
    old_log::record(&mut stage.admin, due, [95, 1], 1).await;
    old_log::record(&mut stage.admin, young, [20, 1], 1).await;
    let mut worker = store::connect(&stage.options(), DbRole::Worker).await.unwrap();
    let (ahead, behind) =
        (Timestamp::now().plus_millis(YEAR_MS), Timestamp::now().plus_millis(-YEAR_MS));
    let page = erasure::tenants_due(&mut worker, ahead, 7, None).await.unwrap();
    assert_eq!(page.due, [due], "no more than by the right clock");
    let page = erasure::tenants_due(&mut worker, behind, 7, None).await.unwrap();
    assert_eq!(page.due, []);
    assert_apart(expiry::expire(&mut worker, due, ahead, 7).await);
    for (tenant_id, now) in [(young, ahead), (due, behind), (young, behind)] {
        assert_eq!(expiry::expire(&mut worker, tenant_id, now, 7).await.unwrap(), None);
    }
    for tenant_id in [due, young] {
        assert_eq!(floor_and_rows(&mut stage.admin, tenant_id).await, (1, 0, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_a_year_ahead_expires_and_drops_nothing() {
    let cluster = Cluster::start();
    let tenant_id = TenantId::new(Uuid::now_v7());
    let options = connect_options(&cluster.url.clone().into()).unwrap();
    let mut worker = store::connect(&options, DbRole::Worker).await.unwrap();
    let settings = default_settings("test".to_owned(), 7);
    tenants::create(&mut worker, tenant_id, &settings).await.unwrap();
    let mut admin = cluster.admin().await;
    old_log::record(&mut admin, tenant_id, [95, 20, 1], 2).await;
    drop((worker, admin));

    for offset in ["+365d", "-365d"] {
        cluster.shut_down();
        cluster.start_off_by(offset);
        let mut worker = store::connect(&options, DbRole::Worker).await.unwrap();
        let now = Timestamp::now();
        if offset == "+365d" {
            assert_apart(expiry::expire(&mut worker, tenant_id, now, 7).await);
            let old = Timestamp::now().plus_millis(-8 * 86_400_000);
            let found = expiry::expirable(&mut worker, tenant_id, now, old, 7).await.unwrap();
            assert_eq!(found.unwrap().range.entries, 4, "as by the right clock");
        } else {
            assert_eq!(expiry::expire(&mut worker, tenant_id, now, 7).await.unwrap(), None);
        }
        let round = super::expiry(options.clone()).work(&mut worker).await;
        assert_eq!(round.is_err(), offset == "+365d", "{round:?}");
        assert_eq!(partitions::drop_erasable(&mut worker).await.unwrap(), 0);
        let found: Option<Tenant> = tenants::find(&mut worker, tenant_id).await.unwrap();
        assert_eq!(found.unwrap().version, 1);
        let mut admin = cluster.admin().await;
        assert_whole(&mut admin, tenant_id).await;
    }
    cluster.shut_down();
    cluster.start_again();
    let mut worker = store::connect(&options, DbRole::Worker).await.unwrap();
    let done = super::expiry(options).work(&mut worker).await.unwrap();
    assert_eq!((done.expired, done.entries), (1, 2), "by the right clock it is due");
}

async fn assert_whole(admin: &mut PgConnection, tenant_id: TenantId) {
    assert_eq!(floor_and_rows(admin, tenant_id).await, (1, 0, 6));
    for days in [95, 20, 1, 0, -7] {
        assert!(has_partition(admin, &partition(days)).await, "of {days} days ago");
    }
}
