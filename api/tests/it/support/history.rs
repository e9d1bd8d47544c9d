//! Logs with a past: entries on days before today, as if the tenant had recorded them then.

use domain::TenantId;
use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;

use super::database::run;
use super::past::make_partition;

/// One entry of the past.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Past {
    pub(crate) recorded_at: OffsetDateTime,
    pub(crate) occurred_at: OffsetDateTime,
    pub(crate) user_id: String,
    pub(crate) request_id: Option<String>,
    pub(crate) action: String,
    pub(crate) resource_type: String,
    pub(crate) resource_id: Option<String>,
    pub(crate) severity: i16,
}

impl Past {
    /// An ordinary entry of that time.
    pub(crate) fn at(recorded_at: OffsetDateTime) -> Self {
        Self {
            recorded_at,
            occurred_at: recorded_at,
            user_id: "alice".to_owned(),
            request_id: None,
            action: "UPDATE".to_owned(),
            resource_type: "thing".to_owned(),
            resource_id: None,
            severity: 0,
        }
    }
}

/// Room for entries of all the time before the partitions that are there.
pub(crate) async fn make_room(admin: &mut PgConnection) {
    make_partition(admin, "audit_log").await;
}

/// Puts these entries behind the log's head; their times must not step back.
pub(crate) async fn write(admin: &mut PgConnection, tenant_id: TenantId, entries: &[Past]) {
    fn column<T>(entries: &[Past], of: impl Fn(&Past) -> T) -> Vec<T> {
        entries.iter().map(of).collect()
    }
    sqlx::query(
        "insert into audit_log (
            tenant_id, recorded_at, seq, recorded_by, occurred_at, user_id, request_id, action,
            resource_type, resource_id, severity
         )
         select
            $1, e.recorded_at, h.seq + e.n, 'alice', e.occurred_at, e.user_id, e.request_id,
            e.action, e.resource_type, e.resource_id, e.severity
         from log_head h
         cross join unnest(
            $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::smallint[]
         ) with ordinality e (
            recorded_at, occurred_at, user_id, request_id, action, resource_type, resource_id,
            severity, n
         )
         where h.tenant_id = $1",
    )
    .bind(tenant_id.as_uuid())
    .bind(column(entries, |entry| entry.recorded_at))
    .bind(column(entries, |entry| entry.occurred_at))
    .bind(column(entries, |entry| entry.user_id.clone()))
    .bind(column(entries, |entry| entry.request_id.clone()))
    .bind(column(entries, |entry| entry.action.clone()))
    .bind(column(entries, |entry| entry.resource_type.clone()))
    .bind(column(entries, |entry| entry.resource_id.clone()))
    .bind(column(entries, |entry| entry.severity))
    .execute(&mut *admin)
    .await
    .unwrap();
    settle(admin, tenant_id).await;
}

/// Puts so many entries behind the log's head, evenly from one time up to another.
///
/// Of the entry number `n`: user `user-{n % 1000}`, request `request-{n / 10}`, an action in four,
/// a severity in a hundred that is not INFO.
pub(crate) async fn spread(
    admin: &mut PgConnection,
    tenant_id: TenantId,
    entries: i64,
    from: OffsetDateTime,
    to: OffsetDateTime,
) {
    let statement = format!(
        "insert into audit_log (
            tenant_id, recorded_at, seq, recorded_by, occurred_at, user_id, request_id, action,
            resource_type, resource_id, severity, message, after
         )
         select
            '{tenant_id}', t.at, h.seq + n, 'alice', t.at, 'user-' || n % 1000,
            'request-' || n / 10, (array['VIEW', 'UPDATE', 'CREATE', 'DELETE'])[1 + n % 4],
            'invoice', 'inv-' || n, case when n % 100 = 0 then 2 else 0 end, 'entry number ' || n,
            '{{\"amount\": 12.50, \"state\": \"paid\"}}'
         from log_head h
         cross join generate_series(1, {entries}) n
         cross join lateral (
            select date_trunc('milliseconds', timestamptz '{from}'
                + (n - 1) * ((timestamptz '{to}' - timestamptz '{from}') / {entries})) as at
         ) t
         where h.tenant_id = '{tenant_id}'"
    );
    run(admin, format!("set synchronous_commit = off; {statement}")).await;
    settle(admin, tenant_id).await;
    run(admin, "vacuum analyze audit_log".to_owned()).await;
}

/// Brings the head and the days to what is in the log, and keeps its past from expiring.
pub(crate) async fn settle(admin: &mut PgConnection, tenant_id: TenantId) {
    let statement = format!(
        "update tenant set retention_days = 36500 where id = '{tenant_id}';
         update log_head h
         set seq = e.seq, recorded_at = e.recorded_at
         from (
            select seq, recorded_at
            from audit_log
            where tenant_id = '{tenant_id}'
            order by recorded_at desc, seq desc
            limit 1
         ) e
         where h.tenant_id = '{tenant_id}';
         insert into log_day (tenant_id, day, first_seq)
         select tenant_id, (recorded_at at time zone 'utc')::date, min(seq)
         from audit_log
         where tenant_id = '{tenant_id}'
         group by 1, 2
         on conflict on constraint log_day_pkey do nothing"
    );
    run(admin, statement).await;
}

/// Expires all that was recorded before the start of this day; the rows stay where they are.
pub(crate) async fn move_floor(admin: &mut PgConnection, tenant_id: TenantId, day: time::Date) {
    sqlx::query(AssertSqlSafe(
        "update log_floor f
         set floor_at = $2::timestamp at time zone 'utc',
            floor_seq = (
                select min(d.first_seq)
                from log_day d
                where d.tenant_id = f.tenant_id
                    and d.day >= $2
            )
         where f.tenant_id = $1",
    ))
    .bind(tenant_id.as_uuid())
    .bind(day)
    .execute(admin)
    .await
    .unwrap();
}

/// Takes away what has expired, as upkeep does later.
pub(crate) async fn erase(admin: &mut PgConnection, tenant_id: TenantId) {
    sqlx::query(
        "delete from audit_log a
         using log_floor f
         where f.tenant_id = $1
            and a.tenant_id = $1
            and a.seq < f.floor_seq",
    )
    .bind(tenant_id.as_uuid())
    .execute(admin)
    .await
    .unwrap();
}
