//! Everything that speaks SQL, and nothing that speaks HTTP.
//!
//! Three roles, three pools: handlers read as `audit_reader`, the writer calls `append` as
//! `audit_writer`, upkeep runs as `audit_worker`. Functions take an executor first and the
//! tenant second; none sees more than one tenant, except the worker's.

pub mod append;
pub mod bounds;
mod copying;
mod cut;
pub mod entries;
pub mod erasure;
pub mod expiry;
pub mod filter;
pub mod index_marks;
pub mod indexing;
pub mod installation;
pub mod marks;
pub mod matches;
pub mod migrations;
pub mod monitoring;
pub mod pages;
pub mod partitions;
pub mod places;
pub mod preflight;
pub mod probing;
pub mod range;
pub mod rebuilding;
pub mod relay;
mod rows;
pub mod statistics;
pub mod streaming;
pub mod tenants;
pub mod tickets;
pub mod turns;
pub mod walk;

use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use domain::{TenantId, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use self::turns::Turns;
use crate::config::{DatabaseUrl, DatabaseUrls, WrongSettings};

/// How a database URL begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// How long a connection may take to come up.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the first login of a program may take: nobody waits for it but who has started it.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a handler waits for a free connection before it answers 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was used so lately works, in all likelihood, and is not asked whether it does.
/// Those that write are: of a write that fails nobody knows what came of it.
const FRESH: Duration = Duration::from_millis(250);

/// Connections for tenants, probes and counting.
const WORKER_CONNECTIONS: u32 = 4;

/// Every session: nobody waits or works for long, and a peer that went silent lets go of its
/// locks. `tcp_user_timeout` is the server's side of the socket.
const SESSION: &str = "
    set lock_timeout = '1s';
    set statement_timeout = '5s';
    set idle_in_transaction_session_timeout = '5s';
    set tcp_user_timeout = '5s';
    set search_path = public;
    select set_config('synchronous_commit', 'on', false)
        where current_setting('synchronous_commit') <> 'remote_apply';
    set timezone = 'UTC';
";

/// A database role that this service takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DbRole {
    /// Sees one tenant's entries through views.
    Reader,
    /// May call `append`.
    Writer,
    /// Keeps the tables in order.
    Worker,
}

impl DbRole {
    /// Its name in PostgreSQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "audit_reader",
            Self::Writer => "audit_writer",
            Self::Worker => "audit_worker",
        }
    }

    /// What a fresh session of this role is set to.
    fn session(self) -> String {
        let own = match self {
            // On its sixth run a prepared page would try a plan over every partition. And there is
            // one way into a log, along its key: a plan that reads a partition and sorts it looks
            // at everybody's entries, which no `limit` bounds. What columns may hold leaves out no
            // partition, and to look at it each plan would parse those rules anew.
            Self::Reader => {
                "set plan_cache_mode = force_custom_plan;
                 set constraint_exclusion = off;
                 set enable_seqscan = off;
                 set enable_bitmapscan = off;
                 set max_parallel_workers_per_gather = 0;"
            }
            // A batch that waits for a head holds others, which somebody else's batch waits for:
            // the time-out of one lock does not bound such a chain, this does.
            Self::Writer => "set statement_timeout = '2s';",
            Self::Worker => "",
        };
        format!("{SESSION} {own} set role {};", self.as_str())
    }
}

/// Reads a URL; the text itself never reaches an error or a log.
pub fn connect_options(url: &SecretString) -> anyhow::Result<PgConnectOptions> {
    let url = url.expose_secret();
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| anyhow!("the database URL cannot be read: {error}"))?;
    // Any other scheme would be taken as well.
    if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
        bail!("the database URL must begin with {}", SCHEMES.join(" or "));
    }
    Ok(options.application_name("audit-log").disable_statement_logging())
}

/// The same of a setting, which an error names.
fn options_of(url: &DatabaseUrl) -> anyhow::Result<PgConnectOptions> {
    connect_options(&url.url).context(url.setting)
}

/// The first connection of a program, as the login itself. An error names the setting, since each
/// of them may lead to another server.
pub async fn log_in(url: &DatabaseUrl) -> anyhow::Result<PgConnection> {
    let options = options_of(url).context(WrongSettings)?;
    let connecting = PgConnection::connect_with(&options);
    let why = match tokio::time::timeout(LOGIN_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => return Ok(connection),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", LOGIN_TIMEOUT.as_secs()),
    };
    bail!("cannot reach PostgreSQL at {}: {why}", url.setting)
}

/// One connection that steps down to a role; gives up after [`CONNECT_TIMEOUT`].
pub async fn connect(options: &PgConnectOptions, role: DbRole) -> sqlx::Result<PgConnection> {
    let connecting = async {
        let mut connection = PgConnection::connect_with(options).await?;
        connection.execute(AssertSqlSafe(role.session())).await?;
        Ok(connection)
    };
    tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut))
}

/// A pool that connects when first used, so that a database that is down does not keep the
/// service from starting or from coming back.
pub fn pool(options: PgConnectOptions, role: DbRole, connections_max: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            Box::pin(async move {
                let is_fresh = role == DbRole::Reader && meta.idle_for < FRESH;
                Ok(is_fresh || connection.ping().await.is_ok())
            })
        })
        .idle_timeout(Duration::from_mins(5))
        .max_lifetime(Duration::from_mins(30))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(AssertSqlSafe(role.session())).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options)
}

/// How the statements of a read come by their plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plans {
    /// Anew each time, for the values at hand: they name a time, and so the partitions.
    Fresh,
    /// Once in a session, for any values: for statements that name the partitions' time in their
    /// text. Where little is read, planning costs more than reading.
    Kept,
}

/// The three pools' worth of connections that a service needs.
#[derive(Clone)]
pub struct Store {
    /// For handlers that read.
    pub reader: PgPool,
    /// For tenants, probes and counting.
    pub worker: PgPool,
    /// For the writer, which keeps a connection of its own.
    pub writer_options: PgConnectOptions,
    /// For upkeep and for settling lost answers, which must not wait for a pool.
    pub worker_options: PgConnectOptions,
    turns: Option<Arc<Turns>>,
    /// Reads that wait for a connection.
    waiting: Arc<AtomicUsize>,
}

/// Without the options: they hold passwords.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools = (&self.reader, &self.worker);
        f.debug_struct("Store").field("pools", &pools).finish_non_exhaustive()
    }
}

/// One that waits, until dropped.
struct Wait<'s>(&'s AtomicUsize);

impl<'s> Wait<'s> {
    fn begin(waiting: &'s AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Store {
    /// Reads the URLs and makes the pools, without connecting yet.
    pub fn new(urls: &DatabaseUrls, reader_connections: u32) -> anyhow::Result<Self> {
        Ok(Self {
            reader: pool(options_of(&urls.reader)?, DbRole::Reader, reader_connections),
            worker: pool(options_of(&urls.worker)?, DbRole::Worker, WORKER_CONNECTIONS),
            worker_options: options_of(&urls.worker)?,
            writer_options: options_of(&urls.writer)?,
            turns: None,
            waiting: Arc::default(),
        })
    }

    /// The same, for reads that many tenants ask for: they take turns.
    #[must_use]
    pub fn in_turns(&self) -> Self {
        let turns = Turns::new(self.reader.options().get_max_connections());
        Self { turns: Some(Arc::new(turns)), ..self.clone() }
    }

    /// How many reads wait for a turn or a connection.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Runs queries in a transaction that reads, and sees this tenant alone.
    pub async fn read<T>(
        &self,
        tenant_id: TenantId,
        queries: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        self.read_by(Plans::Fresh, tenant_id, queries).await
    }

    /// The same, by such plans.
    pub async fn read_by<T>(
        &self,
        plans: Plans,
        tenant_id: TenantId,
        queries: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        let wait = Wait::begin(&self.waiting);
        let _turn = match &self.turns {
            Some(turns) => Some(turns.take(tenant_id).await?),
            None => None,
        };
        drop(wait);
        self.run(plans, tenant_id, queries).await
    }

    /// The same for what is under way, and has bounds of its own for how much of it reads at a
    /// time: an export or a stream would end, and others of its kind wait with it, because its
    /// tenant asks for too many pages.
    pub async fn read_past_turns<T>(
        &self,
        tenant_id: TenantId,
        queries: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        self.run(Plans::Fresh, tenant_id, queries).await
    }

    async fn run<T>(
        &self,
        plans: Plans,
        tenant_id: TenantId,
        queries: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        let set = match plans {
            Plans::Fresh => "",
            Plans::Kept => "; set local plan_cache_mode = force_generic_plan",
        };
        // A UUID's text holds nothing that could end the literal.
        let begin = format!("begin read only; set local audit.tenant_id = '{tenant_id}'{set}");
        let wait = Wait::begin(&self.waiting);
        let mut connection = self.reader.acquire().await?;
        drop(wait);
        let read = async {
            let mut transaction = connection.begin_with(AssertSqlSafe(begin)).await?;
            let found = queries(&mut transaction).await?;
            transaction.commit().await?;
            Ok(found)
        };
        let read = read.await;
        if read.is_err() {
            // Whatever state the session is in, nobody gets it after this.
            connection.close_on_drop();
        }
        read
    }
}

/// PostgreSQL's form of a time; every [`Timestamp`] of a checked entry has one.
fn to_sql(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(at.as_millis())
}

/// The time as it was stored, cut to milliseconds.
fn from_sql(at: OffsetDateTime) -> Timestamp {
    let millis = at.unix_timestamp_nanos().div_euclid(1_000_000);
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
