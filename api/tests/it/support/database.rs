//! Databases for tests: one migrated template a run, a clone for each test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use api::config::ProfileChoice;
use api::store::{indexing, migrations};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tokio::sync::OnceCell;

/// Superuser's URL of the cluster that `make test` starts.
const URL: &str = "AUDIT_TEST_DATABASE_URL";

static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A database of one test's own, with the schema and without a tenant.
#[derive(Debug, Clone)]
pub(crate) struct TestDb {
    name: String,
    /// Has the repair's lock, so that nobody else repairs an index.
    _repair: Option<Arc<PgConnection>>,
}

impl TestDb {
    /// Clones the template.
    pub(crate) async fn new() -> Self {
        let template = TEMPLATE.get_or_init(make_template).await;
        let name = fresh_name("test");
        let mut admin = connect_admin("postgres").await;
        run(&mut admin, format!("create database {name} template {template}")).await;
        // What a database allows is not cloned with it.
        run(&mut admin, format!("revoke temporary, create on database {name} from public")).await;
        Self { name, _repair: None }
    }

    /// The same, of a log whose index no service repairs: what a test leaves out of it stays out.
    pub(crate) async fn unrepaired() -> Self {
        let db = Self::new().await;
        let mut session = db.admin().await;
        assert!(indexing::take_repair(&mut session).await.unwrap());
        Self { _repair: Some(Arc::new(session)), ..db }
    }

    /// A database with nothing in it.
    pub(crate) async fn empty() -> Self {
        let name = fresh_name("empty");
        let mut admin = connect_admin("postgres").await;
        run(&mut admin, format!("create database {name}")).await;
        Self { name, _repair: None }
    }

    /// Its URL, as superuser.
    pub(crate) fn url(&self) -> String {
        options(&self.name).to_url_lossy().to_string()
    }

    /// Its URL, as this role, whose password is its name.
    pub(crate) fn url_of(&self, role: &str) -> String {
        let options = options(&self.name).username(role).password(role);
        options.to_url_lossy().to_string()
    }

    /// Gives the database to a login that is no superuser but may make roles; returns its name.
    pub(crate) async fn plain_owner(&self) -> String {
        const OWNER: &str = "audit_test_owner";
        let mut admin = connect_admin("postgres").await;
        let statements = format!(
            "do $$ begin create role {OWNER} login createrole password '{OWNER}';
             exception when duplicate_object or unique_violation then null; end $$;
             alter database {name} owner to {OWNER};",
            name = self.name
        );
        run(&mut admin, statements).await;
        // From 16 on, who did not make a role cannot take it.
        let taken = "do $$ begin
            if current_setting('server_version_num')::integer >= 160000
                and to_regrole('audit_owner') is not null then
                grant audit_owner, audit_writer, audit_reader, audit_worker
                    to audit_test_owner with admin option;
            end if;
        end $$";
        run(&mut admin, taken.to_owned()).await;
        OWNER.to_owned()
    }

    /// Ends all sessions and lets nobody in, as if the server were gone.
    pub(crate) async fn shut(&self) {
        let (name, mut admin) = (&self.name, connect_admin("postgres").await);
        run(&mut admin, format!("alter database {name} with allow_connections false")).await;
        let ended = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
        sqlx::query(ended).bind(name).execute(&mut admin).await.unwrap();
    }

    /// Lets everybody in again.
    pub(crate) async fn open_again(&self) {
        let (name, mut admin) = (&self.name, connect_admin("postgres").await);
        run(&mut admin, format!("alter database {name} with allow_connections true")).await;
    }

    /// A session as superuser, for looking at what the service did.
    pub(crate) async fn admin(&self) -> PgConnection {
        connect_admin(&self.name).await
    }

    /// A session as one of the service's roles.
    pub(crate) async fn as_role(&self, role: &str) -> PgConnection {
        let mut session = self.admin().await;
        run(&mut session, format!("set role {role}")).await;
        session
    }
}

async fn make_template() -> String {
    let name = fresh_name("template");
    let mut admin = connect_admin("postgres").await;
    run(&mut admin, format!("create database {name}")).await;
    let mut session = connect_admin(&name).await;
    migrations::migrate(&mut session, ProfileChoice::Native, 7).await.unwrap();
    session.close().await.unwrap();
    name
}

fn fresh_name(kind: &str) -> String {
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("audit_{kind}_{}_{n}", std::process::id())
}

fn options(database: &str) -> PgConnectOptions {
    let url = std::env::var(URL).unwrap_or_else(|_| {
        panic!("{URL} is not set: run `make test`, or set it to a superuser's PostgreSQL URL")
    });
    url.parse::<PgConnectOptions>().unwrap().database(database)
}

async fn connect_admin(database: &str) -> PgConnection {
    PgConnection::connect_with(&options(database)).await.unwrap()
}

/// Runs statements that hold names made here.
pub(crate) async fn run(session: &mut PgConnection, statements: String) {
    session.execute(AssertSqlSafe(statements)).await.unwrap();
}
