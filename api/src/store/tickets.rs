//! Tickets for streams: kept as digests, good once.

use domain::{TenantId, Timestamp};
use sqlx::postgres::types::PgInterval;
use sqlx::{FromRow, PgExecutor};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{from_sql, to_sql};

/// What a ticket stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Whose log.
    pub tenant_id: TenantId,
    /// One that may open streams.
    pub role: String,
    /// The principal.
    pub user_id: String,
    /// The principal's name.
    pub user_name: Option<String>,
    /// When the proof that it was made for ends.
    pub proof_ends_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct TicketRow {
    tenant_id: Uuid,
    role: String,
    user_id: String,
    user_name: Option<String>,
    proof_ends_at: Option<OffsetDateTime>,
    is_good: bool,
}

/// Keeps a ticket's digest; gives when it expires. Those that have expired go, and of the
/// tenant's others the oldest, so that there are 1,000 at most.
pub async fn issue(
    db: impl PgExecutor<'_>,
    digest: &[u8; 32],
    ticket: &Ticket,
    good_for: Duration,
) -> sqlx::Result<Timestamp> {
    let expires_at: OffsetDateTime = sqlx::query_scalar(
        "with old as (
            delete from stream_ticket
            where tenant_id = $2
                and expires_at <= clock_timestamp()
         ), surplus as (
            delete from stream_ticket
            where digest in (
                select digest
                from stream_ticket
                where tenant_id = $2
                    and expires_at > clock_timestamp()
                order by expires_at desc
                offset 999
            )
         )
         insert into stream_ticket (
            digest, tenant_id, role, user_id, user_name, proof_ends_at, expires_at
         )
         values ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7)
         returning expires_at",
    )
    .bind(&digest[..])
    .bind(ticket.tenant_id.as_uuid())
    .bind(&ticket.role)
    .bind(&ticket.user_id)
    .bind(&ticket.user_name)
    .bind(ticket.proof_ends_at.map(to_sql))
    .bind(PgInterval::try_from(good_for).map_err(sqlx::Error::Encode)?)
    .fetch_one(db)
    .await?;
    Ok(from_sql(expires_at))
}

/// Takes a ticket away, for good, and gives what it stood for; `None` when it is spent, too old,
/// or never was.
pub async fn redeem(db: impl PgExecutor<'_>, digest: &[u8; 32]) -> sqlx::Result<Option<Ticket>> {
    let row: Option<TicketRow> = sqlx::query_as(
        "delete from stream_ticket
         where digest = $1
         returning
            tenant_id, role, user_id, user_name, proof_ends_at,
            expires_at > clock_timestamp() as is_good",
    )
    .bind(&digest[..])
    .fetch_optional(db)
    .await?;
    Ok(row.filter(|row| row.is_good).map(|row| Ticket {
        tenant_id: TenantId::new(row.tenant_id),
        role: row.role,
        user_id: row.user_id,
        user_name: row.user_name,
        proof_ends_at: row.proof_ends_at.map(from_sql),
    }))
}

/// Removes tickets of all tenants that have expired; gives how many there were.
pub async fn forget_expired(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let done = sqlx::query("delete from stream_ticket where expires_at <= clock_timestamp()")
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
