//! A week of entries taken away: with its partition, or row by row.
//!
//! Copies of a real week, far in the past. No service runs meanwhile: it would see partitions
//! that nobody needs.

use anyhow::{Context as _, ensure};
use api::store::partitions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::log::Log;
use super::subject::Subject;
use crate::cpu::{Meter, timed};
use crate::database::Database;
use crate::load::Sample;
use crate::row::COLUMNS;

/// Years that the copies lie back; each subject has its own.
const YEARS: [i32; 3] = [20, 21, 22];

/// Entries of one transaction, as the service takes them.
const PIECE: i64 = 5_000;

/// Measures each of [`Subject::EXPIRY`] once.
pub(super) async fn measure(
    database: &Database,
    log: &Log,
    meter: Meter,
) -> anyhow::Result<Vec<(Subject, Sample)>> {
    let mut owner = database.connect().await?;
    ensure!(partitions::take_turn(&mut owner).await?, "somebody else works on partitions");
    let mut samples = Vec::new();
    for (subject, years) in Subject::EXPIRY.into_iter().zip(YEARS) {
        let week = Week::copy(&mut owner, log, years).await?;
        let doing = week.expire(&mut owner, subject);
        let (gone, elapsed, cpu) = timed(meter, doing).await?;
        ensure!(gone == week.rows, "{gone} of {} entries went", week.rows);
        samples.push((subject, Sample::once(week.rows, (elapsed, cpu))));
        owner.execute(AssertSqlSafe(format!("drop table if exists {}", week.table))).await?;
    }
    owner.close().await?;
    Ok(samples)
}

/// A partition with a copy of a week.
#[derive(Debug)]
struct Week {
    table: String,
    rows: i64,
}

impl Week {
    async fn copy(owner: &mut PgConnection, log: &Log, years: i32) -> anyhow::Result<Self> {
        let table = format!("audit_log_expiry_{years}");
        let newest = log.recorded_at(owner, log.entries / 2).await?;
        let (from, to): (String, String) = sqlx::query_as(
            "select (week - shift)::text, (week + interval '7 days' - shift)::text
             from date_trunc('week', $1, 'utc') week, make_interval(weeks => 52 * $2) shift",
        )
        .bind(newest)
        .bind(years)
        .fetch_one(&mut *owner)
        .await?;
        owner.execute(AssertSqlSafe(format!("drop table if exists {table}"))).await?;
        let partition = format!(
            "create table {table} partition of audit_log for values from ('{from}') to ('{to}')"
        );
        owner.execute(AssertSqlSafe(partition)).await?;
        let columns = COLUMNS.join(", ");
        let shifted: Vec<_> = COLUMNS
            .iter()
            .map(|column| match *column {
                "recorded_at" | "occurred_at" => format!("{column} - shift"),
                column => column.to_owned(),
            })
            .collect();
        let copy = format!(
            "insert into audit_log ({columns})
             select {}
             from audit_log, make_interval(weeks => 52 * $1) shift
             where recorded_at >= $2::timestamptz + make_interval(weeks => 52 * $1)
                and recorded_at < $3::timestamptz + make_interval(weeks => 52 * $1)
             order by recorded_at, seq",
            shifted.join(", ")
        );
        let copied = sqlx::query(AssertSqlSafe(copy)).bind(years).bind(&from).bind(&to);
        let rows = copied.execute(&mut *owner).await.context("cannot copy a week")?.rows_affected();
        owner.execute(AssertSqlSafe(format!("vacuum analyze {table}"))).await?;
        Ok(Self { table, rows: i64::try_from(rows)? })
    }

    /// Returns how many entries went.
    async fn expire(&self, owner: &mut PgConnection, subject: Subject) -> anyhow::Result<i64> {
        let table = &self.table;
        match subject {
            Subject::Drop => {
                let detach = format!("alter table audit_log detach partition {table} concurrently");
                owner.execute(AssertSqlSafe(detach)).await?;
                owner.execute(AssertSqlSafe(format!("drop table {table}"))).await?;
                Ok(self.rows)
            }
            Subject::Delete => {
                let delete = format!("delete from {table}");
                let gone = owner.execute(AssertSqlSafe(delete)).await?.rows_affected();
                Ok(i64::try_from(gone)?)
            }
            _ => self.delete_in_pieces(owner).await,
        }
    }

    async fn delete_in_pieces(&self, owner: &mut PgConnection) -> anyhow::Result<i64> {
        let tenants: Vec<sqlx::types::Uuid> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select distinct tenant_id from {}",
            self.table
        )))
        .fetch_all(&mut *owner)
        .await?;
        let mut all = 0;
        for tenant_id in tenants {
            loop {
                let gone = self.delete_piece(owner, tenant_id).await?;
                all += gone;
                if gone < PIECE {
                    break;
                }
            }
        }
        Ok(all)
    }

    /// On the prefix of the primary key.
    async fn delete_piece(
        &self,
        owner: &mut PgConnection,
        tenant_id: sqlx::types::Uuid,
    ) -> anyhow::Result<i64> {
        let table = &self.table;
        let delete = format!(
            "delete from {table}
             where tenant_id = $1
                and ctid = any (array(
                    select ctid
                    from {table}
                    where tenant_id = $1
                    order by recorded_at, seq
                    limit $2
                ))"
        );
        let deleting = sqlx::query(AssertSqlSafe(delete)).bind(tenant_id).bind(PIECE);
        Ok(i64::try_from(deleting.execute(owner).await?.rows_affected())?)
    }
}
