//! `GET /logs/search`: entries found by words.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::ProblemCode;
use domain::{Binding, Filter, Highlight, LogOwner, Order, TenantId};
use search::{FacetField, Sort};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use utoipa::ToSchema;

use super::list::{self, LIMIT_DEFAULT, LIMIT_MAX};
use crate::app::App;
use crate::cursors;
use crate::error::ApiError;
use crate::identity::caller::Reader;
use crate::query::{Parameters, invalid};
use crate::request_log::Facts;
use crate::searching::{self, Page, Refusal, Source, Wanted};

/// The fields whose values can be counted.
pub(crate) const FACETS: [(&str, FacetField); 4] = [
    ("action", FacetField::Action),
    ("severity", FacetField::Severity),
    ("resource_type", FacetField::ResourceType),
    ("user_id", FacetField::UserId),
];

/// What stands behind the entries of a page.
#[derive(Serialize, ToSchema)]
pub(crate) struct Footer {
    /// Goes on; `null` at the end.
    next_cursor: Option<String>,
    /// The last number of the log as this walk sees it; 0 when it is empty.
    head_seq: i64,
    /// The first number that has not expired.
    floor_seq: i64,
    /// Goes on from the head as a stream, without gap or repeat.
    live_cursor: String,
    /// The number of the last entry that was looked at.
    scanned_to: Option<i64>,
    /// What answered: `opensearch` or `log`.
    source: &'static str,
    /// How much of the log the index holds.
    index: Index,
    /// How many entries match.
    total: Total,
    /// The most frequent values of the fields that were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    facets: Option<Facets>,
    /// By entry's id, where it has what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    highlights: Option<BTreeMap<String, Vec<Highlight>>>,
}

/// How much of the log the index holds.
#[derive(Serialize, ToSchema)]
pub(crate) struct Index {
    /// Entries from the floor to the head.
    expected: Option<u64>,
    /// Of these, in the index.
    indexed: Option<u64>,
    /// Whether both are the same; all are `null` without an index, or its answer in time.
    complete: Option<bool>,
}

/// How many entries match.
#[derive(Serialize, ToSchema)]
pub(crate) struct Total {
    /// At least so many.
    value: u64,
    /// Whether it is just so many.
    exact: bool,
}

/// Fields in the order in which they were asked for.
struct Facets(Vec<(&'static str, Vec<FacetValue>)>);

/// A value and how often it occurs.
#[derive(Serialize, ToSchema)]
pub(crate) struct FacetValue {
    /// The value.
    value: String,
    /// Entries that have it.
    count: u64,
}

impl Serialize for Facets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (field, values) in &self.0 {
            map.serialize_entry(field, values)?;
        }
        map.end()
    }
}

/// `GET /api/v1/logs/search`: entries that match a query and a filter, current to the last commit.
pub async fn search(
    State(app): State<App>,
    caller: Reader,
    Extension(facts): Extension<Facts>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let own = ["q", "sort", "limit", "cursor", "highlight", "facets"];
    parameters.allow(&[&Filter::PARAMETERS[..], &own].concat())?;
    let tenant_id = caller.tenant_id();
    let selection = parameters.selection()?;
    let sort = sort(&parameters)?;
    let counted = facets(&parameters)?;
    let binding = cursors::search_binding(tenant_id, &selection, sort);
    let owner = LogOwner::of(tenant_id);
    let wanted = Wanted {
        tenant_id,
        owner: &owner,
        selection: &selection,
        sort,
        cursor: cursors::read_search(&parameters, &binding, sort)?,
        limit: parameters.limit("limit", LIMIT_DEFAULT, LIMIT_MAX)? as usize,
        facets: &counted,
        highlight: parameters.flag("highlight")?,
    };
    let page = searching::find(&app, wanted).await.map_err(|refusal| refused(refusal, &binding))?;
    facts.set_entries(page.count);
    app.reads.note(&caller, "GET /logs/search", &selection, page.count);
    answer(&parameters, tenant_id, wanted, &binding, page)
}

/// `newest` or `relevance`; newest when absent.
fn sort(parameters: &Parameters) -> Result<Sort, ApiError> {
    match parameters.one("sort")? {
        None | Some("newest") => Ok(Sort::Newest),
        Some("relevance") => Ok(Sort::Relevance),
        Some(_) => Err(invalid("sort", "must be newest or relevance")),
    }
}

/// Fields with commas between, each once.
fn facets(parameters: &Parameters) -> Result<Vec<FacetField>, ApiError> {
    let Some(text) = parameters.one("facets")? else { return Ok(Vec::new()) };
    let mut fields = Vec::new();
    for name in text.split(',') {
        let known = FACETS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
        let Some(field) = known.filter(|field| !fields.contains(field)) else {
            let names = FACETS.map(|(name, _)| name).join(", ");
            return Err(invalid("facets", &format!("must be some of {names}, each once")));
        };
        fields.push(field);
    }
    Ok(fields)
}

fn refused(refusal: Refusal, binding: &Binding) -> ApiError {
    match refusal {
        Refusal::Failed(error) => error,
        Refusal::SourceChanged => ApiError::new(
            ProblemCode::SearchSourceChanged,
            "the search index, which has ranked the pages before, does not answer or has changed: \
             start without a cursor",
        ),
        Refusal::Expired(end) => cursors::expired(end.encode(binding)),
        Refusal::Lost(lost) => cursors::lost(lost, binding, Order::Desc),
    }
}

fn answer(
    parameters: &Parameters,
    tenant_id: TenantId,
    wanted: Wanted<'_>,
    binding: &Binding,
    page: Page,
) -> Result<Response, ApiError> {
    let next = page.next.map(|cursor| cursor.encode(binding));
    let headers = list::headers(parameters, "/logs/search", next.as_deref())?;
    let highlights = page.highlights.into_iter().map(|(id, found)| (id.to_string(), found));
    let footer = Footer {
        next_cursor: next,
        head_seq: page.until.map_or(0, |head| head.seq.get()),
        floor_seq: page.floor_seq,
        live_cursor: cursors::live(tenant_id, page.until),
        scanned_to: page.scanned_to,
        source: match page.source {
            Source::Index => "opensearch",
            Source::Log => "log",
        },
        index: Index {
            expected: page.indexed.map(|indexed| indexed.0),
            indexed: page.indexed.map(|indexed| indexed.1),
            complete: page.indexed.map(searching::is_complete),
        },
        total: Total { value: page.total, exact: page.total_is_exact },
        facets: (!wanted.facets.is_empty()).then(|| told(page.facets)),
        highlights: wanted.highlight.then(|| highlights.collect()),
    };
    Ok((headers, list::body(page.data, &footer)?).into_response())
}

fn told(facets: Vec<(FacetField, Vec<(String, u64)>)>) -> Facets {
    let name = |field| FACETS.iter().find(|(_, known)| *known == field).map_or("", |it| it.0);
    let values = |counts: Vec<(String, u64)>| {
        counts.into_iter().map(|(value, count)| FacetValue { value, count }).collect()
    };
    Facets(facets.into_iter().map(|(field, counts)| (name(field), values(counts))).collect())
}
