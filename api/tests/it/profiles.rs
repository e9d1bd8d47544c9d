//! The store tells the same story on both profiles: written, replayed, refused, settled, read back.
//!
//! One session that changes its role, because the TimescaleDB of the tests has one connection.

use api::config::ProfileChoice;
use api::store::append::{self, CLOCKS_APART, CallId, Outcome, RequestRow};
use api::store::{connect_options, entries, marks, migrations, tenants};
use api::tenants::default_settings;
use domain::{Action, CallerDefaults, NewEntry, Place, TenantId, Timestamp};
use secrecy::SecretString;
use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use crate::support::database::TestDb;
use crate::support::timescale::Timescale;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_its_promises_on_native_partitions() {
    let db = TestDb::empty().await;
    tell_the_story(db.url().into(), ProfileChoice::Native).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_its_promises_on_timescale() {
    let timescale = Timescale::start().await;
    tell_the_story(timescale.url(), ProfileChoice::Timescale).await;
}

async fn tell_the_story(url: SecretString, profile: ProfileChoice) {
    let options = connect_options(&url).unwrap();
    let mut session = PgConnection::connect_with(&options).await.unwrap();
    migrations::migrate(&mut session, profile, 7).await.unwrap();
    let (tenant_id, replica) = (TenantId::new(Uuid::now_v7()), Uuid::now_v7());
    become_role(&mut session, "audit_worker").await;
    let settings = default_settings("test".to_owned(), 7);
    assert!(tenants::create(&mut session, tenant_id, &settings).await.unwrap());
    assert!(!tenants::create(&mut session, tenant_id, &settings).await.unwrap());
    marks::open(&mut session, replica).await.unwrap();

    let mut story = Story { session, tenant_id, replica, batch: 0 };
    let first = story.append(1, 1, [1; 32], 0).await.unwrap();
    let Outcome::Written(written) = first else { panic!("{first:?}") };
    assert_eq!(written.first_seq.get(), 1);
    let again = story.append(1, 1, [1; 32], 0).await.unwrap();
    assert_eq!(again, Outcome::Replayed { written, entries: 1, refused: None });
    assert_eq!(story.append(1, 1, [2; 32], 0).await.unwrap(), Outcome::KeyReused);
    assert_eq!(story.append(2, 1, [3; 32], 0).await.unwrap(), Outcome::SettingsChanged);
    let off = story.append(1, 1, [4; 32], -3_600_000).await.unwrap_err();
    let code = off.as_database_error().and_then(DatabaseError::code);
    assert_eq!(code.as_deref(), Some(CLOCKS_APART));

    become_role(&mut story.session, "audit_worker").await;
    let mark = marks::settle(&mut story.session, replica).await.unwrap().unwrap();
    assert_eq!((mark.epoch, mark.batch), (2, 4), "the call that failed left no trace");
    assert!(story.append(1, 1, [5; 32], 0).await.is_err(), "a settled epoch writes no more");
    story.reads_back(Place { recorded_at: written.recorded_at, seq: written.first_seq }).await;
}

struct Story {
    session: PgConnection,
    tenant_id: TenantId,
    replica: Uuid,
    batch: i64,
}

impl Story {
    /// One request of one entry, always with the same key.
    async fn append(
        &mut self,
        settings_version: i32,
        epoch: i64,
        fingerprint: [u8; 32],
        off_ms: i64,
    ) -> sqlx::Result<Outcome> {
        become_role(&mut self.session, "audit_writer").await;
        self.batch += 1;
        let entry = NewEntry::own(&CallerDefaults::service(), Action::from_static("test"));
        let row = RequestRow {
            tenant_id: self.tenant_id,
            settings_version,
            recorded_by: "alice",
            key: Some(("key", &fingerprint)),
            refused: None,
            entries: &[entry],
            bytes: 0,
        };
        let call = CallId { replica: self.replica, epoch, batch: self.batch };
        let now = Timestamp::now().plus_millis(off_ms);
        append::append(&mut self.session, call, now, false, &[row])
            .await
            .map(|mut all| all.remove(0))
    }

    async fn reads_back(&mut self, place: Place) {
        become_role(&mut self.session, "audit_reader").await;
        sqlx::query("select set_config('audit.tenant_id', $1, false)")
            .bind(self.tenant_id.to_string())
            .execute(&mut self.session)
            .await
            .unwrap();
        let found = entries::find(&mut self.session, self.tenant_id, place).await.unwrap().unwrap();
        assert_eq!(found.place(), place);
        assert_eq!(found.content().action.as_str(), "test");
    }
}

async fn become_role(session: &mut PgConnection, role: &str) {
    session.execute(AssertSqlSafe(format!("reset role; set role {role}"))).await.unwrap();
}
