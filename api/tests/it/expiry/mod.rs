//! How entries end: by retention, by cleanup, never under a hold; and what is left of them.

mod both;
mod certificates;
mod cleanup;
mod clocks;
mod hold;
mod load;
mod partitions;
mod retention;

use api::expiry::{Done, Expiry};
use api::store::migrations::Profile;
use api::store::{self, DbRole, connect_options, partitions as store_partitions};
use domain::TenantId;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

use crate::support::app::{Answer, Caller, TestApp, send};
use crate::support::database::TestDb;
use crate::support::past;

/// The service, and its workers at the test's word.
struct Stage {
    app: TestApp,
    admin: PgConnection,
    /// Holds what keeps the service's own rounds away, the one at its start above all.
    turns: PgConnection,
}

impl Stage {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(flags: &[&str]) -> Self {
        let app = TestApp::start_with(TestDb::new().await, flags).await;
        let (admin, mut turns) = (app.db.admin().await, app.db.admin().await);
        past::stop_upkeep(&mut turns).await;
        past::stop_expiry(&mut turns).await;
        Self { app, admin, turns }
    }

    /// A new tenant with these settings.
    async fn tenant(&self, settings: Value) -> TenantId {
        let mut body = serde_json::json!({ "name": "test" });
        let Value::Object(settings) = settings else { unreachable!("settings are an object") };
        body.as_object_mut().unwrap().extend(settings);
        let made = self.app.operator().post("/tenants", &body).await.created();
        TenantId::parse(made.body["id"].as_str().unwrap()).unwrap()
    }

    async fn change(&self, tenant_id: TenantId, settings: &Value) -> Answer {
        let path = format!("/tenants/{tenant_id}");
        let answer = self.app.operator().patch(&path, settings).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer
    }

    fn options(&self) -> PgConnectOptions {
        connect_options(&self.app.db.url().into()).unwrap()
    }

    /// A round of the worker, whoever else is at it.
    async fn round(&self) -> Done {
        let mut worker = store::connect(&self.options(), DbRole::Worker).await.unwrap();
        expiry(self.options()).work(&mut worker).await.unwrap()
    }

    async fn drop_partitions(&self) -> usize {
        let mut worker = store::connect(&self.options(), DbRole::Worker).await.unwrap();
        store_partitions::drop_erasable(&mut worker).await.unwrap()
    }

    /// All certificates of a tenant, newest first.
    async fn certificates(&self, tenant_id: TenantId) -> Vec<Value> {
        let auditor = self.app.caller(tenant_id, "auditor");
        let answer = auditor.get("/logs/expiries?limit=1000").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.body["next_cursor"], Value::Null);
        answer.body["data"].as_array().unwrap().clone()
    }
}

fn expiry(options: PgConnectOptions) -> Expiry {
    Expiry { options, profile: Profile::Native, days_min: 7 }
}

/// `DELETE /logs/cleanup` with these parameters.
async fn clean_up(caller: &Caller<'_>, parameters: &str) -> Answer {
    send(caller.request(Method::DELETE, &format!("/logs/cleanup?{parameters}"))).await
}

/// What there is to confirm.
async fn dry_run(caller: &Caller<'_>, older_than: &str) -> Answer {
    let answer = clean_up(caller, &format!("older_than={older_than}&dry_run=true")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer
}

/// Both steps.
async fn cleaned(caller: &Caller<'_>, older_than: &str) -> Answer {
    let dry = dry_run(caller, older_than).await;
    let token = dry.body["confirm"].as_str().unwrap();
    let done = clean_up(caller, &format!("older_than={older_than}&confirm={token}")).await;
    assert_eq!(done.status, StatusCode::OK, "{done:?}");
    done
}
