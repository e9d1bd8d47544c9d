//! Cursors on their way in and out: bound to a tenant, and to a filter where a walk has one.

use domain::{
    Binding, Cursor, EntryId, Filter, InvalidCursor, Order, Place, ProblemCode, SearchCursor,
    Selection, TenantId,
};
use search::Sort;
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;
use crate::query::Parameters;
use crate::searching;
use crate::store::range::{From, Lost};
use crate::store::streaming::After;

/// Where a list begins: at its cursor, or at its end of the log.
pub fn read_list(
    parameters: &Parameters,
    tenant_id: TenantId,
    filter: &Filter,
    order: Order,
) -> Result<From, ApiError> {
    let Some(text) = parameters.one("cursor")? else {
        return Ok(From::start(order));
    };
    let cursor = read(text, tenant_id, filter.digest())?;
    if cursor.order != order {
        let detail = format!(
            "this cursor goes with order={}: use it so, or start without one",
            cursor.order.as_str()
        );
        return Err(ApiError::new(ProblemCode::InvalidCursor, detail));
    }
    Ok(From { order, after: cursor.place, until: cursor.until, whole: cursor.place.is_none() })
}

/// Where an export begins: a cursor that goes upwards, or the id of the last entry received.
pub fn read_export(
    parameters: &Parameters,
    tenant_id: TenantId,
    selection: &Selection,
) -> Result<From, ApiError> {
    let Some(text) = parameters.one("cursor")? else { return Ok(From::start(Order::Asc)) };
    let after = match EntryId::parse(text) {
        Ok(id) => Some(id.place_in(tenant_id).ok_or_else(|| {
            let detail = "this is not the id of an entry of this tenant's log";
            ApiError::new(ProblemCode::InvalidCursor, detail)
        })?),
        Err(_) => upward(read(text, tenant_id, selection.digest())?)?,
    };
    Ok(From { order: Order::Asc, after, until: None, whole: after.is_none() })
}

fn upward(cursor: Cursor) -> Result<Option<Place>, ApiError> {
    if cursor.order == Order::Asc {
        return Ok(cursor.place);
    }
    let detail = "an export goes upwards, this cursor does not: use one of a list with order=asc";
    Err(ApiError::new(ProblemCode::InvalidCursor, detail))
}

/// A cursor of this filter, or one that goes with any.
fn read(text: &str, tenant_id: TenantId, filter: [u8; 32]) -> Result<Cursor, ApiError> {
    Cursor::decode(text, &Binding::filtered(tenant_id, filter))
        .or_else(|_| Cursor::decode(text, &Binding::live(tenant_id)))
        .map_err(|error| ApiError::new(ProblemCode::InvalidCursor, error.to_string()))
}

/// Where a search goes on, if it does.
pub fn read_search(
    parameters: &Parameters,
    binding: &Binding,
    sort: Sort,
) -> Result<Option<SearchCursor>, ApiError> {
    let Some(text) = parameters.one("cursor")? else { return Ok(None) };
    let invalid =
        |error: InvalidCursor| ApiError::new(ProblemCode::InvalidCursor, error.to_string());
    let cursor = SearchCursor::decode(text, binding).map_err(invalid)?;
    searching::is_sound(&cursor, sort).then_some(Some(cursor)).ok_or_else(|| invalid(InvalidCursor))
}

/// What a cursor of a search is good for: all parameters but those that say how much is shown.
pub fn search_binding(tenant_id: TenantId, selection: &Selection, sort: Sort) -> Binding {
    let mut hash = Sha256::new();
    hash.update(b"search by ");
    hash.update(searching::sort_as_str(sort));
    hash.update(selection.digest());
    Binding::filtered(tenant_id, hash.finalize().into())
}

/// The cursor that goes on from a head as a stream, with any filter.
pub fn live(tenant_id: TenantId, head: Option<Place>) -> String {
    let cursor = Cursor { place: head, until: None, order: Order::Asc };
    cursor.encode(&Binding::live(tenant_id))
}

/// The place that a stream goes on from.
pub fn read_live(text: &str, tenant_id: TenantId) -> Result<After, ApiError> {
    let cursor = Cursor::decode(text, &Binding::live(tenant_id));
    let is_live = |cursor: &Cursor| cursor.order == Order::Asc && cursor.until.is_none();
    cursor
        .ok()
        .filter(is_live)
        .map(|cursor| cursor.place)
        .ok_or_else(|| ApiError::new(ProblemCode::InvalidCursor, LIVE_ALONE))
}

const LIVE_ALONE: &str = "a stream goes on from a `live_cursor` or a cursor of a stream of the \
     same tenant, unchanged: use one, or start without";

/// What comes next is below the floor; with the oldest cursor that is not.
pub fn expired(oldest: String) -> ApiError {
    let detail = "entries that come next have expired: go on from `oldest_cursor`, or start anew";
    ApiError::new(ProblemCode::CursorExpired, detail).with_oldest_cursor(oldest)
}

/// What to say of a place that cannot be gone on from.
pub fn lost(lost: Lost, binding: &Binding, order: Order) -> ApiError {
    match lost {
        Lost::Expired { oldest } => {
            let cursor = Cursor { place: Some(oldest), until: None, order };
            expired(cursor.encode(binding))
        }
        Lost::Overtaken => {
            let detail = "entries expired while they were read: try again";
            ApiError::new(ProblemCode::LogBusy, detail).retry_after(1)
        }
        Lost::HistoryChanged => ApiError::new(
            ProblemCode::HistoryChanged,
            "the database was restored to an earlier state, and what this cursor has seen is not \
             in the log any more: start without a cursor",
        ),
    }
}
