//! Rows that have expired, on their way out: what the worker asks and does for every tenant.
//!
//! What may go was decided when the floor moved ([`super::expiry`]); nothing here moves one.

use domain::{CallerDefaults, TenantId, Timestamp};
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use super::partitions::Span;
use super::to_sql;

/// Tenants or certificates that one question is about.
pub const PAGE_LEN: i64 = 1_000;

/// Rows that one call of [`erase`] deletes at most.
pub const ROWS_MAX: i32 = 5_000;

/// Held by whoever works on expiry: any number does that nobody else takes.
const ROUND_LOCK: i64 = 0x6175_6469_7465;

/// Whether this session has expiry to itself, until its connection closes: when somebody else
/// works on it, that does for everybody.
pub async fn take_turn(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(ROUND_LOCK).fetch_one(db).await
}

/// A page of tenants, and which of them have something to expire.
#[derive(Debug, Default)]
pub struct DuePage {
    /// They have.
    pub due: Vec<TenantId>,
    /// The last one that was looked at; `None` at the end.
    pub last: Option<TenantId>,
}

#[derive(Debug, FromRow)]
struct DueRow {
    id: Uuid,
    due: bool,
}

/// Looks at the tenants just after `after`: who has entries that retention no longer keeps?
pub async fn tenants_due(
    db: impl PgExecutor<'_>,
    now: Timestamp,
    days_min: i32,
    after: Option<TenantId>,
) -> sqlx::Result<DuePage> {
    let rows: Vec<DueRow> = sqlx::query_as(
        "select t.id, not e.held and e.first_seq <= e.last_seq as due
         from (
            select id
            from tenant
            where $1::uuid is null or id > $1
            order by id
            limit $2
         ) t
         cross join lateral expirable($3, t.id, null, $4) e
         order by t.id",
    )
    .bind(after.map(|id| id.as_uuid()))
    .bind(PAGE_LEN)
    .bind(to_sql(now))
    .bind(days_min)
    .fetch_all(db)
    .await?;
    let last = rows.last().map(|row| TenantId::new(row.id));
    let due = rows.iter().filter(|row| row.due).map(|row| TenantId::new(row.id)).collect();
    Ok(DuePage { due, last })
}

/// A certificate whose rows are not known to be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Unerased {
    /// The certificate.
    pub id: Uuid,
    tenant_id: Uuid,
    /// Whether a partition or chunk of its time is still there.
    pub has_room: bool,
    /// Whether its rows are to be deleted, as no partition took them along in time.
    pub is_due: bool,
}

impl Unerased {
    /// Whose log.
    pub fn tenant_id(&self) -> TenantId {
        TenantId::new(self.tenant_id)
    }
}

/// Reads certificates whose rows are not known to be gone, from just after `after`.
///
/// The rows of a cleanup are due at once: somebody wants them gone. Those of retention wait for
/// their partition until its last day has expired, too, and a day more.
pub async fn unerased(
    db: impl PgExecutor<'_>,
    spans: &[Span],
    after: Uuid,
) -> sqlx::Result<Vec<Unerased>> {
    let (begins, ends): (Vec<_>, Vec<_>) =
        spans.iter().map(|span| (span.begins, span.ends)).unzip();
    sqlx::query_as(
        "select
            e.id,
            e.tenant_id,
            r.width is not null as has_room,
            e.rule = 'cleanup'
                or coalesce(e.expired_at < clock_timestamp() - r.width - interval '24 hours', false)
                as is_due
         from expiry e
         cross join lateral (
            select max(s.ends - s.begins) as width
            from unnest($1::timestamptz[], $2::timestamptz[]) s (begins, ends)
            where e.first_recorded_at < s.ends
                and e.last_recorded_at >= s.begins
         ) r
         where e.erased_at is null
            and e.id > $3
         order by e.id
         limit $4",
    )
    .bind(begins)
    .bind(ends)
    .bind(after)
    .bind(PAGE_LEN)
    .fetch_all(db)
    .await
}

/// Deletes rows of a certificate, at most [`ROWS_MAX`], and says how many.
///
/// Fewer than that: no more of them may go now.
pub async fn erase(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    certificate: Uuid,
) -> sqlx::Result<i32> {
    sqlx::query_scalar("select erase($1, $2, $3)")
        .bind(tenant_id.as_uuid())
        .bind(certificate)
        .bind(ROWS_MAX)
        .fetch_one(db)
        .await
}

/// Notes that no row of a certificate is left, in it and in the log; false when there are some.
pub async fn record_erased(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    now: Timestamp,
    certificate: Uuid,
) -> sqlx::Result<bool> {
    sqlx::query_scalar("select record_erased($1, $2, $3, $4)")
        .bind(to_sql(now))
        .bind(tenant_id.as_uuid())
        .bind(certificate)
        .bind(CallerDefaults::service().recorded_by.as_str())
        .fetch_one(db)
        .await
}
