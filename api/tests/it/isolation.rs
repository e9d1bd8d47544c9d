//! Who may do what in the database, whatever the service's code would ask for.

use api::config::ProfileChoice;
use api::store::append::{self, CallId, Outcome, RequestRow};
use api::store::migrations::{self, Migrated, Profile};
use api::store::{self, DbRole, connect_options, entries, marks, tenants};
use api::tenants::default_settings;
use domain::{Action, CallerDefaults, NewEntry, Place, Seq, TenantId, Timestamp};
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use crate::support::app::{TestApp, identity};
use crate::support::database::{TestDb, run};
use crate::support::timescale::Timescale;

/// A database that keeps its log one way or the other, migrated by its owner.
struct Kept {
    url: SecretString,
    profile: Profile,
    _timescale: Option<Timescale>,
}

impl Kept {
    async fn native() -> Self {
        let db = TestDb::empty().await;
        let url = SecretString::from(db.url_of(&db.plain_owner().await));
        Self::migrated(url, ProfileChoice::Native, None).await
    }

    async fn timescale() -> Self {
        let timescale = Timescale::start().await;
        Self::migrated(timescale.url(), ProfileChoice::Timescale, Some(timescale)).await
    }

    async fn migrated(
        url: SecretString,
        choice: ProfileChoice,
        timescale: Option<Timescale>,
    ) -> Self {
        let mut owner = PgConnection::connect_with(&connect_options(&url).unwrap()).await.unwrap();
        let first = migrations::migrate(&mut owner, choice, 7).await.unwrap();
        assert_eq!(first.applied, first.total);
        // Once more does no harm, whatever `auto` would choose here.
        let second = migrations::migrate(&mut owner, ProfileChoice::Auto, 7).await.unwrap();
        assert_eq!(second, Migrated { applied: 0, partitions: 0, ..first });
        let other = match first.profile {
            Profile::Native => ProfileChoice::Timescale,
            Profile::Timescale => ProfileChoice::Native,
        };
        let refused = migrations::migrate(&mut owner, other, 7).await.unwrap_err();
        assert!(refused.to_string().contains("cannot be changed in place"), "{refused}");
        owner.close().await.unwrap();
        Self { url, profile: first.profile, _timescale: timescale }
    }

    fn options(&self) -> PgConnectOptions {
        connect_options(&self.url).unwrap()
    }

    /// As the owner's login, which is nobody's superuser.
    async fn owner(&self) -> PgConnection {
        PgConnection::connect_with(&self.options()).await.unwrap()
    }

    /// As the service opens its sessions. There may be one connection at a time: close it.
    async fn session(&self, role: DbRole) -> PgConnection {
        store::connect(&self.options(), role).await.unwrap()
    }

    /// A tenant whose log has three entries, made as the service makes them.
    async fn tenant(&self) -> TenantId {
        let tenant_id = TenantId::new(Uuid::now_v7());
        let replica = Uuid::now_v7();
        let mut worker = self.session(DbRole::Worker).await;
        let settings = default_settings("test".to_owned(), 7);
        assert!(tenants::create(&mut worker, tenant_id, &settings).await.unwrap());
        marks::open(&mut worker, replica).await.unwrap();
        worker.close().await.unwrap();

        let entry = NewEntry::own(&CallerDefaults::service(), Action::from_static("test"));
        let rows = [RequestRow {
            tenant_id,
            settings_version: 1,
            recorded_by: "alice",
            key: Some(("key", &[7; 32])),
            refused: None,
            entries: &[entry.clone(), entry.clone(), entry],
            bytes: 0,
        }];
        let mut writer = self.session(DbRole::Writer).await;
        let call = CallId { replica, epoch: 1, batch: 1 };
        let outcomes = append::append(&mut writer, call, Timestamp::now(), false, &rows).await;
        writer.close().await.unwrap();
        let outcomes = outcomes.unwrap();
        let [Outcome::Written(written)] = outcomes[..] else { panic!("{outcomes:?}") };
        let place = Place { recorded_at: written.recorded_at, seq: Seq::FIRST };
        let mut reader = self.session(DbRole::Reader).await;
        set_tenant(&mut reader, &tenant_id.to_string()).await;
        assert!(entries::find(&mut reader, tenant_id, place).await.unwrap().is_some());
        reader.close().await.unwrap();
        self.certify(tenant_id).await;
        tenant_id
    }

    /// Gives a tenant a certificate, as only the owner can without an expiry.
    async fn certify(&self, tenant_id: TenantId) {
        let mut owner = self.owner().await;
        owner.execute("set role audit_owner").await.unwrap();
        sqlx::query(
            "insert into expiry (
                id, tenant_id, rule, older_than, first_seq, last_seq, expired_by, expired_at
             )
             values ($1, $2, 'retention', '2001-01-01', 1, 2, 'x', '2001-01-01')",
        )
        .bind(Uuid::now_v7())
        .bind(tenant_id.as_uuid())
        .execute(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
    }

    /// Every table, partition or chunk of the service, with its schema.
    async fn tables(&self) -> Vec<String> {
        let mut owner = self.owner().await;
        let tables = sqlx::query_scalar(
            "select format('%I.%I', n.nspname, c.relname)
             from pg_class c
             join pg_namespace n on n.oid = c.relnamespace
             where c.relowner = 'audit_owner'::regrole and c.relkind in ('r', 'p')
                -- TimescaleDB's own, into which nobody writes.
                and c.relname not like '\\_compressed%'
             order by 1",
        )
        .fetch_all(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
        tables
    }
}

/// What a reader sees, by which column a row is a tenant's, and rows of a tenant of [`Kept::tenant`].
const VIEWS: [(&str, &str, usize); 4] = [
    ("entry", "tenant_id", 3),
    ("log_bound", "tenant_id", 1),
    ("tenant_setting", "id", 1),
    ("certificate", "tenant_id", 1),
];

async fn set_tenant(session: &mut PgConnection, tenant_id: &str) {
    sqlx::query("select set_config('audit.tenant_id', $1, false)")
        .bind(tenant_id)
        .execute(session)
        .await
        .unwrap();
}

/// SQLSTATE of a statement that has to fail.
async fn code(session: &mut PgConnection, statement: &str) -> String {
    match session.execute(AssertSqlSafe(statement.to_owned())).await {
        Ok(done) => panic!("was allowed ({} rows): {statement}", done.rows_affected()),
        Err(error) => {
            let error = error.into_database_error().unwrap();
            error.code().unwrap_or_default().into_owned()
        }
    }
}

async fn assert_refused(session: &mut PgConnection, statements: &[&str]) {
    for statement in statements {
        assert_eq!(code(session, statement).await, "42501", "{statement}");
    }
}

/// Statements that write to this relation.
fn writes(relation: &str) -> [String; 4] {
    [
        format!("insert into {relation} select * from {relation}"),
        format!("update {relation} set tenant_id = tenant_id"),
        format!("delete from {relation}"),
        format!("truncate {relation}"),
    ]
}

const CALL_APPEND: &str = "select append(null, 0, 0, clock_timestamp(), false, '{}', '{}', '{}',
    '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
    '{}', '{}', '{}', '{}')";
const CALL_CREATE: &str = "select create_tenant(gen_random_uuid(), 'x', '{}')";
const CALL_CHANGE: &str = "select change_tenant(clock_timestamp(), gen_random_uuid(), 1, '{}', 'x',
    'x', null, null, null, null, 'x', null, null)";
/// Calls of what only the worker may.
const CALLS_OF_WORKER: [&str; 9] = [
    CALL_CREATE,
    CALL_CHANGE,
    "select expirable(clock_timestamp(), gen_random_uuid(), null, 7)",
    "select append_own(clock_timestamp(), gen_random_uuid(), 1, 'x', 'x', null, null, null, null,
        'x', null, 0::smallint, null)",
    "select expire(clock_timestamp(), gen_random_uuid(), gen_random_uuid(), 'retention', null, 7,
        'x', 'x', null, null, null, null)",
    "select clean_up(clock_timestamp(), gen_random_uuid(), '', gen_random_uuid(),
        clock_timestamp(), 7, 'x', 'x', null, null, null, null)",
    "select erasable('2000-01-01', '2001-01-01')",
    "select erase(gen_random_uuid(), gen_random_uuid(), 1)",
    "select record_erased(clock_timestamp(), gen_random_uuid(), gen_random_uuid(), 'x')",
];

#[tokio::test(flavor = "multi_thread")]
async fn roles_keep_to_themselves_on_native_partitions() {
    let kept = Kept::native().await;
    assert_eq!(kept.profile, Profile::Native);
    check(&kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_keep_to_themselves_on_timescale() {
    let kept = Kept::timescale().await;
    assert_eq!(kept.profile, Profile::Timescale);
    check(&kept).await;
}

async fn check(kept: &Kept) {
    let (a, b) = (kept.tenant().await, kept.tenant().await);
    let tables = kept.tables().await;
    let parts = tables.iter().filter(|name| name.contains("audit_log_") || name.contains("_chunk"));
    assert!(parts.count() > 0, "no partition or chunk among {tables:?}");
    a_reader_sees_one_tenant(kept, a, b).await;
    a_reader_does_nothing_else(kept, a, &tables).await;
    a_writer_appends_and_nothing_else(kept, a, &tables).await;
    a_worker_is_not_the_owner(kept).await;
    roles_have_no_rights_beyond(kept).await;
}

async fn a_reader_sees_one_tenant(kept: &Kept, a: TenantId, b: TenantId) {
    let mut reader = kept.session(DbRole::Reader).await;
    for tenant_id in [a, b] {
        set_tenant(&mut reader, &tenant_id.to_string()).await;
        for (view, column, rows) in VIEWS {
            // No filter at all, as a forgetful query would have none.
            let query = AssertSqlSafe(format!("select {column} from {view}"));
            let seen: Vec<Uuid> = sqlx::query_scalar(query).fetch_all(&mut reader).await.unwrap();
            assert_eq!(seen, vec![tenant_id.as_uuid(); rows], "{view}");
        }
    }
    // Asking for another tenant than the session's shows nothing either.
    let crossed: i64 = sqlx::query_scalar("select count(*) from entry where tenant_id = $1")
        .bind(a.as_uuid())
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!(crossed, 0);
    set_tenant(&mut reader, "").await;
    for (view, ..) in VIEWS {
        assert_eq!(code(&mut reader, &format!("select * from {view}")).await, "22P02");
    }
    reader.close().await.unwrap();
    let mut fresh = kept.session(DbRole::Reader).await;
    for (view, ..) in VIEWS {
        // Unset is an error, or `''` where the server keeps the name: never a row.
        let code = code(&mut fresh, &format!("select * from {view}")).await;
        assert!(["42704", "22P02"].contains(&code.as_str()), "{view}: {code}");
    }
    fresh.close().await.unwrap();
}

async fn a_reader_does_nothing_else(kept: &Kept, a: TenantId, tables: &[String]) {
    let mut reader = kept.session(DbRole::Reader).await;
    set_tenant(&mut reader, &a.to_string()).await;
    for table in tables {
        assert_refused(&mut reader, &[&format!("select * from {table}")]).await;
        for statement in writes(table) {
            // Or it has no such column, or one that nobody may give.
            let code = code(&mut reader, &statement).await;
            assert!(["42501", "42703", "428C9"].contains(&code.as_str()), "{statement}: {code}");
        }
    }
    let refused = writes("entry");
    assert_refused(&mut reader, &[&refused[0], &refused[1], &refused[2]]).await;
    assert_refused(
        &mut reader,
        &[
            "create table mine (a integer)",
            "create temporary table mine (a integer)",
            "create schema mine",
            "create view mine as select 1",
            "create function mine() returns integer language sql as 'select 1'",
            CALL_APPEND,
            "alter view entry owner to audit_reader",
            "grant select on audit_log to audit_reader",
        ],
    )
    .await;
    assert_refused(&mut reader, &CALLS_OF_WORKER).await;
    reader.close().await.unwrap();
}

async fn a_writer_appends_and_nothing_else(kept: &Kept, a: TenantId, tables: &[String]) {
    let mut writer = kept.session(DbRole::Writer).await;
    set_tenant(&mut writer, &a.to_string()).await;
    let views = VIEWS.map(|(view, ..)| view.to_owned());
    for relation in tables.iter().chain(&views) {
        assert_refused(&mut writer, &[&format!("select * from {relation}")]).await;
    }
    for table in tables {
        assert_refused(&mut writer, &[&format!("delete from {table}")]).await;
    }
    let other = ["create temporary table mine (a integer)", "create table mine (a integer)"];
    assert_refused(&mut writer, &CALLS_OF_WORKER).await;
    assert_refused(&mut writer, &other).await;
    writer.close().await.unwrap();
}

async fn a_worker_is_not_the_owner(kept: &Kept) {
    let mut worker = kept.session(DbRole::Worker).await;
    assert_refused(
        &mut worker,
        &[
            "select * from audit_log",
            "insert into audit_log select * from audit_log",
            "update audit_log set message = ''",
            "delete from audit_log",
            "truncate audit_log",
            "drop table audit_log",
            "alter table audit_log add column x integer",
            "update tenant set name = 'x'",
            "delete from tenant",
            "update log_head set seq = 0",
            "update log_floor set floor_seq = 9",
            "delete from log_day",
            "insert into expiry (id) values (gen_random_uuid())",
            "update expiry set erased_at = null",
            "delete from expiry",
            "update cleanup_confirm set last_seq = 9",
            "update stream_ticket set expires_at = 'infinity'",
            "select append_own(clock_timestamp(), gen_random_uuid(), 1, 'x', 'x', null, null, null,
                null, 'x', null, 0::smallint, null)",
            "create table mine (a integer)",
            "create temporary table mine (a integer)",
        ],
    )
    .await;
    // It can become the owner, for partition work, and says so each time.
    worker.execute("set role audit_owner").await.unwrap();
    worker.execute("create table mine (a integer); drop table mine").await.unwrap();
    worker.close().await.unwrap();
}

/// Whatever is added later: roles hold rights on views alone, and call only their own functions.
async fn roles_have_no_rights_beyond(kept: &Kept) {
    let mut owner = kept.owner().await;
    let mighty: Vec<String> = sqlx::query_scalar(
        "select rolname::text from pg_roles
         where rolname in ('audit_owner', 'audit_writer', 'audit_reader', 'audit_worker')
            and (rolsuper or rolcanlogin or rolinherit or rolcreaterole or rolcreatedb
                or rolreplication or rolbypassrls)",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(mighty.is_empty(), "{mighty:?}");
    let members: Vec<(String, String)> = sqlx::query_as(
        "select u.rolname::text, r.rolname::text
         from pg_auth_members m
         join pg_roles r on r.oid = m.roleid
         join pg_roles u on u.oid = m.member
         where u.rolname in ('audit_owner', 'audit_writer', 'audit_reader', 'audit_worker')",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(members, [("audit_worker".to_owned(), "audit_owner".to_owned())]);

    let held: Vec<(String, String, String)> = sqlx::query_as(
        "select a.grantee::regrole::text, c.relkind::text, format('%s %s', a.privilege_type, c.relname)
         from pg_class c, aclexplode(c.relacl) a
         where c.relowner = 'audit_owner'::regrole
            and a.grantee in ('audit_writer'::regrole, 'audit_reader'::regrole, 0)
         order by 3",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(!held.is_empty());
    for (role, kind, what) in held {
        assert_eq!((&*role, &*kind), ("audit_reader", "v"), "{what}");
        assert!(what.starts_with("SELECT "), "{role}: {what}");
    }
    let open: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c
         where c.relowner = 'audit_owner'::regrole and c.relkind = 'v'
            and pg_get_viewdef(c.oid) not like '%current_setting(''audit.tenant_id''::text)%'",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(open.is_empty(), "views of more than one tenant: {open:?}");

    for (role, functions) in [
        ("audit_reader", &[][..]),
        ("audit_writer", &["append"]),
        (
            "audit_worker",
            &[
                "append",
                "change_tenant",
                "clean_up",
                "count_window",
                "create_tenant",
                "erasable",
                "erase",
                "expirable",
                "expire",
                "forget_counts",
                "record_erased",
            ],
        ),
    ] {
        let callable: Vec<String> = sqlx::query_scalar(
            "select proname::text from pg_proc
             where proowner = 'audit_owner'::regrole and has_function_privilege($1, oid, 'execute')
             order by 1",
        )
        .bind(role)
        .fetch_all(&mut owner)
        .await
        .unwrap();
        assert_eq!(callable, functions, "{role}");
    }
    owner.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_that_migrated_as_a_plain_owner_serves_as_well() {
    let db = TestDb::empty().await;
    let owner = db.plain_owner().await;
    let url = db.url_of(&owner);
    let options = connect_options(&SecretString::from(url.clone())).unwrap();
    let mut session = PgConnection::connect_with(&options).await.unwrap();
    migrations::migrate(&mut session, ProfileChoice::Auto, 7).await.unwrap();
    session.close().await.unwrap();
    let app = TestApp::start_at(db, &url, &[]).await;
    let tenant_id = app.tenant().await;
    app.caller(tenant_id, "user").record("VIEW").await;
    let headers = identity(Some(tenant_id), "admin");
    assert_eq!(app.with_headers(headers).get("/tenants/self").await.status, 200);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_at_the_same_time_in_two_databases_do_no_harm() {
    let migrate = async || {
        let db = TestDb::empty().await;
        let mut session = db.admin().await;
        let migrated = migrations::migrate(&mut session, ProfileChoice::Native, 1).await;
        run(&mut session, "select 1".to_owned()).await;
        migrated.unwrap().applied
    };
    let (a, b, c) = tokio::join!(migrate(), migrate(), migrate());
    assert!(a > 0 && a == b && b == c);
}
