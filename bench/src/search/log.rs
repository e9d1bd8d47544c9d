//! What is searched: logs of many tenants, a few of them large, written past the service as
//! [`crate::read::log`] does it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use api::store::migrations::Profile;
use api::store::{DbRole, connect, connect_options, tenants};
use api::tenants::default_settings;
use domain::TenantId;
use sqlx::{Connection as _, Executor as _, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::database::Database;
use crate::read::log::{FINISH, make_partitions};

const LOAD: &str = include_str!("load.sql");

/// Tenants whose logs are searched.
pub(super) const TENANTS: usize = 200;

/// Days that the logs go back: months' ends lie between.
const DAYS: i32 = 28;

/// Logs of different sizes lie beside each other.
const FIRST_TENANT: u128 = 0x0000_0000_0000_7000_8002_0000_0000_0000;

/// See the module.
#[derive(Debug)]
pub(super) struct Logs {
    /// From large to small.
    pub(super) tenants: Vec<TenantId>,
    sizes: Vec<i64>,
}

impl Logs {
    /// Loads them, unless the database has them.
    pub(super) async fn find_or_load(database: &Database, entries: i64) -> anyhow::Result<Self> {
        ensure!(
            database.profile == Profile::Native,
            "this makes partitions for the past: it needs the native profile"
        );
        let logs = Self { tenants: ids(entries), sizes: sizes(entries) };
        let mut owner = database.connect().await?;
        let head: Option<i64> = sqlx::query_scalar("select seq from log_head where tenant_id = $1")
            .bind(logs.tenants[0].as_uuid())
            .fetch_optional(&mut owner)
            .await?;
        if head.unwrap_or_default() == 0 {
            logs.create_tenants(database).await?;
            let begun = Instant::now();
            logs.load(&mut owner).await?;
            eprintln!("loaded {entries} entries in {:.0} s", begun.elapsed().as_secs_f64());
        }
        owner.close().await?;
        Ok(logs)
    }

    /// Of all tenants together.
    pub(super) fn entries(&self) -> i64 {
        self.sizes.iter().sum()
    }

    pub(super) fn uuids(&self) -> Vec<Uuid> {
        self.tenants.iter().map(TenantId::as_uuid).collect()
    }

    async fn create_tenants(&self, database: &Database) -> anyhow::Result<()> {
        let options = connect_options(&database.url)?;
        let mut worker = connect(&options, DbRole::Worker).await?;
        for tenant_id in &self.tenants {
            let settings = default_settings("bench search".to_owned(), 7);
            tenants::create(&mut worker, *tenant_id, &settings).await?;
        }
        Ok(worker.close().await?)
    }

    async fn load(&self, owner: &mut PgConnection) -> anyhow::Result<()> {
        let until: OffsetDateTime =
            sqlx::query_scalar("select now()").fetch_one(&mut *owner).await?;
        let from = until - Duration::from_hours(24) * DAYS.unsigned_abs();
        make_partitions(owner).await?;
        let ids = self.uuids();
        let mut transaction = owner.begin().await?;
        for day in 0..DAYS {
            sqlx::query(LOAD)
                .bind(&ids)
                .bind(self.first_of(day))
                .bind(self.first_of(day + 1).into_iter().map(|seq| seq - 1).collect::<Vec<_>>())
                .bind(&self.sizes)
                .bind(from)
                .bind(DAYS)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(FINISH).bind(&ids).execute(&mut *transaction).await?;
        transaction.commit().await?;
        owner.execute("vacuum analyze audit_log").await?;
        Ok(())
    }

    /// Each tenant's first number of a day.
    fn first_of(&self, day: i32) -> Vec<i64> {
        self.sizes.iter().map(|size| 1 + size * i64::from(day) / i64::from(DAYS)).collect()
    }
}

fn ids(entries: i64) -> Vec<TenantId> {
    let first = FIRST_TENANT + TENANTS as u128 * u128::from(entries.unsigned_abs());
    (0..TENANTS as u128).map(|number| TenantId::new(Uuid::from_u128(first + number))).collect()
}

/// The second has half of the first's, the third a third, and so on: the first has a sixth of all.
fn sizes(entries: i64) -> Vec<i64> {
    let harmonic: f64 = (1..=TENANTS).map(|rank| 1.0 / rank as f64).sum();
    let share = |rank: usize| (entries as f64 / harmonic / rank as f64) as i64;
    let mut sizes: Vec<_> = (1..=TENANTS).map(share).collect();
    sizes[0] += entries - sizes.iter().sum::<i64>();
    sizes
}

#[cfg(test)]
mod tests {
    use super::{DAYS, Logs, TENANTS, ids, sizes};

    #[test]
    fn all_entries_are_somebodys_and_every_day_has_its_own() {
        let logs = Logs { tenants: ids(1_000_000), sizes: sizes(1_000_000) };
        assert_eq!(logs.entries(), 1_000_000);
        assert_eq!(logs.sizes.len(), TENANTS);
        assert_eq!(logs.first_of(0), vec![1; TENANTS]);
        let ends: Vec<_> = logs.first_of(DAYS).iter().map(|next| next - 1).collect();
        assert_eq!(ends, logs.sizes);
    }
}
