//! Tenants and their settings.

use domain::{Ident, JsonText, NewEntry, TenantId, Timestamp, UserAgent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::append::{Outcome, unwritten};
use super::{from_sql, to_sql};

/// A tenant as the outside sees it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Tenant {
    /// Names its log.
    #[schema(value_type = String, format = Uuid)]
    pub id: TenantId,
    /// What may change.
    #[serde(flatten)]
    pub settings: Settings,
    /// Counts the changes.
    pub version: i32,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What may change about a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Settings {
    /// For people.
    pub name: String,
    /// Whether writing is refused.
    pub suspended: bool,
    /// Days that entries are kept.
    pub retention_days: i32,
    /// What is kept beyond that for a while, since it was shortened.
    pub retention_kept: Option<RetentionKept>,
    /// While there is one, nothing expires.
    pub legal_hold: Option<LegalHold>,
    /// Whether secrets are masked before storing.
    pub masking: bool,
    /// Keys masked beside the built-in ones.
    pub masked_keys: Vec<String>,
    /// Whether its log says who read it.
    pub record_reads: bool,
    /// Limits of its own, by name.
    #[schema(value_type = Object)]
    pub limits: Map<String, Value>,
}

/// The days that entries were kept before, and how long that still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct RetentionKept {
    /// More than `retention_days`.
    pub days: i32,
    /// From then on it does not count.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

impl Settings {
    /// Days that entries are kept at this time.
    pub fn days_kept(&self, now: Timestamp) -> i32 {
        let kept = self.retention_kept.filter(|kept| kept.until > now).map(|kept| kept.days);
        self.retention_days.max(kept.unwrap_or_default())
    }
}

/// Why nothing may expire, who said so and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LegalHold {
    /// For the record.
    pub reason: String,
    /// The principal.
    pub by: String,
    /// In UTC.
    #[schema(value_type = String, format = DateTime)]
    pub at: String,
}

#[derive(Debug, FromRow)]
struct TenantRow {
    id: Uuid,
    name: String,
    suspended: bool,
    retention_days: i32,
    masking: bool,
    masked_keys: Vec<String>,
    legal_hold_reason: Option<String>,
    legal_hold_by: Option<String>,
    legal_hold_at: Option<OffsetDateTime>,
    limits: Json<Map<String, Value>>,
    version: i32,
    created_at: OffsetDateTime,
    record_reads: bool,
    retention_kept_days: Option<i32>,
    retention_kept_until: Option<OffsetDateTime>,
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        let held = row.legal_hold_reason.zip(row.legal_hold_by).zip(row.legal_hold_at);
        let legal_hold =
            held.map(|((reason, by), at)| LegalHold { reason, by, at: from_sql(at).to_string() });
        let kept = row.retention_kept_days.zip(row.retention_kept_until);
        let settings = Settings {
            name: row.name,
            suspended: row.suspended,
            retention_days: row.retention_days,
            retention_kept: kept
                .map(|(days, until)| RetentionKept { days, until: from_sql(until) }),
            legal_hold,
            masking: row.masking,
            masked_keys: row.masked_keys,
            record_reads: row.record_reads,
            limits: row.limits.0,
        };
        Self {
            id: TenantId::new(row.id),
            settings,
            version: row.version,
            created_at: from_sql(row.created_at),
        }
    }
}

/// Finds the reader's own tenant.
pub async fn find_own(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
) -> sqlx::Result<Option<Tenant>> {
    let row: Option<TenantRow> = sqlx::query_as(
        "select
            id, name, suspended, retention_days, masking, masked_keys, legal_hold_reason,
            legal_hold_by, legal_hold_at, limits, version, created_at, record_reads,
            retention_kept_days, retention_kept_until
         from tenant_setting
         where id = $1",
    )
    .bind(tenant_id.as_uuid())
    .fetch_optional(db)
    .await?;
    Ok(row.map(Tenant::from))
}

/// Finds any tenant, for the operator.
pub async fn find(db: impl PgExecutor<'_>, tenant_id: TenantId) -> sqlx::Result<Option<Tenant>> {
    let row: Option<TenantRow> = sqlx::query_as(
        "select
            id, name, suspended, retention_days, masking, masked_keys, legal_hold_reason,
            legal_hold_by, legal_hold_at, limits, version, created_at, record_reads,
            retention_kept_days, retention_kept_until
         from tenant
         where id = $1",
    )
    .bind(tenant_id.as_uuid())
    .fetch_optional(db)
    .await?;
    Ok(row.map(Tenant::from))
}

/// Reads tenants in the order of their ids from just after `after`, for the operator.
pub async fn read_after(
    db: impl PgExecutor<'_>,
    after: Option<TenantId>,
    limit: i64,
) -> sqlx::Result<Vec<Tenant>> {
    let rows: Vec<TenantRow> = sqlx::query_as(
        "select
            id, name, suspended, retention_days, masking, masked_keys, legal_hold_reason,
            legal_hold_by, legal_hold_at, limits, version, created_at, record_reads,
            retention_kept_days, retention_kept_until
         from tenant
         where $1::uuid is null or id > $1
         order by id
         limit $2",
    )
    .bind(after.map(|id| id.as_uuid()))
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Tenant::from).collect())
}

/// Makes a tenant with an empty log; false when the id is taken, whoever raced.
pub async fn create(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    settings: &Settings,
) -> sqlx::Result<bool> {
    sqlx::query_scalar("select create_tenant($1, $2, $3)")
        .bind(tenant_id.as_uuid())
        .bind(&settings.name)
        .bind(Json(settings))
        .fetch_one(db)
        .await
}

/// Changes a tenant and records it in its log, in one transaction.
///
/// `version` is the one that `settings` was made from; an older one changes nothing.
pub async fn change(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    now: Timestamp,
    version: i32,
    settings: &Settings,
    entry: &NewEntry,
) -> sqlx::Result<Result<(), Outcome>> {
    let outcome: i16 = sqlx::query_scalar(
        "select change_tenant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(to_sql(now))
    .bind(tenant_id.as_uuid())
    .bind(version)
    .bind(Json(settings))
    .bind(entry.recorded_by.as_str())
    .bind(entry.user_id.as_str())
    .bind(entry.user_name.as_ref().map(Ident::as_str))
    .bind(entry.request_id.as_ref().map(Ident::as_str))
    .bind(entry.ip_address.as_ref().map(ToString::to_string))
    .bind(entry.user_agent.as_ref().map(UserAgent::as_str))
    .bind(entry.action.as_str())
    .bind(entry.before.as_ref().map(JsonText::as_str))
    .bind(entry.after.as_ref().map(JsonText::as_str))
    .fetch_one(db)
    .await?;
    if outcome == 0 {
        return Ok(Ok(()));
    }
    unwritten(outcome).map(Err)
}
