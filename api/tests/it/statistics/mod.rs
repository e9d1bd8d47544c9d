//! Statistics: exact whatever was counted ahead, honest where they cannot be.

mod counting;
mod model;
mod plans;
mod questions;
mod timescale;

use api::store::statistics::counting::count_window;
use domain::TenantId;
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::support::app::{Answer, Caller, TestApp};
use crate::support::past;

/// When the logs of these tests begin; there are partitions from long before.
const BEGIN: OffsetDateTime = datetime!(2026-03-02 0:00 UTC);

/// One entry, as far as it can be counted.
#[derive(Debug, Clone)]
struct Row {
    recorded_at: OffsetDateTime,
    occurred_at: OffsetDateTime,
    user_id: String,
    action: String,
    resource_type: String,
    severity: i16,
}

impl Row {
    /// An ordinary entry that was recorded when it occurred.
    fn new(at: OffsetDateTime) -> Self {
        Self {
            recorded_at: at,
            occurred_at: at,
            user_id: "alice".to_owned(),
            action: "VIEW".to_owned(),
            resource_type: "thing".to_owned(),
            severity: 0,
        }
    }
}

/// A log in the past of a service, written behind its back.
struct Log<'a> {
    app: &'a TestApp,
    tenant_id: TenantId,
    admin: PgConnection,
    rows: Vec<Row>,
    floor_seq: usize,
}

/// A service with partitions for all of the past.
async fn app_with_past() -> TestApp {
    let app = TestApp::start().await;
    past::make_partition(&mut app.db.admin().await, "audit_log").await;
    app
}

impl<'a> Log<'a> {
    async fn new(app: &'a TestApp) -> Self {
        let (tenant_id, admin) = (app.tenant().await, app.db.admin().await);
        Self { app, tenant_id, admin, rows: Vec::new(), floor_seq: 1 }
    }

    fn auditor(&self) -> Caller<'a> {
        self.app.caller(self.tenant_id, "auditor")
    }

    /// Appends, as `append` does: entries, days and head in one transaction.
    async fn append(&mut self, rows: &[Row]) {
        let first_seq = self.rows.len() + 1;
        insert(&mut self.admin, self.tenant_id, first_seq, rows).await;
        self.rows.extend_from_slice(rows);
    }

    /// Counts one window, as the worker does.
    async fn count(&self) -> Option<i32> {
        let mut worker = self.app.db.as_role("audit_worker").await;
        count_window(&mut worker, self.tenant_id).await.unwrap()
    }

    /// Keeps everybody from counting this log ahead while the session lives.
    async fn hold_counting(&self) -> PgConnection {
        let mut session = self.app.db.admin().await;
        let cursor = "insert into log_cursor (tenant_id, consumer) values ($1, 'statistics')
            on conflict do nothing";
        let hold = "select from log_cursor
            where tenant_id = $1 and consumer = 'statistics' for update";
        for statement in [cursor, "begin", hold] {
            let query = sqlx::query(statement);
            let bound =
                if statement == "begin" { query } else { query.bind(self.tenant_id.as_uuid()) };
            bound.execute(&mut session).await.unwrap();
        }
        session
    }

    /// Lets all days before that of an entry expire.
    async fn expire_before(&mut self, index: usize) {
        let day = self.rows[index].recorded_at.date();
        let first = self.rows.iter().position(|row| row.recorded_at.date() == day).unwrap();
        self.floor_seq = self.floor_seq.max(first + 1);
        sqlx::query(
            "update log_floor
             set floor_seq = $2, floor_at = $3
             where tenant_id = $1 and floor_seq < $2",
        )
        .bind(self.tenant_id.as_uuid())
        .bind(self.floor_seq as i64)
        .bind(day.midnight().assume_utc())
        .execute(&mut self.admin)
        .await
        .unwrap();
    }

    /// What has not expired.
    fn unexpired(&self) -> &[Row] {
        &self.rows[self.floor_seq - 1..]
    }

    /// The answer to a question, which must be an answer about this log as it is.
    async fn ask(&self, parameters: &str) -> Answer {
        let answer = self.auditor().get(&format!("/logs/stats?{parameters}")).await;
        assert_eq!(answer.status, 200, "{parameters}: {answer:?}");
        assert_eq!(answer.body["head_seq"], self.rows.len(), "{parameters}");
        assert_eq!(answer.body["floor_seq"], self.floor_seq, "{parameters}");
        answer
    }

    /// The only count there is, and nothing left out.
    async fn total(&self, parameters: &str) -> i64 {
        let answer = self.ask(parameters).await;
        assert_eq!(answer.body["partial"], false, "{parameters}: {answer:?}");
        only_count(&answer.body)
    }

    /// How far the log is counted ahead, and how many entries the counts hold.
    async fn counted(&mut self) -> (i64, i64) {
        sqlx::query_as(
            "select
                coalesce((select seq from log_cursor
                    where tenant_id = $1 and consumer = 'statistics'), 0),
                (select coalesce(sum(n), 0)::bigint from stat_quarter where tenant_id = $1)",
        )
        .bind(self.tenant_id.as_uuid())
        .fetch_one(&mut self.admin)
        .await
        .unwrap()
    }
}

fn only_count(body: &Value) -> i64 {
    let rows = body["data"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{body}");
    rows[0]["count"].as_i64().unwrap()
}

async fn insert(admin: &mut PgConnection, tenant_id: TenantId, first_seq: usize, rows: &[Row]) {
    let texts = |of: fn(&Row) -> &String| rows.iter().map(of).cloned().collect::<Vec<_>>();
    sqlx::query(
        "with added as (
            insert into audit_log (
                tenant_id, recorded_at, seq, recorded_by, occurred_at, user_id, action,
                resource_type, severity
            )
            select $1, r.recorded_at, $2 + r.n - 1, 'test', r.occurred_at, r.user_id, r.action,
                r.resource_type, r.severity
            from unnest($3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
                $8::smallint[]) with ordinality
                r (recorded_at, occurred_at, user_id, action, resource_type, severity, n)
            returning recorded_at, seq
        ), days as (
            insert into log_day (tenant_id, day, first_seq)
            select $1, (recorded_at at time zone 'utc')::date, min(seq)
            from added
            group by 2
            on conflict do nothing
        )
        update log_head
        set seq = a.seq, recorded_at = a.recorded_at
        from (select max(seq) as seq, max(recorded_at) as recorded_at from added) a
        where tenant_id = $1 and a.seq is not null",
    )
    .bind(tenant_id.as_uuid())
    .bind(first_seq as i64)
    .bind(rows.iter().map(|row| row.recorded_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.occurred_at).collect::<Vec<_>>())
    .bind(texts(|row| &row.user_id))
    .bind(texts(|row| &row.action))
    .bind(texts(|row| &row.resource_type))
    .bind(rows.iter().map(|row| row.severity).collect::<Vec<_>>())
    .execute(admin)
    .await
    .unwrap();
}
