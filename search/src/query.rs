//! A search as OpenSearch takes it. What makes it one tenant's comes from [`Range`] and stands in
//! filter context; what was asked for can only make it narrower.

use domain::{Filter, Severity};
use serde_json::{Value, json};

use crate::ask::{TOTAL_EXACT_MAX, milliseconds};
use crate::facets;
use crate::request::{SearchRequest, Sort};
use crate::scope::Range;

/// Whose an entry is and where it stands, out of the columns beside the documents. Nothing that is
/// stored is asked for, not even the id: for each hit OpenSearch would unpack a block of whole
/// documents, which takes longer than finding them.
fn place() -> Value {
    json!(["tenant_id", "seq", { "field": "recorded_at", "format": "epoch_millis" }])
}

/// The body of one search.
pub(crate) fn body(request: &SearchRequest<'_>, range: &Range) -> Value {
    let mut filters: Vec<Value> = range.filters().into();
    filters.extend(filter(request.filter));
    let mut body = json!({
        "size": request.limit,
        "_source": false,
        "stored_fields": "_none_",
        "docvalue_fields": place(),
        "track_total_hits": TOTAL_EXACT_MAX,
        "timeout": milliseconds(request.timeout),
    });
    let asked = request.query.map(crate::dsl::dsl);
    match request.sort {
        Sort::Newest => {
            // Nobody looks at the score, so none is worked out.
            filters.extend(asked);
            body["query"] = json!({ "bool": { "filter": filters } });
            body["sort"] = json!([{ "seq": "desc" }]);
        }
        Sort::Relevance => {
            let must: Vec<Value> = asked.into_iter().collect();
            body["query"] = json!({ "bool": { "filter": filters, "must": must } });
            body["sort"] = json!([{ "_score": "desc" }, { "seq": "desc" }]);
        }
    }
    if let Some(after) = request.after {
        body["search_after"] = match request.sort {
            Sort::Newest => json!([after.seq]),
            Sort::Relevance => json!([after.score, after.seq]),
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
