//! `/logs/cleanup`: what was recorded before a day expires, in two steps.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::{Action, JsonText, NewEntry, ProblemCode, Timestamp};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, unknown_tenant};
use crate::identity::caller::{Caller, TenantAdmin};
use crate::own;
use crate::query::{Parameters, invalid};
use crate::routes::tenants::refused;
use crate::store::expiry::{self, Cleanup, ExpireError, Range};
use crate::writer::AppendError;

/// What a dry run is called in the log.
const CLEANUP_REQUESTED: Action = Action::from_static("cleanup.requested");

/// Random bytes of a token.
const TOKEN_LEN: usize = 32;

/// How often a cleanup is begun anew because somebody else moved the floor.
const TRIES_MAX: usize = 4;

/// What would expire, and what makes it so.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DryRun {
    #[serde(flatten)]
    range: Range,
    /// Sent as `confirm`, it makes it so: once, within 10 minutes.
    confirm: String,
}

/// `DELETE /api/v1/logs/cleanup`: a dry run says what would go and gives a token, with which it goes.
pub async fn clean_up(
    State(app): State<App>,
    caller: TenantAdmin,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    parameters.allow(&["older_than", "dry_run", "confirm"])?;
    let older_than = older_than(&parameters)?;
    let (is_dry, confirm) = (parameters.flag("dry_run")?, parameters.one("confirm")?);
    if is_dry && confirm.is_some() {
        return Err(invalid("confirm", "it is for the cleanup itself: leave dry_run out"));
    }
    let range = expirable(&app, &caller, older_than).await?;
    match confirm {
        _ if is_dry => Ok(Json(dry_run(&app, &caller, range).await?).into_response()),
        Some(token) => execute(&app, &caller, range, token).await,
        None => Err(ApiError::new(
            ProblemCode::ConfirmRequired,
            "see what would go with dry_run=true first, then send its `confirm`",
        )),
    }
}

fn older_than(parameters: &Parameters) -> Result<Timestamp, ApiError> {
    let text = parameters.one("older_than")?;
    let text = text.ok_or_else(|| invalid("older_than", "it is missing: give a time"))?;
    Timestamp::parse(text).map_err(|error| invalid("older_than", &error.to_string()))
}

/// What there is to expire, unless a hold keeps it.
async fn expirable(app: &App, caller: &Caller, older_than: Timestamp) -> Result<Range, ApiError> {
    let (worker, now) = (&app.store.worker, Timestamp::now());
    let days_min = app.retention.days_min;
    let found = expiry::expirable(worker, caller.tenant_id(), now, older_than, days_min).await?;
    let found = found.ok_or_else(unknown_tenant)?;
    if found.held { Err(held()) } else { Ok(found.range) }
}

/// The request is in the log before anybody gets a token.
async fn dry_run(app: &App, caller: &Caller, range: Range) -> Result<DryRun, ApiError> {
    let mut entry = NewEntry::own(&caller.defaults, CLEANUP_REQUESTED);
    entry.metadata = Some(JsonText::of(&range).map_err(ApiError::internal)?);
    own::record(app, caller.tenant_id(), entry).await?;
    let token: [u8; TOKEN_LEN] = rand::random();
    let digest = Sha256::digest(token).into();
    let user_id = caller.defaults.user_id.as_str();
    expiry::announce(&app.store.worker, caller.tenant_id(), &digest, &range, user_id).await?;
    Ok(DryRun { range, confirm: BASE64_URL_SAFE_NO_PAD.encode(token) })
}

async fn execute(
    app: &App,
    caller: &Caller,
    range: Range,
    token: &str,
) -> Result<Response, ApiError> {
    let token = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| mismatch())?;
    let cleanup = Cleanup {
        older_than: range.older_than,
        token: Sha256::digest(token).into(),
        by: &caller.defaults,
    };
    let (worker, days_min) = (&app.store.worker, app.retention.days_min);
    for _ in 0..TRIES_MAX {
        let now = Timestamp::now();
        match expiry::clean_up(worker, caller.tenant_id(), now, days_min, &cleanup).await {
            Ok(Some(certificate)) => return Ok(Json(certificate).into_response()),
            Ok(None) => return Ok(Json(range).into_response()),
            Err(ExpireError::Held) => return Err(held()),
            Err(ExpireError::Mismatch) => return Err(mismatch()),
            Err(ExpireError::Raced) => {}
            Err(ExpireError::Failed(error)) => return Err(refused(&error)),
        }
    }
    Err(AppendError::LogBusy.into())
}

fn held() -> ApiError {
    ApiError::new(
        ProblemCode::LegalHold,
        "a legal hold keeps this log whole: nothing expires until it is lifted",
    )
}

fn mismatch() -> ApiError {
    ApiError::new(
        ProblemCode::ConfirmMismatch,
        "this token is spent, older than 10 minutes, or of another range: make a new dry run",
    )
}
