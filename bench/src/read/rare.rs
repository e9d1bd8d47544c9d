//! A filter that next to nothing passes: through the service, and by one statement.

use std::net::SocketAddr;

use anyhow::ensure;
use domain::TenantId;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::log::Log;
use super::pages::{entries, next_cursor};
use crate::database::Database;
use crate::http::{Connection, Request};
use crate::row::COLUMNS;

/// What `load.sql` gives one entry in 100,000.
const NEEDLE: &str = "the-needle";

/// The first answer, whatever is on it.
pub(super) async fn first(address: SocketAddr, tenant_id: TenantId) -> anyhow::Result<()> {
    let mut connection = Connection::open(address).await?;
    connection.get(&request(tenant_id, "")).await?;
    Ok(())
}

/// Page after page, until all have been found.
pub(super) async fn walk(address: SocketAddr, log: &Log) -> anyhow::Result<()> {
    let mut connection = Connection::open(address).await?;
    let (mut found, mut cursor) = (0, Some(String::new()));
    while let Some(from) = cursor {
        let page = connection.get(&request(log.tenant_id, &from)).await?;
        found += entries(page) as i64;
        cursor = next_cursor(page);
    }
    ensure!(found == log.needles(), "{found} of {} needles were found", log.needles());
    Ok(())
}

fn request(tenant_id: TenantId, cursor: &str) -> Request {
    let more = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
    Request::get(&format!("/logs?resource_id={NEEDLE}{more}"), tenant_id)
}

/// One statement over the whole log.
pub(super) async fn scan(database: &Database, log: &Log, parallel: bool) -> anyhow::Result<()> {
    let mut owner = database.connect().await?;
    if !parallel {
        owner.execute("set max_parallel_workers_per_gather = 0").await?;
    }
    let scan = format!(
        "select {} from audit_log where tenant_id = $1 and resource_id = $2",
        COLUMNS.join(", ")
    );
    let rows = sqlx::query(AssertSqlSafe(scan))
        .bind(log.tenant_id.as_uuid())
        .bind(NEEDLE)
        .fetch_all(&mut owner)
        .await?;
    let found = rows.len() as i64;
    ensure!(found == log.needles(), "{found} of {} needles were found", log.needles());
    Ok(owner.close().await?)
}
