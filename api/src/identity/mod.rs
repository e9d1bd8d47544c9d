//! Who is calling, in two steps: *proof* (is this caller known at all? else 401, before
//! anything else is looked at) and *identity* (which user, tenant and role? else 400 or 403).
//!
//! Nothing outside of this module reads an identity header or a token.

pub mod caller;
mod gateway;
pub mod jwt;
pub mod ticket;

use std::fmt;
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use domain::{TenantId, Timestamp};
use thiserror::Error;

pub use gateway::GatewaySecrets;
pub use jwt::JwtVerifier;

use crate::store::tickets::Ticket;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads, writes and decides what expires.
    Admin,
    /// Reads everything, writes nothing.
    Auditor,
    /// Writes, and reads the log.
    User,
    /// Runs the instance and its tenants; reads no entries.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Auditor, Self::User, Self::Operator];

    /// The name that headers and tokens use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::User => "user",
            Self::Operator => "operator",
        }
    }

    /// The role of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who somebody proved to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The only source of a tenant id; an operator may come without.
    pub tenant_id: Option<TenantId>,
    /// The principal.
    pub user_id: String,
    /// The principal's name, for people.
    pub user_name: Option<String>,
    /// At least one.
    pub roles: Vec<Role>,
}

/// Longest user id or name, in characters, as in an entry.
const NAME_CHARS_MAX: usize = 256;

impl Identity {
    /// The proof of an identity's parts, wherever they came from.
    fn check(self) -> Result<Self, InvalidIdentity> {
        check_name("user id", &self.user_id)?;
        if let Some(name) = &self.user_name {
            check_name("user name", name)?;
        }
        if self.roles.is_empty() {
            return Err(InvalidIdentity(format!("role must be one of {}", role_names())));
        }
        if self.tenant_id.is_none() && self.roles != [Role::Operator] {
            return Err(InvalidIdentity("tenant id is missing".to_owned()));
        }
        Ok(self)
    }
}

fn check_name(what: &str, name: &str) -> Result<(), InvalidIdentity> {
    let chars = name.chars().count();
    if chars == 0 || chars > NAME_CHARS_MAX {
        let problem = format!("{what} must have 1 to {NAME_CHARS_MAX} characters");
        return Err(InvalidIdentity(problem));
    }
    if name.chars().any(char::is_control) {
        return Err(InvalidIdentity(format!("{what} must not hold control characters")));
    }
    Ok(())
}

/// The roles' names, for messages.
pub fn role_names() -> String {
    Role::ALL.map(Role::as_str).join(", ")
}

/// No proof of identity, or a wrong one: 401. The text says what to send.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unproved(pub &'static str);

/// Proved, but does not say who: 400. The text says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidIdentity(pub String);

/// How this instance tells who is calling.
#[derive(Debug)]
pub enum Authenticator {
    /// Headers of a gateway that knows a secret.
    Gateway(GatewaySecrets),
    /// A signed token.
    Jwt(JwtVerifier),
    /// Everybody is admin and operator of this tenant.
    Dev(TenantId),
}

/// That a caller is known, and where to read who it is.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The gateway vouches for the identity headers.
    Gateway,
    /// The token's claims (checked: signature, times, issuer, audience).
    Token(Box<jwt::Claims>),
    /// Nobody else can reach us.
    Dev(TenantId),
    /// A ticket that was made for somebody who had proved it, spent just now.
    Ticket(Box<Ticket>),
}

impl Authenticator {
    /// Looks at the proof alone.
    pub async fn prove(&self, headers: &HeaderMap) -> Result<Proof, Unproved> {
        match self {
            Self::Gateway(secrets) => secrets.prove(headers),
            Self::Jwt(verifier) => {
                verifier.verify(headers).await.map(|claims| Proof::Token(Box::new(claims)))
            }
            Self::Dev(tenant_id) => Ok(Proof::Dev(*tenant_id)),
        }
    }

    /// The value of `WWW-Authenticate` on a 401.
    pub fn challenge(&self) -> &'static str {
        match self {
            Self::Gateway(_) => "Gateway",
            Self::Jwt(_) | Self::Dev(_) => "Bearer",
        }
    }
}

impl Proof {
    /// Who it is.
    pub fn identity(&self, headers: &HeaderMap) -> Result<Identity, InvalidIdentity> {
        match self {
            Self::Gateway => gateway::identity(headers)?.check(),
            Self::Token(claims) => claims.identity()?.check(),
            Self::Ticket(ticket) => ticket::identity(ticket).check(),
            Self::Dev(tenant_id) => Ok(Identity {
                tenant_id: Some(*tenant_id),
                user_id: "dev".to_owned(),
                user_name: Some("Developer".to_owned()),
                roles: vec![Role::Admin, Role::Operator],
            }),
        }
    }

    /// How long a connection may last on it; a gateway's word is good for `max_age`.
    pub fn lasts(&self, max_age: Duration) -> Option<Duration> {
        match self {
            Self::Gateway => Some(max_age),
            Self::Token(claims) => Some(claims.lasts(SystemTime::now())),
            Self::Ticket(ticket) => ticket.proof_ends_at.map(|ends_at| {
                let ms = ends_at.as_millis() - Timestamp::now().as_millis();
                Duration::from_millis(u64::try_from(ms).unwrap_or_default())
            }),
            Self::Dev(_) => None,
        }
    }

    /// Whether `X-Forwarded-For` was written by somebody we trust.
    pub fn trusts_forwarded_for(&self) -> bool {
        matches!(self, Self::Gateway)
    }
}
