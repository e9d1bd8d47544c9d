//! Tickets: a proof for one stream, for browsers, whose web sockets send no header of ours.
//!
//! In a URL, which others may write down: so it is good once and for seconds.

use std::time::Duration;

use axum::extract::Request;
use axum::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::{TenantId, Timestamp};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;

use super::{Identity, Proof, Role, Unproved};
use crate::error::ApiError;
use crate::store::tickets::{self, Ticket};

/// The parameter that holds one.
pub const PARAMETER: &str = "ticket";

/// Where one may be used.
const PATH: &str = "/api/v1/logs/stream";

/// How long one is good.
pub const GOOD_FOR: Duration = Duration::from_secs(30);

/// Random bytes of one.
const LEN: usize = 32;

/// Roles that may open a stream, the strongest first.
const ROLES: [Role; 2] = [Role::Admin, Role::Auditor];

const SPENT: Unproved =
    Unproved("the ticket is spent, older than 30 s, or none of ours: get a new one");

/// A new ticket for somebody's stream, and when it expires; the log and the database never see it.
pub async fn issue(
    db: &PgPool,
    tenant_id: TenantId,
    identity: &Identity,
    proof_ends_at: Option<Timestamp>,
) -> Result<(String, Timestamp), ApiError> {
    let role = ROLES.into_iter().find(|role| identity.roles.contains(role));
    let role = role.ok_or_else(|| ApiError::internal("a ticket for nobody"))?;
    let ticket = Ticket {
        tenant_id,
        role: role.as_str().to_owned(),
        user_id: identity.user_id.clone(),
        user_name: identity.user_name.clone(),
        proof_ends_at,
    };
    let secret: [u8; LEN] = rand::random();
    let expires_at = tickets::issue(db, &digest(&secret), &ticket, GOOD_FOR).await?;
    Ok((BASE64_URL_SAFE_NO_PAD.encode(secret), expires_at))
}

/// The ticket of a request for a stream, where it has one: then nothing else counts.
pub(crate) fn of(request: &Request) -> Option<Result<[u8; 32], Unproved>> {
    if request.method() != Method::GET || request.uri().path() != PATH {
        return None;
    }
    let query = request.uri().query().unwrap_or_default();
    let mut tickets =
        form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == PARAMETER);
    let (_, text) = tickets.next()?;
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text.as_bytes()).ok();
    let secret = decoded.filter(|secret| secret.len() == LEN && tickets.next().is_none());
    Some(secret.map(|secret| digest(&secret)).ok_or(SPENT))
}

/// Spends it.
pub(crate) async fn redeem(db: &PgPool, digest: [u8; 32]) -> Result<Proof, ApiError> {
    let redeemed = tickets::redeem(db, &digest).await?;
    let ticket = redeemed.ok_or_else(|| refused(&SPENT))?;
    Ok(Proof::Ticket(Box::new(ticket)))
}

/// The 401 of a ticket that is not good.
pub(crate) fn refused(unproved: &Unproved) -> ApiError {
    ApiError::unproved(unproved, "Ticket")
}

pub(super) fn identity(ticket: &Ticket) -> Identity {
    Identity {
        tenant_id: Some(ticket.tenant_id),
        user_id: ticket.user_id.clone(),
        user_name: ticket.user_name.clone(),
        roles: Role::parse(&ticket.role).into_iter().collect(),
    }
}

fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}
