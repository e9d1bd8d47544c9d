//! `/logs/bulk`: recording many entries at once.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use domain::{
    BatchRefusal, CheckContext, EntryDraft, EntryId, FieldCode, FieldProblem, Seq, TenantId,
    Unreadable,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Checked, append, ids, replayed};
use crate::app::App;
use crate::body::{Admitted, ManyEntries, Media};
use crate::error::ApiError;
use crate::idempotency::IdempotencyKey;
use crate::identity::caller::Writer;
use crate::query::Parameters;
use crate::request_log::Facts;
use crate::writer::Appended;

/// Problems told of one entry beside many others.
const PROBLEMS_EACH_MAX: usize = 8;

/// An item of a bulk body: a draft, or a line that is not readable.
type Item<'a> = Result<EntryDraft<'a>, Unreadable>;

/// What was written, and with `partial=true` what was not.
#[derive(Serialize, ToSchema)]
pub(crate) struct BulkAnswer {
    /// Entries that were written.
    accepted: usize,
    /// The number of the first.
    #[schema(value_type = i64)]
    first_seq: Seq,
    /// The number of the last.
    #[schema(value_type = i64)]
    last_seq: Seq,
    /// The ids of those written, in their order.
    #[schema(value_type = Vec<uuid::Uuid>)]
    ids: Vec<EntryId>,
    /// What was wrong with the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    errors: Option<Box<RawValue>>,
}

/// `POST /api/v1/logs/bulk`: records all entries or none; with `partial=true` the good ones.
pub async fn record(
    State(app): State<App>,
    caller: Writer,
    Extension(facts): Extension<Facts>,
    key: IdempotencyKey,
    parameters: Parameters,
    body: Admitted<ManyEntries>,
) -> Result<Response, ApiError> {
    parameters.allow(&["partial"])?;
    let partial = parameters.flag("partial")?;
    let (items, key) = body.work(|| {
        // The key first: what is wrong with it is a 400, and of the body there may be a 422.
        let key = key.of(caller.defaults.recorded_by.as_str(), &body.bytes)?;
        Ok::<_, ApiError>((read(body.media, body.text()?)?, key))
    })?;
    if let Some(allowance) = &caller.allowance {
        // The first was taken before it was known how many there are.
        allowance.owe(items.len().saturating_sub(1));
    }
    let appended = append(&app, &caller, &body.permit, key.as_ref(), |context| {
        body.work(|| check(&items, context, partial))
    })
    .await?;
    facts.set_entries(appended.count);
    answer(caller.tenant_id(), appended)
}

fn read(media: Media, text: &str) -> Result<Vec<Item<'_>>, BatchRefusal> {
    match media {
        Media::Json => Ok(domain::read_bulk_json(text)?.into_iter().map(Ok).collect()),
        Media::Ndjson => domain::read_ndjson(text),
    }
}

/// Checks every entry. Without `partial`, one that fails fails all.
fn check(
    items: &[Item<'_>],
    context: &CheckContext<'_>,
    partial: bool,
) -> Result<Checked, ApiError> {
    let mut entries = Vec::with_capacity(items.len());
    let mut refused = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let problems = match item {
            Ok(draft) => match draft.check(context) {
                Ok(entry) => {
                    entries.push(entry);
                    continue;
                }
                Err(problems) => problems,
            },
            Err(unreadable) if !partial => return Err(unreadable.clone().into()),
            Err(unreadable) => {
                vec![FieldProblem::new("", FieldCode::UnreadableJson, unreadable)]
            }
        };
        let told = problems.into_iter().take(PROBLEMS_EACH_MAX);
        refused.extend(told.map(|problem| problem.at_index(index)));
    }
    if entries.is_empty() || (!partial && !refused.is_empty()) {
        return Err(ApiError::invalid(refused));
    }
    Ok(Checked { entries, refused })
}

fn answer(tenant_id: TenantId, appended: Appended) -> Result<Response, ApiError> {
    let Appended { written, count, refused, entries } = appended;
    let ids = ids(tenant_id, written, count);
    let last_seq = Seq::new(written.first_seq.get() + count as i64 - 1);
    let errors = refused.map(RawValue::from_string).transpose().map_err(ApiError::internal)?;
    let status = if errors.is_some() { StatusCode::MULTI_STATUS } else { StatusCode::CREATED };
    let body = BulkAnswer {
        accepted: count,
        first_seq: written.first_seq,
        last_seq: last_seq.ok_or_else(|| ApiError::internal("a log without an end"))?,
        ids,
        errors,
    };
    let response = (status, Json(body)).into_response();
    Ok(if entries.is_none() { replayed(response) } else { response })
}
