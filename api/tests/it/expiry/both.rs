//! Both steps on both profiles, at the store's level: the TimescaleDB of the tests has one
//! connection, so one session changes its role.

use api::config::ProfileChoice;
use api::expiry::Expiry;
use api::store::expiry::{self, Cleanup, ExpireError};
use api::store::migrations::Profile;
use api::store::tenants::LegalHold;
use api::store::{connect_options, migrations, partitions, tenants};
use api::tenants::default_settings;
use domain::{Action, CallerDefaults, NewEntry, TenantId, Timestamp};
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use crate::support::database::TestDb;
use crate::support::old_log::{self, floor_and_rows};
use crate::support::timescale::Timescale;

#[tokio::test(flavor = "multi_thread")]
async fn entries_expire_and_go_on_native_partitions() {
    let db = TestDb::empty().await;
    tell_the_story(db.url().into(), ProfileChoice::Native).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_expire_and_go_on_timescale() {
    let timescale = Timescale::start().await;
    tell_the_story(timescale.url(), ProfileChoice::Timescale).await;
}

/// Sets or lifts a hold, as the route does.
async fn set_hold(worker: &mut PgConnection, tenant_id: TenantId, reason: Option<&str>) {
    let tenant = tenants::find(&mut *worker, tenant_id).await.unwrap().unwrap();
    let (mut settings, now) = (tenant.settings, Timestamp::now());
    settings.legal_hold = reason.map(|reason| LegalHold {
        reason: reason.to_owned(),
        by: "alice".to_owned(),
        at: now.to_string(),
    });
    let entry = NewEntry::own(&CallerDefaults::service(), Action::from_static("tenant.updated"));
    let changed = tenants::change(worker, tenant_id, now, tenant.version, &settings, &entry).await;
    assert_eq!(changed.unwrap(), Ok(()));
}

struct Story {
    options: PgConnectOptions,
    session: PgConnection,
    profile: Profile,
}

async fn tell_the_story(url: SecretString, choice: ProfileChoice) {
    let options = connect_options(&url).unwrap();
    let mut session = PgConnection::connect_with(&options).await.unwrap();
    let profile = migrations::migrate(&mut session, choice, 7).await.unwrap().profile;
    let mut story = Story { options, session, profile };
    let (short, long) = (story.tenant(30).await, story.tenant(90).await);
    for tenant_id in [short, long] {
        old_log::record(&mut story.session, tenant_id, (110..131).rev(), 3).await;
        old_log::record(&mut story.session, tenant_id, (50..65).rev(), 3).await;
        old_log::record(&mut story.session, tenant_id, [1], 3).await;
    }
    story.compress().await;
    let rooms = story.rooms().await;
    story.drop_rooms().await;
    assert_eq!(story.rooms().await, rooms, "nothing has expired yet");

    assert_eq!(story.round().await, (2, 108 + 63, 0));
    assert_eq!(floor_and_rows(&mut story.session, short).await, (109, 108, 4));
    assert_eq!(floor_and_rows(&mut story.session, long).await, (64, 63, 49));
    story.drop_rooms().await;
    // Weeks that both were done with are gone, those that one still needs are there.
    assert!(story.rooms().await < rooms, "no partition or chunk went");
    assert_eq!(floor_and_rows(&mut story.session, short).await, (109, 45, 4));
    assert_eq!(floor_and_rows(&mut story.session, long).await, (64, 0, 49));
    assert_eq!(story.round().await, (0, 0, 1));

    let later = "set role audit_owner;
        update expiry set expired_at = expired_at - interval '9 days'; reset role";
    story.session.execute(later).await.unwrap();
    assert_eq!(story.round().await, (0, 0, 1));
    assert_eq!(floor_and_rows(&mut story.session, short).await, (109, 0, 5));
    assert_eq!(floor_and_rows(&mut story.session, long).await, (64, 0, 50));
    assert_eq!(story.round().await, (0, 0, 0));

    story.clean_up(long).await;
    assert_eq!(story.round().await, (0, 0, 1));
    // The last day's, and the entries of two expiries, their ends, and the hold's two.
    assert_eq!(floor_and_rows(&mut story.session, long).await, (109, 0, 3 + 4 + 2));
}

impl Story {
    async fn tenant(&mut self, days: i32) -> TenantId {
        let tenant_id = TenantId::new(Uuid::now_v7());
        let mut settings = default_settings("test".to_owned(), 7);
        settings.retention_days = days;
        self.become_role("audit_worker").await;
        assert!(tenants::create(&mut self.session, tenant_id, &settings).await.unwrap());
        self.become_role("none").await;
        tenant_id
    }

    /// Floors moved, entries below them, certificates found without rows.
    async fn round(&mut self) -> (u32, i64, u32) {
        self.become_role("audit_worker").await;
        let expiry = Expiry { options: self.options.clone(), profile: self.profile, days_min: 7 };
        let done = expiry.work(&mut self.session).await.unwrap();
        self.become_role("none").await;
        (done.expired, done.entries, done.erased)
    }

    /// A cleanup with all that can be said against it.
    async fn clean_up(&mut self, tenant_id: TenantId) {
        self.become_role("audit_worker").await;
        let (now, by) = (Timestamp::now(), CallerDefaults::service());
        let older_than = now.plus_millis(-40 * 86_400_000).start_of_utc_day();
        let db = &mut self.session;
        let found = expiry::expirable(&mut *db, tenant_id, now, older_than, 7).await;
        let range = found.unwrap().unwrap().range;
        assert_eq!((range.first_seq, range.last_seq, range.entries), (64, 108, 45));
        let cleanup = Cleanup { older_than, token: [7; 32], by: &by };
        let unknown = expiry::clean_up(&mut *db, tenant_id, now, 7, &cleanup).await;
        assert!(matches!(unknown, Err(ExpireError::Mismatch)), "{unknown:?}");
        expiry::announce(&mut *db, tenant_id, &[7; 32], &range, "alice").await.unwrap();
        set_hold(db, tenant_id, Some("case 7")).await;
        let held = expiry::clean_up(&mut *db, tenant_id, now, 7, &cleanup).await;
        assert!(matches!(held, Err(ExpireError::Held)), "{held:?}");
        set_hold(db, tenant_id, None).await;
        let done = expiry::clean_up(&mut *db, tenant_id, now, 7, &cleanup).await.unwrap().unwrap();
        assert_eq!((done.rule.as_str(), done.entries), ("cleanup", 45));
        let again = expiry::clean_up(&mut *db, tenant_id, now, 7, &cleanup).await;
        assert!(matches!(again, Err(ExpireError::Mismatch)), "{again:?}");
        self.become_role("none").await;
    }

    /// What upkeep does, or the job.
    async fn drop_rooms(&mut self) {
        match self.profile {
            Profile::Native => {
                self.become_role("audit_worker").await;
                partitions::drop_erasable(&mut self.session).await.unwrap();
                self.become_role("none").await;
            }
            Profile::Timescale => self.run_job("drop_expired_chunks").await,
        }
    }

    /// Rows go from what is compressed, too.
    async fn compress(&mut self) {
        if self.profile == Profile::Timescale {
            self.run_job("compress_old_chunks").await;
        }
    }

    async fn run_job(&mut self, name: &str) {
        let jobs: Vec<i32> = sqlx::query_scalar(
            "select job_id from timescaledb_information.jobs where proc_name = $1",
        )
        .bind(name)
        .fetch_all(&mut self.session)
        .await
        .unwrap();
        assert_eq!(jobs.len(), 1, "{name}");
        sqlx::query("call run_job($1)").bind(jobs[0]).execute(&mut self.session).await.unwrap();
    }

    async fn rooms(&mut self) -> usize {
        partitions::spans(&mut self.session, self.profile).await.unwrap().len()
    }

    async fn become_role(&mut self, role: &str) {
        self.session.execute(AssertSqlSafe(format!("reset role; set role {role}"))).await.unwrap();
    }
}
