//! A filter as SQL: the one place that knows how its fields are compared.

use domain::{Action, Filter, Ident, ResourceId, ResourceType, Severity};
use sqlx::{Postgres, QueryBuilder};

use super::to_sql;

/// Adds the filter's conditions, each with `and` before it; values are bound, never pasted.
pub fn push(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if let Some(from) = filter.from {
        query.push(" and occurred_at >= ").push_bind(to_sql(from));
    }
    if let Some(to) = filter.to {
        query.push(" and occurred_at < ").push_bind(to_sql(to));
    }
    push_any(query, "user_id", filter.user_id.iter().map(Ident::as_str));
    push_any(query, "session_id", filter.session_id.iter().map(Ident::as_str));
    push_any(query, "request_id", filter.request_id.iter().map(Ident::as_str));
    push_any(query, "action", filter.action.iter().map(Action::as_str));
    push_any(query, "resource_type", filter.resource_type.iter().map(ResourceType::as_str));
    push_any(query, "resource_id", filter.resource_id.iter().map(ResourceId::as_str));
    if !filter.severity.is_empty() {
        let ranks: Vec<i16> = filter.severity.iter().copied().map(Severity::rank).collect();
        query.push(" and severity = any (").push_bind(ranks).push(")");
    }
    if let Some(least) = filter.severity_min {
        query.push(" and severity >= ").push_bind(least.rank());
    }
}

fn push_any<'v>(
    query: &mut QueryBuilder<Postgres>,
    column: &'static str,
    values: impl Iterator<Item = &'v str>,
) {
    let values: Vec<String> = values.map(str::to_owned).collect();
    match &values[..] {
        [] => {}
        // An equation is estimated and compared more cheaply than an array of one.
        [only] => {
            query.push(" and ").push(column).push(" = ").push_bind(only.clone());
        }
        _ => {
            query.push(" and ").push(column).push(" = any (").push_bind(values).push(")");
        }
    }
}
