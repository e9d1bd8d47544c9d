//! Bearer tokens: JSON Web Tokens, signed by a key of the configured key set.
//!
//! The key decides the algorithm, never the token. Tokens and keys are never logged.

mod keys;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use domain::TenantId;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};

use self::keys::{Key, KeySet, Keyring, Source};
use super::{Identity, InvalidIdentity, Role, Unproved};
use crate::config::JwtArgs;

pub(crate) use self::keys::is_url;

/// The claim that holds the user's name.
pub(crate) const NAME_CLAIM: &str = "name";

/// Longest token, far above those that identity providers make.
const TOKEN_BYTES_MAX: usize = 8 * 1_024;

/// As long as a token is taken to last.
const LASTS_S_MAX: f64 = 365.0 * 24.0 * 3_600.0;

/// One for each type of key.
const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256];

const NO_TOKEN: Unproved = Unproved("send one header Authorization: Bearer <token>");
const TOO_LONG: Unproved = Unproved("the token is longer than 8 KiB");
const MALFORMED: Unproved =
    Unproved("the token is malformed: send a JWT, signed with RS256, ES256, EdDSA or HS256");
const WRONG_ALGORITHM: Unproved = Unproved(
    "the token's alg is not accepted: it must be RS256, ES256, EdDSA or HS256, whichever fits its \
     key",
);
const CRITICAL: Unproved = Unproved("the token has a crit header: send one without");
const UNKNOWN_KEY: Unproved =
    Unproved("the token's key (kid) is unknown here: get a new token from the right issuer");
const UNCLEAR_KEY: Unproved =
    Unproved("several keys fit the token: it must name the one that signed it (kid)");
const KEYS_NOT_LOADED: Unproved =
    Unproved("the keys of the token's issuer could not be loaded yet: try again in a minute");
const BAD_SIGNATURE: Unproved = Unproved("the token's signature is wrong: get a new token");
const EXPIRED: Unproved = Unproved("the token has expired: get a new one");
const NO_EXPIRY: Unproved = Unproved("the token never expires: it must have an exp claim");
const NOT_YET_VALID: Unproved =
    Unproved("the token is not yet valid: wait, or set the clock of who issued it");
const WRONG_ISSUER: Unproved =
    Unproved("the token is from another issuer (iss) than this service trusts");
const WRONG_AUDIENCE: Unproved =
    Unproved("the token is for another audience (aud): get one for us");

/// Tells who sent a token.
#[derive(Debug)]
pub struct JwtVerifier {
    keyring: Arc<Keyring>,
    rules: Box<Rules>,
}

impl JwtVerifier {
    /// Loads the keys. A file must be readable now; a URL may be down, and is asked again later.
    pub async fn new(args: &JwtArgs) -> anyhow::Result<Self> {
        let rules = Box::new(Rules::new(args)?);
        let source = args.jwt_jwks.as_deref().filter(|source| !source.is_empty()).context(
            "AUDIT_AUTH=jwt needs AUDIT_JWT_JWKS, the key set of your tokens: a file or https URL",
        )?;
        if is_url(source) && args.jwt_audience.is_none() {
            tracing::warn!(
                "AUDIT_JWT_AUDIENCE is not set: tokens for other services work here, too"
            );
        }
        let keyring = Keyring::open(Source::parse(source)?).await?;
        Ok(Self { keyring: Arc::new(keyring), rules })
    }

    /// The claims of the one bearer token.
    pub async fn verify(&self, headers: &HeaderMap) -> Result<Claims, Unproved> {
        self.verify_at(headers, Instant::now()).await
    }

    /// `now` is the age of keys alone; claims are held against the wall clock.
    async fn verify_at(&self, headers: &HeaderMap, now: Instant) -> Result<Claims, Unproved> {
        let token = bearer(headers)?;
        let header = header(token)?;
        let key = self.keyring.find(header.kid.as_deref(), header.alg, now).await?;
        self.rules.read(token, &key)
    }
}

/// What the service would make of a token, given the content of a local key set.
pub(crate) fn verify_local(args: &JwtArgs, jwks: &[u8], token: &str) -> anyhow::Result<Claims> {
    let header = header(token)?;
    let keys = KeySet::parse(jwks, true, Instant::now())?.require_key()?;
    let key = keys.find(header.kid.as_deref(), header.alg)?;
    Ok(Rules::new(args)?.read(token, &key)?)
}

/// The token of the only `Authorization` header.
fn bearer(headers: &HeaderMap) -> Result<&str, Unproved> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(NO_TOKEN) };
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(NO_TOKEN)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(NO_TOKEN);
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TOO_LONG);
    }
    Ok(token.trim_start_matches(' '))
}

/// What a token says of its own signature: good for finding a key, and to be believed in nothing.
fn header(token: &str) -> Result<Header, Unproved> {
    let header = decode_header(token).map_err(|_| MALFORMED)?;
    if header.crit.is_some() {
        return Err(CRITICAL);
    }
    if !ALGORITHMS.contains(&header.alg) {
        return Err(WRONG_ALGORITHM);
    }
    Ok(header)
}

/// What a token must say beside its signature, and where it says who sent it.
#[derive(Debug)]
struct Rules {
    validation: Validation,
    names: Arc<ClaimNames>,
}

#[derive(Debug)]
struct ClaimNames {
    tenant: String,
    user: String,
    role: String,
}

impl Rules {
    fn new(args: &JwtArgs) -> anyhow::Result<Self> {
        let mut validation = Validation {
            leeway: args.jwt_leeway_s,
            validate_nbf: true,
            validate_aud: args.jwt_audience.is_some(),
            ..Validation::default()
        };
        if let Some(issuer) = &args.jwt_issuer {
            ensure!(!issuer.is_empty(), "AUDIT_JWT_ISSUER is empty: set it, or unset it");
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        if let Some(audience) = &args.jwt_audience {
            ensure!(!audience.is_empty(), "AUDIT_JWT_AUDIENCE is empty: set it, or unset it");
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        let names = ClaimNames {
            tenant: args.jwt_claim_tenant.clone(),
            user: args.jwt_claim_user.clone(),
            role: args.jwt_claim_role.clone(),
        };
        Ok(Self { validation, names: Arc::new(names) })
    }

    /// Checks the signature, then what it signs.
    fn read(&self, token: &str, key: &Key) -> Result<Claims, Unproved> {
        let validation = Validation { algorithms: vec![key.algorithm], ..self.validation.clone() };
        let claims: Map<String, Value> =
            decode(token, &key.verifying, &validation).map_err(|error| refusal(&error))?.claims;
        let leeway = Duration::from_secs(validation.leeway);
        if let Some(issued_at) = claims.get("iat") {
            let issued_at_s = issued_at.as_f64().ok_or(MALFORMED)?;
            if issued_at_s > unix_seconds(SystemTime::now() + leeway) {
                return Err(NOT_YET_VALID);
            }
        }
        let expires_at_s = claims.get("exp").and_then(Value::as_f64).ok_or(NO_EXPIRY)?;
        let good_until_s = expires_at_s + leeway.as_secs_f64();
        // The crate counts whole seconds, and takes a token for the whole of its last one.
        if good_until_s <= unix_seconds(SystemTime::now()) {
            return Err(EXPIRED);
        }
        let claim = |name: &str| claims.get(name).cloned().unwrap_or_default();
        Ok(Claims {
            tenant: claim(&self.names.tenant),
            user: claim(&self.names.user),
            role: claim(&self.names.role),
            name: claim(NAME_CLAIM),
            good_until_s,
            names: Arc::clone(&self.names),
        })
    }
}

fn refusal(error: &Error) -> Unproved {
    match error.kind() {
        ErrorKind::InvalidSignature => BAD_SIGNATURE,
        ErrorKind::ExpiredSignature => EXPIRED,
        ErrorKind::ImmatureSignature => NOT_YET_VALID,
        ErrorKind::InvalidIssuer => WRONG_ISSUER,
        ErrorKind::InvalidAudience => WRONG_AUDIENCE,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "exp" => NO_EXPIRY,
            "iss" => WRONG_ISSUER,
            "aud" => WRONG_AUDIENCE,
            _ => MALFORMED,
        },
        _ => MALFORMED,
    }
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// What a verified token says, as it says it; `null` where it says nothing.
#[derive(Debug, Clone)]
pub struct Claims {
    tenant: Value,
    user: Value,
    role: Value,
    name: Value,
    good_until_s: f64,
    names: Arc<ClaimNames>,
}

impl Claims {
    /// How long the token is still good; at most a year, since clocks end somewhere.
    pub fn lasts(&self, now: SystemTime) -> Duration {
        let seconds = self.good_until_s - unix_seconds(now);
        Duration::from_secs_f64(seconds.clamp(0.0, LASTS_S_MAX))
    }

    /// Who it is; what it says is checked by the caller.
    pub(super) fn identity(&self) -> Result<Identity, InvalidIdentity> {
        Ok(Identity {
            tenant_id: self.tenant_id()?,
            user_id: self.user_id()?,
            user_name: self.name.as_str().filter(|name| !name.is_empty()).map(str::to_owned),
            roles: self.roles()?,
        })
    }

    fn tenant_id(&self) -> Result<Option<TenantId>, InvalidIdentity> {
        if self.tenant.is_null() {
            return Ok(None);
        }
        let tenant_id = self.tenant.as_str().and_then(|text| TenantId::parse(text).ok());
        tenant_id.map(Some).ok_or_else(|| must_be(&self.names.tenant, "a UUID"))
    }

    fn user_id(&self) -> Result<String, InvalidIdentity> {
        self.user.as_str().map(str::to_owned).ok_or_else(|| must_be(&self.names.user, "a string"))
    }

    /// The roles that are ours; a provider may list others.
    fn roles(&self) -> Result<Vec<Role>, InvalidIdentity> {
        let named = match &self.role {
            Value::Null => Some(Vec::new()),
            Value::String(name) => Some(vec![name.as_str()]),
            Value::Array(names) => names.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let named =
            named.ok_or_else(|| must_be(&self.names.role, "a string or a list of strings"))?;
        Ok(Role::ALL.into_iter().filter(|role| named.contains(&role.as_str())).collect())
    }
}

fn must_be(claim: &str, what: &str) -> InvalidIdentity {
    InvalidIdentity(format!("the token's claim {claim} must be {what}"))
}
