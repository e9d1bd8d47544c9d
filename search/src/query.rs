//! A search as OpenSearch takes it. What makes it one tenant's comes from [`Range`] and stands in
//! filter context; what was asked for can only make it narrower.

use domain::{Filter, Severity};
use serde_json::{Value, json};

use crate::ask::{TOTAL_EXACT_MAX, milliseconds};
use crate::request::{SearchRequest, Sort};
use crate::scope::Range;
use crate::{dsl, facets};

/// The body of one search.
///
/// What hits are sorted by says where they stand in the log, and nothing else is asked for, not even
/// the id, which is stored: for each hit OpenSearch would unpack a block of whole documents, which
/// takes longer than finding them.
pub(crate) fn body(request: &SearchRequest<'_>, range: &Range) -> Value {
    let mut filters: Vec<Value> = range.filters().into();
    filters.extend(filter(request.filter));
    let mut body = json!({
        "size": request.limit,
        "_source": false,
        "stored_fields": "_none_",
        "track_total_hits": TOTAL_EXACT_MAX,
        "timeout": milliseconds(request.timeout),
    });
    // The time decides nothing, as a log has each number once.
    let (by_seq, by_time) = (json!({ "seq": "desc" }), json!({ "recorded_at": "desc" }));
    match request.sort {
        Sort::Newest => {
            filters.extend(request.query.map(dsl::dsl_unscored));
            body["query"] = json!({ "bool": { "filter": filters } });
            body["sort"] = json!([by_seq, by_time]);
        }
        Sort::Relevance => {
            let must: Vec<Value> = request.query.map(dsl::dsl).into_iter().collect();
            body["query"] = json!({ "bool": { "filter": filters, "must": must } });
            body["sort"] = json!([{ "_score": "desc" }, by_seq, by_time]);
        }
    }
    if let Some(after) = request.after {
        // Behind all that has this number: nothing is as old as 0.
        body["search_after"] = match request.sort {
            Sort::Newest => json!([after.seq, 0]),
            Sort::Relevance => json!([after.score, after.seq, 0]),
        };
    }
    if !request.facets.is_empty() {
        body["aggs"] = facets::body(request.facets);
    }
    body
}

/// An exact filter, one condition for each field that has values.
fn filter(filter: &Filter) -> Vec<Value> {
    let mut all = Vec::new();
    if filter.from.is_some() || filter.to.is_some() {
        let mut range = json!({});
        if let Some(from) = filter.from {
            range["gte"] = json!(from);
        }
        if let Some(to) = filter.to {
            range["lt"] = json!(to);
        }
        all.push(json!({ "range": { "occurred_at": range } }));
    }
    let mut any_of = |field: &str, values: Vec<&str>| {
        if !values.is_empty() {
            all.push(json!({ "terms": { field: values } }));
        }
    };
    any_of("user_id", texts(&filter.user_id, domain::Ident::as_str));
    any_of("session_id", texts(&filter.session_id, domain::Ident::as_str));
    any_of("request_id", texts(&filter.request_id, domain::Ident::as_str));
    any_of("action", texts(&filter.action, domain::Action::as_str));
    any_of("resource_type", texts(&filter.resource_type, domain::ResourceType::as_str));
    any_of("resource_id", texts(&filter.resource_id, domain::ResourceId::as_str));
    any_of("severity", texts(&filter.severity, |severity| severity.as_str()));
    if let Some(least) = filter.severity_min {
        let grave = Severity::ALL.into_iter().filter(|severity| *severity >= least);
        any_of("severity", grave.map(Severity::as_str).collect());
    }
    all
}

fn texts<T>(values: &[T], text: impl Fn(&T) -> &str) -> Vec<&str> {
    values.iter().map(text).collect()
}
