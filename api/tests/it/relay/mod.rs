//! The relay: what is in a log reaches the queue, whatever breaks on the way.
//!
//! The queue is a real one, in the emulator; where a failure is asked for that no emulator shows,
//! one of our own that fails as told. What has come is compared with the log as sets of ids.

mod end_to_end;
mod expiring;
mod failing;
pub(crate) mod restarts;
mod sending;
mod turns;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use api::queue::EntryQueue;
use api::relay::{Bell, Relay};
use api::store::Store;
use domain::{TenantId, read_message};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::app::{TestApp, entry, serve_args};
use crate::support::database::TestDb;
use crate::support::queue::places;
use crate::support::{eventually, log};

/// What one send holds, as by default.
const SEND_BYTES_MAX: usize = 240 << 10;

/// A relay in this process.
struct Running {
    bell: Bell,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start<Q: EntryQueue>(db: &TestDb, queue: &Arc<Q>) -> Self {
        let bell = Bell::heard();
        let stop = CancellationToken::new();
        let relay = Relay::new(store(db), Arc::clone(queue), SEND_BYTES_MAX, bell.clone());
        let task = tokio::spawn(relay.run(stop.clone()));
        Self { bell, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(api::relay::STOP_TIMEOUT, self.task).await.unwrap().unwrap();
    }

    /// Ends as a killed process does: nothing is given back.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn store(db: &TestDb) -> Store {
    let args = serve_args(&db.url(), &[]);
    Store::new(&args.database.urls().unwrap(), 2).unwrap()
}

/// Records entries of about 300 bytes in bulk; returns their ids.
async fn record(app: &TestApp, tenant_id: TenantId, entries: usize) -> HashSet<Uuid> {
    record_with(app, tenant_id, entries, &json!({})).await
}

/// The same with more members.
async fn record_with(
    app: &TestApp,
    tenant_id: TenantId,
    entries: usize,
    members: &Value,
) -> HashSet<Uuid> {
    let user = app.caller(tenant_id, "user");
    let mut ids = HashSet::new();
    let mut left = entries;
    while left > 0 {
        let n = left.min(1_000);
        let body: Vec<Value> = (0..n).map(|_| entry(members.clone())).collect();
        let answer = user.post("/logs/bulk", &json!({ "logs": body })).await.created();
        let written = answer.body["ids"].as_array().unwrap().iter();
        ids.extend(written.map(|id| id.as_str().unwrap().parse::<Uuid>().unwrap()));
        left -= n;
    }
    ids
}

/// The ids of all that is in a log.
async fn ids_of(admin: &mut PgConnection, tenant_id: TenantId) -> HashSet<Uuid> {
    log::rows(admin, tenant_id).await.iter().map(|row| row.id().as_uuid()).collect()
}

/// Where the relay's cursor of a log stands, and whether it holds expiry.
async fn cursor(admin: &mut PgConnection, tenant_id: TenantId) -> Option<(i64, bool)> {
    sqlx::query_as(
        "select seq, holds_expiry from log_cursor where tenant_id = $1 and consumer = 'relay'",
    )
    .bind(tenant_id.as_uuid())
    .fetch_optional(admin)
    .await
    .unwrap()
}

/// Waits until cursors stand at the ends of these logs and nobody has a lease. One that a killed
/// replica left behind on a log with nothing more to send is over when its time is.
async fn until_all_sent(db: &TestDb, tenants: &[TenantId], within: Duration) {
    let ids: Vec<Uuid> = tenants.iter().map(TenantId::as_uuid).collect();
    eventually("all is sent", within, async || {
        let mut admin = db.admin().await;
        let behind: i64 = sqlx::query_scalar(
            "select count(*)
             from log_head h
             left join log_cursor c on c.tenant_id = h.tenant_id and c.consumer = 'relay'
             where h.tenant_id = any ($1)
                and (c.seq is distinct from h.seq or c.recorded_at <> h.recorded_at
                    or c.leased_by is not null and c.leased_until > clock_timestamp())",
        )
        .bind(&ids)
        .fetch_one(&mut admin)
        .await
        .unwrap();
        behind == 0
    })
    .await;
}

/// Fails unless each log's entries go upwards within every message.
fn assert_in_order(messages: &[String]) {
    for message in messages {
        let mut last = BTreeMap::new();
        for entry in read_message(message).unwrap() {
            let seq = entry.as_stored().place.seq;
            let before = last.insert(entry.tenant_id(), seq);
            assert!(before < Some(seq), "{seq} after {before:?}");
        }
    }
}

/// Fails unless these messages hold exactly the logs of these tenants.
async fn assert_whole(db: &TestDb, tenants: &[TenantId], messages: &[String]) {
    assert_in_order(messages);
    let mut admin = db.admin().await;
    let sent = places(messages);
    for tenant_id in tenants {
        let of_log = ids_of(&mut admin, *tenant_id).await;
        let of_messages: HashSet<Uuid> = sent
            .iter()
            .filter(|(tenant, _)| tenant == tenant_id)
            .map(|(_, id)| id.as_uuid())
            .collect();
        assert!(of_log == of_messages, "{} of {} entries", of_messages.len(), of_log.len());
    }
}
