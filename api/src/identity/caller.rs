//! Extractors that *are* the authorisation: a handler that takes a [`Writer`] cannot be reached
//! by anybody who may not write, and gets its tenant from nowhere else.

use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use domain::{CallerDefaults, Ident, ProblemCode, TenantId, UserAgent};

use super::{Identity, Proof, Role, role_names};
use crate::app::App;
use crate::error::{ApiError, unknown_tenant};
use crate::rates::{Allowance, Class};
use crate::request_log::Facts;
use crate::routes::BASE;
use crate::tenants::KnownTenant;

/// Which roles a kind of caller may have.
pub trait Right: Send + Sync + 'static {
    /// Any of these will do.
    const ROLES: &'static [Role];
    /// Whether a suspended tenant is refused.
    const WRITES: bool;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $caller:ident, $right:ident, writes: $writes:literal, $($role:ident)+;)+) => {$(
        #[doc = "See the kind of caller of the same right."]
        #[derive(Debug)]
        pub struct $right;
        impl Right for $right {
            const ROLES: &'static [Role] = &[$(Role::$role),+];
            const WRITES: bool = $writes;
        }
        $(#[$doc])*
        pub type $caller = Allowed<$right>;
    )+};
}

rights! {
    /// May record entries.
    Writer, MayWrite, writes: true, Admin User;
    /// May read the log.
    Reader, MayRead, writes: false, Admin Auditor User;
    /// May count and export the log, and see what has expired.
    LogAuditor, MayAudit, writes: false, Admin Auditor;
    /// May decide about its own tenant.
    TenantAdmin, MayAdminister, writes: false, Admin;
}

/// A caller of a tenant, with one of the roles that the route asks for.
#[derive(Debug)]
pub struct Allowed<R: Right> {
    caller: Caller,
    right: PhantomData<R>,
}

impl<R: Right> Deref for Allowed<R> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// Somebody of a tenant.
#[derive(Debug)]
pub struct Caller {
    /// Whose log; the only source of a tenant id.
    pub tenant: Arc<KnownTenant>,
    /// What an entry says where it says nothing itself.
    pub defaults: CallerDefaults,
    /// How much more of this the tenant may do, where that is limited.
    pub allowance: Option<Allowance>,
}

impl Caller {
    /// Whose log.
    pub fn tenant_id(&self) -> TenantId {
        self.tenant.id
    }
}

impl<R: Right> FromRequestParts<App> for Allowed<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let identity = identity(parts)?;
        // An operator reads and writes no entries, with or without a tenant.
        let Some(tenant_id) = identity.tenant_id.filter(|_| identity.roles != [Role::Operator])
        else {
            return Err(forbidden(&identity, R::ROLES));
        };
        let found = app.tenants.find(tenant_id).await?;
        let mut tenant = found.ok_or_else(unknown_tenant)?;
        if !identity.roles.iter().any(|role| R::ROLES.contains(role)) {
            return Err(forbidden(&identity, R::ROLES));
        }
        if R::WRITES && tenant.suspended {
            tenant = app.tenants.find_anew(tenant_id).await?.ok_or_else(unknown_tenant)?;
            tenant.refuse_if_suspended()?;
        }
        if let Some(facts) = parts.extensions.get::<Facts>() {
            facts.set_tenant(tenant_id);
        }
        let allowance = allowance(app, &tenant, parts).await?;
        parts.extensions.insert(tenant_id);
        let defaults = defaults(&identity, parts)?;
        Ok(Self { caller: Caller { tenant, defaults, allowance }, right: PhantomData })
    }
}

/// Takes a token of the tenant's, where requests like this one are limited.
async fn allowance(
    app: &App,
    tenant: &KnownTenant,
    parts: &Parts,
) -> Result<Option<Allowance>, ApiError> {
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let class = Class::of(&parts.method, route.strip_prefix(BASE).unwrap_or(route));
    let Some(allowance) = app.rates.allowance(tenant.id, &tenant.limits, class).await else {
        return Ok(None);
    };
    if let Some(facts) = parts.extensions.get::<Facts>() {
        facts.set_allowance(allowance.clone());
    }
    allowance.take()?;
    Ok(Some(allowance))
}

/// Somebody who runs the instance; of no tenant.
#[derive(Debug)]
pub struct Operator {
    /// What an entry about their doing says.
    pub defaults: CallerDefaults,
}

impl FromRequestParts<App> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, ApiError> {
        let identity = identity(parts)?;
        if !identity.roles.contains(&Role::Operator) {
            return Err(forbidden(&identity, &[Role::Operator]));
        }
        Ok(Self { defaults: defaults(&identity, parts)? })
    }
}

fn identity(parts: &Parts) -> Result<Identity, ApiError> {
    let (facts, route) = (parts.extensions.get::<Facts>(), parts.extensions.get::<MatchedPath>());
    if let (Some(facts), Some(route)) = (facts, route) {
        facts.set_route(route.clone());
    }
    // The proof is put there before any route of the base is reached.
    let proof = parts.extensions.get::<Proof>();
    let proof = proof
        .ok_or_else(|| ApiError::internal("a route that nobody had to prove themselves for"))?;
    Ok(proof.identity(&parts.headers)?)
}

fn forbidden(identity: &Identity, roles: &[Role]) -> ApiError {
    debug_assert!(!roles.is_empty(), "every right has a role; all are {}", role_names());
    let needed: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    let held: Vec<_> = identity.roles.iter().map(|role| role.as_str()).collect();
    ApiError::new(
        ProblemCode::ForbiddenRole,
        format!("this needs the role {}; yours is {}", needed.join(" or "), held.join(", ")),
    )
}

fn defaults(identity: &Identity, parts: &Parts) -> Result<CallerDefaults, ApiError> {
    let user_id = Ident::parse(identity.user_id.as_str()).map_err(ApiError::internal)?;
    let user_name = identity.user_name.as_deref().map(Ident::parse).transpose();
    let request_id = parts.extensions.get::<Facts>().and_then(Facts::given_request_id);
    let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    Ok(CallerDefaults {
        recorded_by: user_id.clone(),
        user_id,
        user_name: user_name.map_err(ApiError::internal)?,
        request_id: request_id.and_then(|id| Ident::parse(id).ok()),
        ip_address: address(parts),
        user_agent: user_agent.and_then(|text| UserAgent::parse(text).ok()),
    })
}

/// Where the request came from: as the gateway says, else the peer.
fn address(parts: &Parts) -> Option<IpAddr> {
    let trusted = parts.extensions.get::<Proof>().is_some_and(Proof::trusts_forwarded_for);
    if trusted && let Some(last) = last_forwarded(&parts.headers) {
        return parse_forwarded(last);
    }
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical())
}

/// The last address was written by the gateway itself; those before by anybody. Empty members of a
/// list do not count.
fn last_forwarded(headers: &HeaderMap) -> Option<&str> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    let mut members = last.to_str().ok()?.rsplit(',').map(str::trim);
    members.find(|member| !member.is_empty())
}

fn parse_forwarded(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok();
    address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}
