//! Sums of the kept counts, `stat_quarter`.

use domain::{Calendar, Filter, StatsQuery, Tally, TenantId, Timestamp, TooManyBuckets};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};
use time::OffsetDateTime;

use super::super::{filter, from_sql, to_sql};
use super::{Bounds, is_about_kinds, push_groups, read_group};

/// Sums of one answer; those of the largest are taken when there are more.
const SUMS_MAX: usize = 100_000;

/// Adds up what has been counted. `false`: it is not all, or not all told apart.
pub(super) async fn sum(
    db: &mut PgConnection,
    tenant_id: TenantId,
    bounds: &Bounds,
    query: &StatsQuery,
    tally: &mut Tally,
) -> sqlx::Result<Result<bool, TooManyBuckets>> {
    let begins = match &query.calendar {
        None => Vec::new(),
        Some(calendar) => match begins(db, tenant_id, bounds, query, calendar).await? {
            Ok(begins) => begins,
            Err(too_many) => return Ok(Err(too_many)),
        },
    };
    if query.calendar.is_some() && begins.is_empty() {
        return Ok(Ok(true));
    }
    let rows = select(tenant_id, bounds, query, &begins).build().fetch_all(db).await?;
    let mut complete = rows.len() <= SUMS_MAX;
    for row in rows.iter().take(SUMS_MAX) {
        complete &= add(row, query, &begins, tally)?;
    }
    Ok(Ok(complete))
}

/// Where the buckets begin that may hold something.
async fn begins(
    db: &mut PgConnection,
    tenant_id: TenantId,
    bounds: &Bounds,
    query: &StatsQuery,
    calendar: &Calendar,
) -> sqlx::Result<Result<Vec<Timestamp>, TooManyBuckets>> {
    let (from, to) = (query.filter.from, query.filter.to);
    let (first, last) = match (from, to) {
        (Some(from), Some(to)) => (Some(from), Some(to.plus_millis(-1).max(from))),
        _ => edges(db, tenant_id, bounds, &query.filter).await?,
    };
    let (Some(first), Some(last)) = (first, last) else { return Ok(Ok(Vec::new())) };
    Ok(calendar.buckets(first, last))
}

/// The first and the last quarter with an entry that passes.
async fn edges(
    db: &mut PgConnection,
    tenant_id: TenantId,
    bounds: &Bounds,
    filter: &Filter,
) -> sqlx::Result<(Option<Timestamp>, Option<Timestamp>)> {
    let mut sql = QueryBuilder::new("select min(occurred_at), max(occurred_at)");
    push_source(&mut sql, tenant_id, bounds);
    filter::push(&mut sql, filter);
    let (first, last): (Option<OffsetDateTime>, Option<OffsetDateTime>) =
        sql.build_query_as().fetch_one(db).await?;
    Ok((first.map(from_sql), last.map(from_sql)))
}

/// One pass over the tenant's range of the index, whatever is asked for.
fn select(
    tenant_id: TenantId,
    bounds: &Bounds,
    query: &StatsQuery,
    begins: &[Timestamp],
) -> QueryBuilder<Postgres> {
    let (kinds, others) = split(&query.filter);
    let mut sql = QueryBuilder::new("select bool_or(action = '') as is_folded, ");
    // What was folded may hold entries that pass: it is left out, and that has to be said.
    sql.push(if kinds.is_empty() {
        "sum(n)::bigint as n, "
    } else {
        "sum(n) filter (where action <> '')::bigint as n, "
    });
    if begins.is_empty() {
        sql.push("0 as bucket");
    } else {
        let begins: Vec<OffsetDateTime> = begins.iter().copied().map(to_sql).collect();
        sql.push("width_bucket(occurred_at, ").push_bind(begins).push(") as bucket");
    }
    push_groups(&mut sql, &query.group_by);
    push_source(&mut sql, tenant_id, bounds);
    filter::push(&mut sql, &others);
    if !kinds.is_empty() {
        sql.push(" and (action = '' or (true");
        filter::push(&mut sql, &kinds);
        sql.push("))");
    }
    sql.push(" group by bucket");
    for n in 0..query.group_by.len() {
        sql.push(format_args!(", group_{n}"));
    }
    sql.push(format_args!(" order by n desc nulls last limit {}", SUMS_MAX + 1));
    sql
}

fn push_source(sql: &mut QueryBuilder<Postgres>, tenant_id: TenantId, bounds: &Bounds) {
    sql.push(" from entry_count where tenant_id = ").push_bind(tenant_id.as_uuid());
    sql.push(" and day >= ").push_bind(bounds.floor_at.date());
}

/// The part of a filter about actions and types, and the rest.
fn split(filter: &Filter) -> (Filter, Filter) {
    let mut others = filter.clone();
    let kinds = Filter {
        action: std::mem::take(&mut others.action),
        resource_type: std::mem::take(&mut others.resource_type),
        ..Filter::default()
    };
    (kinds, others)
}

/// `false` when entries of this row could not be told apart as was asked for.
fn add(
    row: &PgRow,
    query: &StatsQuery,
    begins: &[Timestamp],
    tally: &mut Tally,
) -> sqlx::Result<bool> {
    if let Some(n) = row.try_get("n")? {
        let bucket = usize::try_from(row.try_get::<i32, _>("bucket")?).unwrap_or_default();
        let begin = bucket.checked_sub(1).and_then(|n| begins.get(n)).copied();
        tally.add(begin, read_group(row, &query.group_by)?, n);
    }
    let is_folded: bool = row.try_get("is_folded")?;
    Ok(!is_folded || !is_about_kinds(query))
}
