//! Clocks that are wrong: nothing is written with a time that would stay in a log for ever.

use api::store::append::{self, CLOCKS_APART, CallId, Outcome, RequestRow};
use api::store::{marks, tenants};
use api::tenants::default_settings;
use domain::{Action, CallerDefaults, NewEntry, TenantId, Timestamp};
use serde_json::json;
use sqlx::PgConnection;
use sqlx::error::DatabaseError;
use uuid::Uuid;

use crate::support::app::TestApp;
use crate::support::database::TestDb;
use crate::support::log::{self, assert_len, assert_whole};

const MINUTE_MS: i64 = 60_000;

/// A database at the store's level, with a writer whose mark is open.
struct Store {
    db: TestDb,
    tenant_id: TenantId,
    replica: Uuid,
}

impl Store {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let (tenant_id, replica) = (TenantId::new(Uuid::now_v7()), Uuid::now_v7());
        let mut worker = db.as_role("audit_worker").await;
        let settings = default_settings("test".to_owned(), 7);
        assert!(tenants::create(&mut worker, tenant_id, &settings).await.unwrap());
        marks::open(&mut worker, replica).await.unwrap();
        Self { db, tenant_id, replica }
    }

    async fn append(&self, batch: i64, off_ms: i64) -> sqlx::Result<Vec<Outcome>> {
        let entry = NewEntry::own(&CallerDefaults::service(), Action::from_static("test"));
        let row = RequestRow {
            tenant_id: self.tenant_id,
            settings_version: 1,
            recorded_by: "alice",
            key: Some(("key", &[0; 32])),
            refused: None,
            entries: &[entry],
            bytes: 0,
        };
        let mut writer = self.db.as_role("audit_writer").await;
        let call = CallId { replica: self.replica, epoch: 1, batch };
        let now = Timestamp::now().plus_millis(off_ms);
        append::append(&mut writer, call, now, false, &[row]).await
    }

    /// Entries, keys, days, and the last batch that the mark knows.
    async fn traces(&self) -> (i64, i64, i64, i64) {
        sqlx::query_as(
            "select
                (select count(*) from audit_log),
                (select count(*) from idempotency_key),
                (select count(*) from log_day),
                (select batch from writer_mark)",
        )
        .fetch_one(&mut self.db.admin().await)
        .await
        .unwrap()
    }
}

#[track_caller]
fn assert_apart<T: std::fmt::Debug>(result: sqlx::Result<T>) {
    let error = result.unwrap_err();
    let code = error.as_database_error().and_then(DatabaseError::code);
    assert_eq!(code.as_deref(), Some(CLOCKS_APART), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_clock_is_off_writes_nothing() {
    let store = Store::new().await;
    for off in [-60, -6, 6, 60] {
        assert_apart(store.append(1, off * MINUTE_MS).await);
        assert_eq!(store.traces().await, (0, 0, 0, 0));
    }
    for (batch, off) in [(1, -4), (2, 4)] {
        let outcomes = store.append(batch, off * MINUTE_MS).await.unwrap();
        assert_eq!(outcomes.len(), 1);
    }
    // The second one was the first's replay.
    assert_eq!(store.traces().await, (1, 1, 1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_not_changed_by_a_clock_that_is_off() {
    let store = Store::new().await;
    let mut worker = store.db.as_role("audit_worker").await;
    let changed = default_settings("changed".to_owned(), 7);
    let entry = NewEntry::own(&CallerDefaults::service(), Action::from_static("test"));
    let change = async |worker: &mut PgConnection, off_ms: i64| {
        let now = Timestamp::now().plus_millis(off_ms);
        tenants::change(worker, store.tenant_id, now, 1, &changed, &entry).await
    };
    for off in [-60, 60] {
        assert_apart(change(&mut worker, off * MINUTE_MS).await);
    }
    let found = tenants::find(&mut worker, store.tenant_id).await.unwrap().unwrap();
    assert_eq!((found.settings.name.as_str(), found.version), ("test", 1));
    assert_eq!(store.traces().await, (0, 0, 0, 0));

    set_head_ahead(&mut store.db.admin().await, store.tenant_id, "6 minutes").await;
    let refused = change(&mut worker, 0).await.unwrap();
    assert_eq!(refused, Err(Outcome::ClockBehindHead));
    let found = tenants::find(&mut worker, store.tenant_id).await.unwrap().unwrap();
    assert_eq!((found.settings.name.as_str(), found.version), ("test", 1));
    assert_eq!(store.traces().await, (0, 0, 0, 0));
}

async fn set_head_ahead(admin: &mut PgConnection, tenant_id: TenantId, ahead: &str) {
    let set = sqlx::query(
        "update log_head
         set recorded_at = date_trunc('milliseconds', clock_timestamp()) + $2::interval
         where tenant_id = $1",
    );
    set.bind(tenant_id.as_uuid()).bind(ahead).execute(&mut *admin).await.unwrap();
    // Shortly before midnight the next entry is the first of another day.
    let day = sqlx::query(
        "insert into log_day (tenant_id, day, first_seq)
         select tenant_id, (recorded_at at time zone 'utc')::date, seq + 1
         from log_head
         where tenant_id = $1 and seq > 0 and recorded_at > clock_timestamp()
         on conflict do nothing",
    );
    day.bind(tenant_id.as_uuid()).execute(admin).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_ahead_of_the_clock_refuses_and_the_others_go_on() {
    let app = TestApp::start().await;
    let (ahead, right) = (app.tenant().await, app.tenant().await);
    let mut admin = app.db.admin().await;
    set_head_ahead(&mut admin, ahead, "6 minutes").await;
    for _ in 0..3 {
        let refused = app.caller(ahead, "user").post_entry(json!({})).await;
        refused.assert_problem(503, "clock_skew");
        assert!(refused.headers.contains_key("retry-after"));
        app.caller(right, "user").record("VIEW").await;
    }
    let path = format!("/tenants/{ahead}");
    let patched = app.operator().patch(&path, &json!({ "name": "changed" })).await;
    patched.assert_problem(503, "clock_skew");
    assert_eq!(app.operator().get(&path).await.body["name"], "test");
    assert_len(&app, ahead, 0).await;
    assert_len(&app, right, 3).await;
}

/// Within the five minutes time stands still instead of stepping back.
#[tokio::test(flavor = "multi_thread")]
async fn time_never_steps_back_in_a_log() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    caller.record("VIEW").await;
    let mut admin = app.db.admin().await;
    set_head_ahead(&mut admin, tenant_id, "4 minutes").await;
    let (second, third) = (caller.post_entry(json!({})).await, caller.post_entry(json!({})).await);
    assert_eq!(second.created().body["recorded_at"], third.created().body["recorded_at"]);
    let rows = log::rows(&mut admin, tenant_id).await;
    assert!(rows[1].recorded_at - rows[0].recorded_at > time::Duration::minutes(3));
    assert_whole(&mut admin, tenant_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_end_of_a_quiet_log_is_no_clock_fault() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    caller.record("VIEW").await;
    set_head_ahead(&mut app.db.admin().await, tenant_id, "-400 days").await;
    let answer = caller.post_entry(json!({})).await.created();
    assert_eq!(answer.body["seq"], 2);
    let at = domain::Timestamp::parse(answer.body["recorded_at"].as_str().unwrap()).unwrap();
    assert!(Timestamp::now().as_millis() - at.as_millis() < MINUTE_MS);
}
