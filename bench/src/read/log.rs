//! The log that is read: large, of one tenant, between entries of three others.
//!
//! Written past the service, in the order in which it would have written them; in one
//! transaction, so that a log is there as a whole or not at all.

use std::time::{Duration, Instant};

use anyhow::ensure;
use api::store::migrations::Profile;
use api::store::{DbRole, connect, connect_options, tenants};
use api::tenants::default_settings;
use domain::TenantId;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::database::Database;

const LOAD: &str = include_str!("load.sql");
/// Tells the log of what was loaded past the service: its heads, its days.
pub(crate) const FINISH: &str = include_str!("finish.sql");

/// Days that a log goes back.
const DAYS: i32 = 28;

/// Tenants in the table: ours and three others.
const TENANTS: usize = 4;

/// Logs of different lengths lie beside each other.
const FIRST_TENANT: u128 = 0x0000_0000_0000_7000_8001_0000_0000_0000;

/// Entries of one statement while loading.
const CHUNK: i64 = 250_000;

/// One entry in so many is what a rare filter looks for; `load.sql` says which.
const NEEDLE_IN: i64 = 100_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) tenant_id: TenantId,
    /// As it was loaded; the service may have added to it.
    pub(crate) entries: i64,
}

impl Log {
    /// Loads it, unless the database has it.
    pub(crate) async fn find_or_load(database: &Database, entries: i64) -> anyhow::Result<Self> {
        ensure!(
            database.profile == Profile::Native,
            "this makes partitions for the past: it needs the native profile"
        );
        let ids = ids(entries);
        let mut owner = database.connect().await?;
        let head: Option<i64> = sqlx::query_scalar("select seq from log_head where tenant_id = $1")
            .bind(ids[0].as_uuid())
            .fetch_optional(&mut owner)
            .await?;
        if head.unwrap_or_default() == 0 {
            create_tenants(database, ids).await?;
            let begun = Instant::now();
            load(&mut owner, ids, entries).await?;
            eprintln!("loaded {entries} entries in {:.0} s", begun.elapsed().as_secs_f64());
        }
        owner.close().await?;
        Ok(Self { tenant_id: ids[0], entries })
    }

    /// How many entries pass the rare filter.
    pub(crate) fn needles(&self) -> i64 {
        (self.entries + NEEDLE_IN / 2) / NEEDLE_IN
    }

    /// When the entry of that number was recorded.
    pub(crate) async fn recorded_at(
        &self,
        db: &mut PgConnection,
        seq: i64,
    ) -> sqlx::Result<OffsetDateTime> {
        sqlx::query_scalar("select recorded_at from audit_log where tenant_id = $1 and seq = $2")
            .bind(self.tenant_id.as_uuid())
            .bind(seq)
            .fetch_one(db)
            .await
    }
}

fn ids(entries: i64) -> [TenantId; TENANTS] {
    let first = FIRST_TENANT + TENANTS as u128 * u128::from(entries.unsigned_abs());
    std::array::from_fn(|n| TenantId::new(Uuid::from_u128(first + n as u128)))
}

async fn create_tenants(database: &Database, ids: [TenantId; TENANTS]) -> anyhow::Result<()> {
    let options = connect_options(&database.url)?;
    let mut worker = connect(&options, DbRole::Worker).await?;
    for tenant_id in ids {
        let settings = default_settings("bench read".to_owned(), 7);
        tenants::create(&mut worker, tenant_id, &settings).await?;
    }
    Ok(worker.close().await?)
}

async fn load(
    owner: &mut PgConnection,
    ids: [TenantId; TENANTS],
    entries: i64,
) -> anyhow::Result<()> {
    let ids: Vec<_> = ids.iter().map(TenantId::as_uuid).collect();
    let until: OffsetDateTime = sqlx::query_scalar("select now()").fetch_one(&mut *owner).await?;
    let from = until - Duration::from_hours(24) * DAYS.unsigned_abs();
    let all = entries + entries / 10;
    make_partitions(owner).await?;
    let mut transaction = owner.begin().await?;
    for first in (1..=all).step_by(CHUNK as usize) {
        let last = all.min(first + CHUNK - 1);
        sqlx::query(LOAD)
            .bind(first)
            .bind(last)
            .bind(from)
            .bind(DAYS)
            .bind(all as f64)
            .bind(&ids)
            .execute(&mut *transaction)
            .await?;
        eprintln!("loading: {} %", 100 * last / all);
    }
    sqlx::query(FINISH).bind(&ids).execute(&mut *transaction).await?;
    transaction.commit().await?;
    owner.execute("vacuum analyze audit_log").await?;
    Ok(())
}

/// For the weeks that have passed; upkeep has made this one's.
pub(crate) async fn make_partitions(owner: &mut PgConnection) -> anyhow::Result<()> {
    let weeks: Vec<(String, String, String)> = sqlx::query_as(
        "select
            to_char(week, '\"audit_log_\"YYYYMMDD\"_00\"'),
            week::text,
            (week + interval '7 days')::text
         from generate_series(
            date_trunc('week', now() - make_interval(days => $1), 'utc'),
            date_trunc('week', now(), 'utc') - interval '7 days',
            interval '7 days'
         ) week",
    )
    .bind(DAYS)
    .fetch_all(&mut *owner)
    .await?;
    for (name, from, to) in weeks {
        let partition = format!(
            "create table if not exists {name} partition of audit_log
             for values from ('{from}') to ('{to}')"
        );
        owner.execute(AssertSqlSafe(partition)).await?;
    }
    Ok(())
}
