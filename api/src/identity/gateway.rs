//! Identity headers of an API gateway, believed only beside its secret.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use domain::TenantId;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::{Identity, InvalidIdentity, Proof, Role, Unproved, role_names};

const SECRET: HeaderName = HeaderName::from_static("x-gateway-secret");
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const USER_NAME: HeaderName = HeaderName::from_static("x-user-name");
const TENANT_ID: HeaderName = HeaderName::from_static("x-tenant-id");
const USER_ROLE: HeaderName = HeaderName::from_static("x-user-role");

/// The secrets that prove a gateway: one, or two while rotating.
///
/// Kept as digests, so that a comparison takes the same time whatever the length.
#[derive(Debug)]
pub struct GatewaySecrets(Vec<[u8; 32]>);

impl GatewaySecrets {
    /// Digests the secrets.
    pub fn new(secrets: &[SecretString]) -> Self {
        Self(secrets.iter().map(|secret| digest(secret.expose_secret().as_bytes())).collect())
    }

    /// Exactly one secret header, equal to one of ours.
    pub(super) fn prove(&self, headers: &HeaderMap) -> Result<Proof, Unproved> {
        let mut values = headers.get_all(SECRET).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Unproved(
                "this service is reached through its API gateway, which must \
                                 send X-Gateway-Secret, once",
            ));
        };
        let sent = digest(value.as_bytes());
        let known =
            self.0.iter().fold(Choice::from(0), |known, secret| known | secret.ct_eq(&sent));
        if !bool::from(known) {
            return Err(Unproved("X-Gateway-Secret is not one of those configured here"));
        }
        Ok(Proof::Gateway)
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Reads the identity headers; what they say is checked by the caller.
pub(super) fn identity(headers: &HeaderMap) -> Result<Identity, InvalidIdentity> {
    let role = required(headers, &USER_ROLE)?;
    let role = Role::parse(role)
        .ok_or_else(|| InvalidIdentity(format!("{USER_ROLE} must be one of {}", role_names())))?;
    let tenant_id = match (optional(headers, &TENANT_ID)?, role) {
        (Some(text), _) => Some(
            TenantId::parse(text)
                .map_err(|_| InvalidIdentity(format!("{TENANT_ID} must be a UUID")))?,
        ),
        (None, Role::Operator) => None,
        (None, _) => return Err(InvalidIdentity(format!("header {TENANT_ID} is missing"))),
    };
    Ok(Identity {
        tenant_id,
        user_id: required(headers, &USER_ID)?.to_owned(),
        user_name: optional(headers, &USER_NAME)?.map(str::to_owned),
        roles: vec![role],
    })
}

fn required<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, InvalidIdentity> {
    optional(headers, name)?.ok_or_else(|| InvalidIdentity(format!("header {name} is missing")))
}

/// The header's text; one that comes twice is refused, because the two ends of a chain of
/// proxies may not agree on which of them counts.
fn optional<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, InvalidIdentity> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(InvalidIdentity(format!("header {name} came more than once")));
    }
    first
        .map(HeaderValue::as_bytes)
        .map(std::str::from_utf8)
        .transpose()
        .map_err(|_| InvalidIdentity(format!("header {name} is not UTF-8")))
}
