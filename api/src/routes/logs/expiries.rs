//! `/logs/expiries`: the certificates of what has expired.

use axum::Json;
use axum::extract::State;
use domain::{Binding, Cursor, Order, Place, ProblemCode, Selection, Seq, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::identity::caller::LogAuditor;
use crate::query::Parameters;
use crate::store::expiry::{self, Certificate};

/// Certificates on a page.
pub(crate) const PAGE_MAX: u32 = 1_000;

/// Stands where other lists have the digest of a filter: their cursors are none of this list.
const LIST: [u8; 32] = *b"certificates of expired entries.";

/// Some certificates, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Expiries)]
pub struct Page {
    /// The certificates.
    pub data: Vec<Certificate>,
    /// Where to go on; `null` at the end.
    pub next_cursor: Option<String>,
}

/// `GET /api/v1/logs/expiries`: which entries of the log expired, by which rule, when.
pub async fn list(
    State(app): State<App>,
    caller: LogAuditor,
    parameters: Parameters,
) -> Result<Json<Page>, ApiError> {
    parameters.allow(&["limit", "cursor"])?;
    let limit = parameters.limit("limit", 100, PAGE_MAX)?;
    let tenant_id = caller.tenant_id();
    let before = parameters.one("cursor")?.map(|text| read_cursor(text, tenant_id)).transpose()?;
    let mut data = app
        .store
        .read(tenant_id, async |db| {
            expiry::certificates_before(db, tenant_id, before, i64::from(limit) + 1).await
        })
        .await?;
    let more = data.len() > limit as usize;
    data.truncate(limit as usize);
    app.reads.note(&caller, "GET /logs/expiries", &Selection::default(), data.len());
    let next_cursor = data.last().filter(|_| more).map(|last| cursor_after(last, tenant_id));
    Ok(Json(Page { data, next_cursor }))
}

fn cursor_after(last: &Certificate, tenant_id: TenantId) -> String {
    let place = Seq::new(last.first_seq).map(|seq| Place { recorded_at: last.expired_at, seq });
    let cursor = Cursor { place, until: None, order: Order::Desc };
    cursor.encode(&Binding::filtered(tenant_id, LIST))
}

fn read_cursor(text: &str, tenant_id: TenantId) -> Result<i64, ApiError> {
    let cursor = Cursor::decode(text, &Binding::filtered(tenant_id, LIST)).ok();
    let place = cursor.and_then(|cursor| cursor.place);
    place.map(|place| place.seq.get()).ok_or_else(|| {
        let detail = "this is not a cursor of this list: take next_cursor as it came";
        ApiError::new(ProblemCode::InvalidCursor, detail)
    })
}
