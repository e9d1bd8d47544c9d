//! `/logs`: recording entries.

pub mod bulk;
pub mod cleanup;
pub mod entry;
pub mod expiries;
pub mod export;
pub mod list;
pub mod search;
pub mod stats;
pub mod stream;

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use domain::{
    CheckContext, Entry, EntryDraft, EntryId, FieldProblem, NewEntry, Place, Seq, TenantId,
    TenantTag, Timestamp,
};

use super::BASE;
use crate::admission::Permit;
use crate::app::App;
use crate::body::{Admitted, OneEntry};
use crate::error::{ApiError, unknown_tenant};
use crate::idempotency::{IDEMPOTENCY_REPLAYED, IdempotencyKey};
use crate::identity::caller::{Caller, Writer};
use crate::query::Parameters;
use crate::request_log::Facts;
use crate::store::append::Written;
use crate::store::entries;
use crate::tenants::KnownTenant;
use crate::writer::{AppendError, Appended, Key, Request};

/// How often entries are checked again because their tenant's settings changed meanwhile.
const CHECKS_MAX: usize = 4;

/// `POST /api/v1/logs`: records one entry; 201 means it is committed.
pub async fn record(
    State(app): State<App>,
    caller: Writer,
    Extension(facts): Extension<Facts>,
    key: IdempotencyKey,
    parameters: Parameters,
    body: Admitted<OneEntry>,
) -> Result<Response, ApiError> {
    parameters.allow(&[])?;
    let draft = EntryDraft::read(body.text()?)?;
    let key = key.of(caller.defaults.recorded_by.as_str(), &body.bytes)?;
    let appended = append(&app, &caller, &body.permit, key.as_ref(), |context| {
        let entry = draft.check(context).map_err(ApiError::invalid)?;
        Ok(Checked { entries: vec![entry], refused: Vec::new() })
    })
    .await?;
    facts.set_entries(1);
    let place = place_of(appended.written);
    if let Some(entry) = appended.entries.and_then(|entries| entries.into_iter().next()) {
        return Ok(created(&Entry::new(caller.tenant_id(), place, entry)));
    }
    let found = find(&app, caller.tenant_id(), place).await?;
    let entry = found.ok_or_else(|| ApiError::internal("a replayed entry is gone"))?;
    Ok(replayed(created(&entry)))
}

/// The entry at a place of the tenant's log, unless it has expired.
async fn find(app: &App, tenant_id: TenantId, place: Place) -> sqlx::Result<Option<Entry>> {
    app.store.read(tenant_id, async |db| entries::find(db, tenant_id, place).await).await
}

/// The answer to an entry that was written.
pub fn created(entry: &Entry) -> Response {
    let location = format!("{BASE}/logs/{}", entry.id());
    let location = HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static(BASE));
    (StatusCode::CREATED, [(LOCATION, location)], axum::Json(entry)).into_response()
}

/// Marks an answer as one that was given before.
fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}

fn place_of(written: Written) -> Place {
    Place { recorded_at: written.recorded_at, seq: written.first_seq }
}

/// Ids of entries that stand one after the other.
fn ids(tenant_id: TenantId, written: Written, entries: usize) -> Vec<EntryId> {
    let tag = TenantTag::of(tenant_id);
    let first = written.first_seq.get();
    let seqs = (first..).take(entries).filter_map(Seq::new);
    let place = |seq| Place { recorded_at: written.recorded_at, seq };
    seqs.map(|seq| EntryId::with_tag(place(seq), tag)).collect()
}

/// What passed the check, and what did not where that is allowed.
struct Checked {
    entries: Vec<NewEntry>,
    refused: Vec<FieldProblem>,
}

/// Checks under the tenant's settings and appends; again when they have changed in between.
async fn append(
    app: &App,
    caller: &Caller,
    permit: &Arc<Permit>,
    key: Option<&Key>,
    check: impl Fn(&CheckContext<'_>) -> Result<Checked, ApiError>,
) -> Result<Appended, ApiError> {
    let mut tenant = Arc::clone(&caller.tenant);
    for _ in 0..CHECKS_MAX {
        let appended = append_once(app, caller, &tenant, permit, key, &check).await?;
        let Some(appended) = appended else {
            tenant = app.tenants.find_anew(tenant.id).await?.ok_or_else(unknown_tenant)?;
            continue;
        };
        return Ok(appended);
    }
    Err(AppendError::SettingsChanged.into())
}

/// `None`: the tenant's settings are not those any more.
async fn append_once(
    app: &App,
    caller: &Caller,
    tenant: &KnownTenant,
    permit: &Arc<Permit>,
    key: Option<&Key>,
    check: impl Fn(&CheckContext<'_>) -> Result<Checked, ApiError>,
) -> Result<Option<Appended>, ApiError> {
    tenant.refuse_if_suspended()?;
    let context =
        CheckContext { now: Timestamp::now(), caller: &caller.defaults, masking: &tenant.masking };
    let checked = check(&context)?;
    let refused = (!checked.refused.is_empty()).then(|| serde_json::to_string(&checked.refused));
    let request = Request {
        tenant_id: tenant.id,
        settings_version: tenant.version,
        recorded_by: caller.defaults.recorded_by.as_str().to_owned(),
        key: key.cloned(),
        refused: refused.transpose().map_err(ApiError::internal)?,
        entries: checked.entries,
    };
    match app.writer.append(request, Arc::clone(permit)).await {
        Ok(appended) => Ok(Some(appended)),
        Err(AppendError::SettingsChanged) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
