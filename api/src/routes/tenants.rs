//! `/tenants`: for the operator, and for an admin what concerns its own.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use domain::{Action, CallerDefaults, JsonText, NewEntry, ProblemCode, TenantId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::BASE;
use crate::app::App;
use crate::body::{Admitted, OperatorBody, TenantChange};
use crate::error::{ApiError, unknown_tenant};
use crate::identity::caller::{Operator, TenantAdmin};
use crate::query::Parameters;
use crate::store::append::Outcome;
use crate::store::tenants::{self, Tenant};
use crate::tenant_patch::{Scope, TenantPatch};
use crate::tenants::default_settings;
use crate::writer::AppendError;
use crate::writer::fault::Fault;

/// Tenants on a page.
pub(crate) const PAGE_MAX: u32 = 1_000;

/// What a change of a tenant is called in its log.
const TENANT_UPDATED: Action = Action::from_static("tenant.updated");

/// How often a change is made anew because somebody else changed the tenant meanwhile.
const TRIES_MAX: usize = 8;

/// Some tenants, in the order of their ids.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenants)]
pub struct Page {
    /// The tenants.
    pub data: Vec<Tenant>,
    /// Where to go on; `null` at the end.
    pub next_cursor: Option<String>,
}

/// `GET /api/v1/tenants`: every tenant, by id.
pub async fn list(
    State(app): State<App>,
    _operator: Operator,
    parameters: Parameters,
) -> Result<Json<Page>, ApiError> {
    parameters.allow(&["limit", "cursor"])?;
    let limit = parameters.limit("limit", 100, PAGE_MAX)?;
    let after = parameters.one("cursor")?.map(read_cursor).transpose()?;
    let mut data = tenants::read_after(&app.store.worker, after, i64::from(limit) + 1).await?;
    let more = data.len() > limit as usize;
    data.truncate(limit as usize);
    let next_cursor = data
        .last()
        .filter(|_| more)
        .map(|last| BASE64_URL_SAFE_NO_PAD.encode(last.id.as_uuid().as_bytes()));
    Ok(Json(Page { data, next_cursor }))
}

fn read_cursor(text: &str) -> Result<TenantId, ApiError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok()).map(TenantId::new);
    id.ok_or_else(|| {
        let detail = "this is not a cursor of this list: take next_cursor as it came";
        ApiError::new(ProblemCode::InvalidCursor, detail)
    })
}

/// `POST /api/v1/tenants`: makes a tenant with an empty log, once whoever races.
pub async fn create(
    State(app): State<App>,
    operator: Operator,
    parameters: Parameters,
    body: OperatorBody,
) -> Result<Response, ApiError> {
    parameters.allow(&[])?;
    let (id, patch) = TenantPatch::read_new(&body.0)?;
    let tenant_id = id.unwrap_or_else(|| TenantId::new(Uuid::now_v7()));
    let mut settings = default_settings(String::new(), app.retention.days_min);
    let by = operator.defaults.recorded_by.as_str();
    patch.apply(&mut settings, app.retention, by)?;
    // It has no entries that were promised to be kept for longer.
    settings.retention_kept = None;
    let creating = tenants::create(&app.store.worker, tenant_id, &settings).await;
    if !creating.map_err(|error| refused(&error))? {
        let detail = "there is a tenant with this id: change it with PATCH, or take another id";
        return Err(ApiError::new(ProblemCode::TenantExists, detail));
    }
    let location = format!("{BASE}/tenants/{tenant_id}");
    let location = HeaderValue::from_str(&location).map_err(ApiError::internal)?;
    let tenant = get_any(&app, tenant_id).await?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(tenant)).into_response())
}

/// `GET /api/v1/tenants/{id}`: one tenant, for the operator.
pub async fn get(
    State(app): State<App>,
    _operator: Operator,
    id: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Result<Json<Tenant>, ApiError> {
    parameters.allow(&[])?;
    Ok(Json(get_any(&app, parse_id(id)?).await?))
}

/// `PATCH /api/v1/tenants/{id}`: changes a tenant and records it in its log.
pub async fn change(
    State(app): State<App>,
    operator: Operator,
    id: Result<Path<String>, PathRejection>,
    parameters: Parameters,
    body: OperatorBody,
) -> Result<Json<Tenant>, ApiError> {
    parameters.allow(&[])?;
    let tenant_id = parse_id(id)?;
    apply(&app, tenant_id, &operator.defaults, &body.0, Scope::Operator).await.map(Json)
}

/// `GET /api/v1/tenants/self`: the caller's tenant.
pub async fn get_own(
    State(app): State<App>,
    caller: TenantAdmin,
    parameters: Parameters,
) -> Result<Json<Tenant>, ApiError> {
    parameters.allow(&[])?;
    let tenant_id = caller.tenant_id();
    let found =
        app.store.read(tenant_id, async |db| tenants::find_own(db, tenant_id).await).await?;
    found.map(Json).ok_or_else(unknown_tenant)
}

/// `PATCH /api/v1/tenants/self`: changes what an admin may, and records it.
pub async fn change_own(
    State(app): State<App>,
    caller: TenantAdmin,
    parameters: Parameters,
    body: Admitted<TenantChange>,
) -> Result<Json<Tenant>, ApiError> {
    parameters.allow(&[])?;
    apply(&app, caller.tenant_id(), &caller.defaults, &body.bytes, Scope::Admin).await.map(Json)
}

/// What is no id, or not even text, names no tenant.
fn parse_id(id: Result<Path<String>, PathRejection>) -> Result<TenantId, ApiError> {
    id.ok().and_then(|Path(id)| TenantId::parse(&id).ok()).ok_or_else(not_found)
}

fn not_found() -> ApiError {
    ApiError::new(ProblemCode::NotFound, "there is no such tenant")
}

async fn get_any(app: &App, tenant_id: TenantId) -> Result<Tenant, ApiError> {
    tenants::find(&app.store.worker, tenant_id).await?.ok_or_else(not_found)
}

/// Reads, changes and writes back under the version that was read, until nobody came between.
async fn apply(
    app: &App,
    tenant_id: TenantId,
    by: &CallerDefaults,
    body: &Bytes,
    scope: Scope,
) -> Result<Tenant, ApiError> {
    let patch = TenantPatch::read(body, scope)?;
    for _ in 0..TRIES_MAX {
        let tenant = get_any(app, tenant_id).await?;
        let mut settings = tenant.settings.clone();
        patch.apply(&mut settings, app.retention, by.recorded_by.as_str())?;
        if settings == tenant.settings {
            return Ok(tenant);
        }
        let mut entry = NewEntry::own(by, TENANT_UPDATED);
        entry.before = Some(JsonText::of(&tenant.settings).map_err(ApiError::internal)?);
        entry.after = Some(JsonText::of(&settings).map_err(ApiError::internal)?);
        let now = Timestamp::now();
        let worker = &app.store.worker;
        let changing = tenants::change(worker, tenant_id, now, tenant.version, &settings, &entry);
        match changing.await.map_err(|error| refused(&error))? {
            Ok(()) => {
                app.tenants.forget(tenant_id).await;
                return get_any(app, tenant_id).await;
            }
            Err(Outcome::SettingsChanged) => {}
            Err(Outcome::ClockBehindHead) => return Err(AppendError::ClockSkew.into()),
            Err(_) => return Err(not_found()),
        }
    }
    Err(AppendError::SettingsChanged.into())
}

/// A change goes into the log like everything else, and fails for the same reasons.
pub fn refused(error: &sqlx::Error) -> ApiError {
    let fault = Fault::of(error);
    fault.log(error);
    fault.answer().into()
}
