//! What is in a log, looked up behind the service's back.

use domain::TenantId;
use sqlx::{Executor as _, FromRow, PgConnection};
use uuid::Uuid;

use super::app::TestApp;

/// One entry's place and a few of its columns.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub(crate) struct Row {
    pub(crate) tenant_id: Uuid,
    pub(crate) seq: i64,
    pub(crate) recorded_at: time::OffsetDateTime,
    pub(crate) action: String,
    pub(crate) resource_id: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) metadata: Option<String>,
}

/// All of a tenant's log, in the order of the log.
pub(crate) async fn rows(admin: &mut PgConnection, tenant_id: TenantId) -> Vec<Row> {
    sqlx::query_as(
        "select tenant_id, seq, recorded_at, action, resource_id, message,
            before::text, after::text, metadata::text
         from audit_log
         where tenant_id = $1
         order by seq",
    )
    .bind(tenant_id.as_uuid())
    .fetch_all(admin)
    .await
    .unwrap()
}

/// The first number of a log that has not expired, and the last that there is.
pub(crate) async fn floor_and_head(admin: &mut PgConnection, tenant_id: TenantId) -> (i64, i64) {
    sqlx::query_as(
        "select f.floor_seq, h.seq
         from log_floor f
         join log_head h using (tenant_id)
         where tenant_id = $1",
    )
    .bind(tenant_id.as_uuid())
    .fetch_one(admin)
    .await
    .unwrap()
}

/// The end of a log as its head says, and as counting says.
pub(crate) async fn head_and_count(admin: &mut PgConnection, tenant_id: TenantId) -> (i64, i64) {
    sqlx::query_as(
        "select
            (select seq from log_head where tenant_id = $1),
            (select count(*) from audit_log where tenant_id = $1)",
    )
    .bind(tenant_id.as_uuid())
    .fetch_one(admin)
    .await
    .unwrap()
}

/// Fails unless a log has so many entries, and none of it is left anywhere beyond them.
pub(crate) async fn assert_len(app: &TestApp, tenant_id: TenantId, len: i64) {
    let mut admin = app.db.admin().await;
    assert_eq!(head_and_count(&mut admin, tenant_id).await, (len, len));
}

/// Fails unless a log is numbered from 1 without a gap, its times never step back, and its
/// head and its days say the same.
pub(crate) async fn assert_whole(admin: &mut PgConnection, tenant_id: TenantId) {
    let rows = rows(admin, tenant_id).await;
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    assert_eq!(seqs, (1..=rows.len() as i64).collect::<Vec<_>>());
    assert!(rows.is_sorted_by_key(|row| row.recorded_at));
    let (head, count) = head_and_count(admin, tenant_id).await;
    assert_eq!((head, count), (rows.len() as i64, rows.len() as i64));
    let days: Vec<(time::Date, i64)> =
        sqlx::query_as("select day, first_seq from log_day where tenant_id = $1 order by day")
            .bind(tenant_id.as_uuid())
            .fetch_all(&mut *admin)
            .await
            .unwrap();
    let counted: Vec<(time::Date, i64)> = sqlx::query_as(
        "select (recorded_at at time zone 'utc')::date, min(seq)
         from audit_log where tenant_id = $1 group by 1 order by 1",
    )
    .bind(tenant_id.as_uuid())
    .fetch_all(admin)
    .await
    .unwrap();
    assert_eq!(days, counted);
}

/// Takes a head and keeps it until the session's `commit`: the writer waits for it.
pub(crate) async fn hold_head(session: &mut PgConnection, tenant_id: TenantId) {
    session.execute("begin").await.unwrap();
    sqlx::query("select from log_head where tenant_id = $1 for update")
        .bind(tenant_id.as_uuid())
        .execute(session)
        .await
        .unwrap();
}

/// Calls of `append` that wrote something or said why not, by all writers so far.
pub(crate) async fn calls(admin: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select coalesce(sum(batch), 0)::bigint from writer_mark")
        .fetch_one(admin)
        .await
        .unwrap()
}

impl Row {
    /// The id that the service gives this entry.
    pub(crate) fn id(&self) -> domain::EntryId {
        let millis = self.recorded_at.unix_timestamp_nanos() / 1_000_000;
        let recorded_at = domain::Timestamp::from_millis(i64::try_from(millis).unwrap());
        let seq = domain::Seq::new(self.seq).unwrap();
        domain::EntryId::of(domain::Place { recorded_at, seq }, TenantId::new(self.tenant_id))
    }
}

/// Transactions of this database that ended one way or the other; ours and upkeep's among them.
pub(crate) async fn batches_tried(admin: &mut PgConnection) -> i64 {
    admin.execute("select pg_stat_clear_snapshot()").await.unwrap();
    sqlx::query_scalar(
        "select xact_rollback from pg_stat_database where datname = current_database()",
    )
    .fetch_one(admin)
    .await
    .unwrap()
}
