//! Statistics, once everything has been counted.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use domain::TenantId;
use tokio::time::{Instant, sleep};

use crate::database::Database;
use crate::http::{Connection, Getter, Request};

/// How long counting may take.
const COUNT_TIMEOUT: Duration = Duration::from_mins(15);

/// Entries that may be left to count: those behind the last round of counting.
pub(crate) const TAIL: i64 = 2_000;

/// Asks again and again; `None` when the service has no statistics.
pub(super) async fn getter(
    address: SocketAddr,
    tenant_id: TenantId,
) -> anyhow::Result<Option<Getter>> {
    let mut connection = Connection::open(address).await?;
    // Without the route, `stats` is taken for the id of an entry.
    if connection.exchange(&Request::get("/logs/stats", tenant_id)).await? == 404 {
        return Ok(None);
    }
    let request = Request::get("/logs/stats?group_by=action&interval=day", tenant_id);
    connection.get(&request).await?;
    Ok(Some(Getter { connection, requests: vec![request], entries: 0, turn: 0 }))
}

/// Waits until nearly all entries are in the roll-up.
pub(super) async fn until_counted(database: &Database, tenant_id: TenantId) -> anyhow::Result<()> {
    let mut connection = database.connect().await?;
    let begun = Instant::now();
    loop {
        let left: i64 = sqlx::query_scalar(
            "select h.seq - coalesce(c.seq, 0)
             from log_head h
             left join log_cursor c on c.tenant_id = h.tenant_id and c.consumer = 'statistics'
             where h.tenant_id = $1",
        )
        .bind(tenant_id.as_uuid())
        .fetch_one(&mut connection)
        .await?;
        if left < TAIL {
            eprintln!("counted after {:.0} s", begun.elapsed().as_secs_f64());
            return Ok(());
        }
        ensure!(
            begun.elapsed() < COUNT_TIMEOUT,
            "after {} s, {left} entries are not counted yet",
            begun.elapsed().as_secs()
        );
        sleep(Duration::from_millis(500)).await;
    }
}
