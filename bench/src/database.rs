//! The database under test: migrated, durable, with tenants of the benchmark's own.

use std::time::Duration;

use anyhow::Context as _;
use api::config::{DatabaseUrl, DatabaseUrls, ProfileChoice};
use api::store::migrations::{Profile, migrate};
use api::store::{Store, connect_options, preflight, tenants};
use api::tenants::default_settings;
use domain::TenantId;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::args::DatabaseArgs;
use crate::cpu;

/// Who owns the tables, and may write to them past `append`.
pub(crate) const ROLE: &str = "audit_owner";

/// Tenants that the load is spread over.
pub(crate) const TENANTS: usize = 8;

/// The first of each eight is a round number in hexadecimal digits.
const SERVICE_TENANTS: u128 = 0x0000_0000_0000_7000_8000_0000_00be_0000;
const RIVAL_TENANTS: u128 = SERVICE_TENANTS + 0x10;

const PARTITION_DAYS: u16 = 7;

/// How long connections may take to be gone.
const FREE_TIMEOUT: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: SecretString,
    /// Connects as the owner of the tables.
    pub(crate) options: PgConnectOptions,
    pub(crate) profile: Profile,
    /// Like `15.4`.
    pub(crate) version: String,
    /// Where it runs on this machine.
    pub(crate) postmaster: Option<u32>,
}

/// What the service has written here since the first run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) entries: i64,
    pub(crate) batches: i64,
}

/// Tenants that only the service writes to.
pub(crate) fn service_tenants() -> [TenantId; TENANTS] {
    std::array::from_fn(|n| TenantId::new(Uuid::from_u128(SERVICE_TENANTS + n as u128)))
}

/// Tenants that everything else writes to, without asking their heads.
pub(crate) fn rival_tenants() -> [TenantId; TENANTS] {
    std::array::from_fn(|n| TenantId::new(Uuid::from_u128(RIVAL_TENANTS + n as u128)))
}

/// One URL for all roles.
pub(crate) fn urls(url: &SecretString) -> DatabaseUrls {
    let setting = "AUDIT_BENCH_DATABASE_URL";
    DatabaseUrls::of_owner(DatabaseUrl { setting, url: url.clone() })
}

/// Brings the database to this version's schema.
pub(crate) async fn migrated(args: &DatabaseArgs) -> anyhow::Result<Profile> {
    let options = connect_options(&args.database_url)?;
    let mut connection = PgConnection::connect_with(&options)
        .await
        .context("cannot reach PostgreSQL at AUDIT_BENCH_DATABASE_URL")?;
    let migrated = migrate(&mut connection, ProfileChoice::Auto, PARTITION_DAYS).await?;
    connection.close().await?;
    Ok(migrated.profile)
}

impl Database {
    /// Migrates, refuses a PostgreSQL that may lose what it has committed, makes the tenants.
    pub(crate) async fn prepare(args: &DatabaseArgs) -> anyhow::Result<Self> {
        let profile = migrated(args).await?;
        let urls = urls(&args.database_url);
        let store = Store::new(&urls, 1)?;
        let found = preflight::inspect(&urls, &store).await?;
        anyhow::ensure!(
            found.unsafe_settings.is_empty(),
            "this PostgreSQL may lose what it has committed ({}): its speed would mean nothing",
            found.unsafe_settings.join(", ")
        );
        for tenant_id in service_tenants().into_iter().chain(rival_tenants()) {
            let settings = default_settings("bench".to_owned(), 7);
            tenants::create(&store.worker, tenant_id, &settings).await?;
        }
        tokio::join!(store.reader.close(), store.worker.close());
        let options = connect_options(&args.database_url)?.options([("role", ROLE)]);
        let mut connection = PgConnection::connect_with(&options).await?;
        let (version, backend): (String, i32) =
            sqlx::query_as("select current_setting('server_version'), pg_backend_pid()")
                .fetch_one(&mut connection)
                .await?;
        let local = ["127.0.0.1", "::1", "localhost"].contains(&options.get_host());
        let postmaster = u32::try_from(backend).ok().and_then(cpu::postmaster_of);
        connection.close().await?;
        Ok(Self {
            url: args.database_url.clone(),
            options,
            profile,
            version: version.split(' ').next().unwrap_or_default().to_owned(),
            postmaster: postmaster.filter(|_| local),
        })
    }

    /// The line above a table.
    pub(crate) fn heading(&self, rounds: u32, of_what: &str) -> anyhow::Result<String> {
        let cores = std::thread::available_parallelism()?;
        let (version, profile) = (&self.version, self.profile.as_str());
        Ok(format!(
            "{cores} cores, PostgreSQL {version}, profile {profile}; medians of {rounds} rounds{of_what}, ratios round by round"
        ))
    }

    /// A connection of the tables' owner.
    pub(crate) async fn connect(&self) -> sqlx::Result<PgConnection> {
        PgConnection::connect_with(&self.options).await
    }

    /// Waits until so many can connect: those who have just left may still hold their places.
    pub(crate) async fn until_free(&self, connections: usize) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        let deadline = Instant::now() + FREE_TIMEOUT;
        loop {
            // Our own is among those that are taken.
            let free: i64 = sqlx::query_scalar(
                "select current_setting('max_connections')::bigint
                    - current_setting('superuser_reserved_connections')::bigint
                    - (select count(*) from pg_stat_activity
                        where backend_type = 'client backend')",
            )
            .fetch_one(&mut connection)
            .await?;
            if free >= connections as i64 {
                return Ok(connection.close().await?);
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "PostgreSQL has {free} connections left, {connections} are needed: \
                 raise max_connections"
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// How far the service has come.
    pub(crate) async fn written(&self) -> sqlx::Result<Written> {
        let mut connection = self.connect().await?;
        let ids = service_tenants().map(|id| id.as_uuid());
        let (entries, batches) = sqlx::query_as(
            "select
                (select sum(seq)::bigint from log_head where tenant_id = any ($1)),
                (select coalesce(sum(batch), 0)::bigint from writer_mark)",
        )
        .bind(&ids[..])
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        Ok(Written { entries, batches })
    }
}
