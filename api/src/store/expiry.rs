//! How entries end: the floor moves, a certificate says so, and later the rows go.

use domain::{CallerDefaults, Ident, TenantId, Timestamp, UserAgent};
use serde::Serialize;
use sqlx::error::DatabaseError;
use sqlx::{FromRow, PgExecutor};
use thiserror::Error;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{from_sql, to_sql};

/// SQLSTATE of `expire()`: a legal hold keeps the log.
const LEGAL_HOLD: &str = "AU003";
/// SQLSTATE of `clean_up()`: the token does not stand for this.
const CONFIRM_MISMATCH: &str = "AU004";
/// SQLSTATE of `expire()`: the floor was moved meanwhile, and nothing was done.
const RACED: &str = "40001";

/// Why nothing expired.
#[derive(Debug, Error)]
pub enum ExpireError {
    /// There is a legal hold on the log.
    #[error("a legal hold keeps the log")]
    Held,
    /// The token is spent, too old, or stands for something else.
    #[error("the token does not stand for this")]
    Mismatch,
    /// Somebody else was faster: what there is to do has changed.
    #[error("somebody else moved the floor")]
    Raced,
    /// The database said something else.
    #[error("the database failed")]
    Failed(#[source] sqlx::Error),
}

impl From<sqlx::Error> for ExpireError {
    fn from(error: sqlx::Error) -> Self {
        let answer = error.as_database_error();
        match answer.and_then(DatabaseError::code).as_deref() {
            Some(LEGAL_HOLD) => Self::Held,
            Some(CONFIRM_MISMATCH) => Self::Mismatch,
            Some(RACED) => Self::Raced,
            _ => Self::Failed(error),
        }
    }
}

/// The beginning of a log, as far as it would expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Range {
    /// All of it was recorded before; the start of a UTC day.
    #[schema(value_type = String, format = DateTime)]
    pub older_than: Timestamp,
    /// The log's floor.
    pub first_seq: i64,
    /// One less than `first_seq` when nothing would expire.
    pub last_seq: i64,
    /// How many that is.
    pub entries: i64,
}

/// What would expire, and whether it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expirable {
    /// What would.
    pub range: Range,
    /// Whether a legal hold keeps it.
    pub held: bool,
}

#[derive(Debug, FromRow)]
struct ExpirableRow {
    older_than: OffsetDateTime,
    held: bool,
    first_seq: i64,
    last_seq: i64,
}

/// What a cleanup would expire now.
pub async fn expirable(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    now: Timestamp,
    older_than: Timestamp,
    days_min: i32,
) -> sqlx::Result<Option<Expirable>> {
    let row: Option<ExpirableRow> = sqlx::query_as(
        "select older_than, held, first_seq, last_seq
         from expirable($1, $2, $3, $4)",
    )
    .bind(to_sql(now))
    .bind(tenant_id.as_uuid())
    .bind(to_sql(older_than))
    .bind(days_min)
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Expirable {
        range: Range {
            older_than: from_sql(row.older_than),
            first_seq: row.first_seq,
            last_seq: row.last_seq,
            entries: row.last_seq - row.first_seq + 1,
        },
        held: row.held,
    }))
}

/// Says for ever what expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Certificate {
    /// Its own id, which the log's entries about it have as `resource_id`.
    #[schema(value_type = String, format = Uuid)]
    pub id: Uuid,
    /// `retention` or `cleanup`.
    pub rule: String,
    /// Everything recorded before expired.
    #[schema(value_type = String, format = DateTime)]
    pub older_than: Timestamp,
    /// The first that expired.
    pub first_seq: i64,
    /// The last that did.
    pub last_seq: i64,
    /// How many that were.
    pub entries: i64,
    /// When the first was recorded.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_recorded_at: Option<Timestamp>,
    /// When the last was.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_recorded_at: Option<Timestamp>,
    /// Who made it so: the principal of a cleanup, else the service.
    pub expired_by: String,
    /// From then on nobody was shown them.
    #[schema(value_type = String, format = DateTime)]
    pub expired_at: Timestamp,
    /// When no row of them was left; `null` until then.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub erased_at: Option<Timestamp>,
}

#[derive(Debug, FromRow)]
struct CertificateRow {
    id: Uuid,
    rule: String,
    older_than: OffsetDateTime,
    first_seq: i64,
    last_seq: i64,
    entries: i64,
    first_recorded_at: Option<OffsetDateTime>,
    last_recorded_at: Option<OffsetDateTime>,
    expired_by: String,
    expired_at: OffsetDateTime,
    erased_at: Option<OffsetDateTime>,
}

impl From<CertificateRow> for Certificate {
    fn from(row: CertificateRow) -> Self {
        Self {
            id: row.id,
            rule: row.rule,
            older_than: from_sql(row.older_than),
            first_seq: row.first_seq,
            last_seq: row.last_seq,
            entries: row.entries,
            first_recorded_at: row.first_recorded_at.map(from_sql),
            last_recorded_at: row.last_recorded_at.map(from_sql),
            expired_by: row.expired_by,
            expired_at: from_sql(row.expired_at),
            erased_at: row.erased_at.map(from_sql),
        }
    }
}

/// Reads a tenant's certificates, newest first, from just before the one that begins at `before`.
pub async fn certificates_before(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    before: Option<i64>,
    limit: i64,
) -> sqlx::Result<Vec<Certificate>> {
    let rows: Vec<CertificateRow> = sqlx::query_as(
        "select
            id, rule, older_than, first_seq, last_seq, entries, first_recorded_at,
            last_recorded_at, expired_by, expired_at, erased_at
         from certificate
         where tenant_id = $1
            and first_seq < $2
         order by first_seq desc
         limit $3",
    )
    .bind(tenant_id.as_uuid())
    .bind(before.unwrap_or(i64::MAX))
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Certificate::from).collect())
}

/// Expires what a tenant's retention no longer keeps, on the record; `None` when there is nothing.
pub async fn expire(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    now: Timestamp,
    days_min: i32,
) -> Result<Option<Certificate>, ExpireError> {
    let service = CallerDefaults::service();
    let row: Option<CertificateRow> = sqlx::query_as(
        "select
            id, rule, older_than, first_seq, last_seq, entries, first_recorded_at,
            last_recorded_at, expired_by, expired_at, erased_at
         from expire($1, $2, $3, 'retention', null, $4, $5, $5, null, null, null, null)",
    )
    .bind(to_sql(now))
    .bind(tenant_id.as_uuid())
    .bind(Uuid::now_v7())
    .bind(days_min)
    .bind(service.recorded_by.as_str())
    .fetch_optional(db)
    .await?;
    Ok(row.map(Certificate::from))
}

/// A cleanup that somebody confirms.
#[derive(Debug)]
pub struct Cleanup<'a> {
    /// Expires what was recorded before.
    pub older_than: Timestamp,
    /// SHA-256 of the token.
    pub token: [u8; 32],
    /// Who wants it.
    pub by: &'a CallerDefaults,
}

/// Expires what a dry run announced, on the record, and spends the token; `None` when there was
/// nothing to expire.
pub async fn clean_up(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    now: Timestamp,
    days_min: i32,
    cleanup: &Cleanup<'_>,
) -> Result<Option<Certificate>, ExpireError> {
    let by = cleanup.by;
    let row: Option<CertificateRow> = sqlx::query_as(
        "select
            id, rule, older_than, first_seq, last_seq, entries, first_recorded_at,
            last_recorded_at, expired_by, expired_at, erased_at
         from clean_up($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(to_sql(now))
    .bind(tenant_id.as_uuid())
    .bind(&cleanup.token[..])
    .bind(Uuid::now_v7())
    .bind(to_sql(cleanup.older_than))
    .bind(days_min)
    .bind(by.recorded_by.as_str())
    .bind(by.user_id.as_str())
    .bind(by.user_name.as_ref().map(Ident::as_str))
    .bind(by.request_id.as_ref().map(Ident::as_str))
    .bind(by.ip_address.as_ref().map(ToString::to_string))
    .bind(by.user_agent.as_ref().map(UserAgent::as_str))
    .fetch_optional(db)
    .await?;
    Ok(row.map(Certificate::from))
}

/// Keeps a token's SHA-256 beside what it stands for.
///
/// Those that are too old go, and of the tenant's others the oldest, so that there are 100 at most.
pub async fn announce(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    token: &[u8; 32],
    range: &Range,
    user_id: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "with old as (
            delete from cleanup_confirm
            where made_at <= clock_timestamp() - interval '10 minutes'
         ), surplus as (
            delete from cleanup_confirm
            where tenant_id = $1
                and token in (
                    select token
                    from cleanup_confirm
                    where tenant_id = $1
                        and made_at > clock_timestamp() - interval '10 minutes'
                    order by made_at desc
                    offset 99
                )
         )
         insert into cleanup_confirm (tenant_id, token, older_than, first_seq, last_seq, user_id)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tenant_id.as_uuid())
    .bind(&token[..])
    .bind(to_sql(range.older_than))
    .bind(range.first_seq)
    .bind(range.last_seq)
    .bind(user_id)
    .execute(db)
    .await?;
    Ok(())
}
