//! Reading entries back, always through the reader's view.

use domain::{
    Action, Entry, Ident, JsonText, Message, NewEntry, Place, ResourceId, ResourceType, Seq,
    Severity, TenantId, UserAgent,
};
use sqlx::postgres::PgRow;
use sqlx::{Decode, PgExecutor, Postgres, Row as _, Type};
use time::OffsetDateTime;

use super::{from_sql, to_sql};

/// Finds the entry at a place, unless it has expired.
pub async fn find(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    place: Place,
) -> sqlx::Result<Option<Entry>> {
    let row = sqlx::query(
        "select
            recorded_at, seq, recorded_by, occurred_at, user_id, user_name, session_id, request_id,
            action, resource_type, resource_id, severity, message, ip_address, user_agent,
            before::text, after::text, metadata::text
         from entry
         where tenant_id = $1
            and recorded_at = $2
            and seq = $3
            and seq >= (select floor_seq from log_bound where tenant_id = $1)",
    )
    .bind(tenant_id.as_uuid())
    .bind(to_sql(place.recorded_at))
    .bind(place.seq.get())
    .fetch_optional(db)
    .await?;
    row.map(|row| read(tenant_id, &row)).transpose()
}

/// Builds an entry from its columns; what the table holds has been checked on its way in.
fn read(tenant_id: TenantId, row: &PgRow) -> sqlx::Result<Entry> {
    let recorded_at = from_sql(row.try_get::<OffsetDateTime, _>("recorded_at")?);
    let place =
        Place { recorded_at, seq: parsed(row, "seq", |seq| Seq::new(seq).ok_or("no seq"))? };
    let new = NewEntry {
        recorded_by: parsed(row, "recorded_by", |text: &str| Ident::parse(text))?,
        occurred_at: Some(from_sql(row.try_get("occurred_at")?)),
        user_id: parsed(row, "user_id", |text: &str| Ident::parse(text))?,
        user_name: optional(row, "user_name", |text: &str| Ident::parse(text))?,
        session_id: optional(row, "session_id", |text: &str| Ident::parse(text))?,
        request_id: optional(row, "request_id", |text: &str| Ident::parse(text))?,
        action: parsed(row, "action", |text: &str| Action::parse(text))?,
        resource_type: parsed(row, "resource_type", |text: &str| ResourceType::parse(text))?,
        resource_id: optional(row, "resource_id", |text: &str| ResourceId::parse(text))?,
        severity: parsed(row, "severity", |rank| Severity::from_rank(rank).ok_or("no rank"))?,
        message: optional(row, "message", |text: &str| Message::parse(text))?,
        ip_address: optional(row, "ip_address", |text: &str| text.parse())?,
        user_agent: optional(row, "user_agent", |text: &str| UserAgent::parse(text))?,
        before: optional(row, "before", JsonText::from_stored)?,
        after: optional(row, "after", JsonText::from_stored)?,
        metadata: optional(row, "metadata", JsonText::from_stored)?,
    };
    Ok(Entry::new(tenant_id, place, new))
}

fn parsed<'r, V, T, E>(
    row: &'r PgRow,
    name: &'static str,
    parse: impl FnOnce(V) -> Result<T, E>,
) -> sqlx::Result<T>
where
    V: Decode<'r, Postgres> + Type<Postgres>,
    E: std::fmt::Display,
{
    parse(row.try_get(name)?).map_err(|error| broken(name, &error))
}

fn optional<'r, V, T, E>(
    row: &'r PgRow,
    name: &'static str,
    parse: impl FnOnce(V) -> Result<T, E>,
) -> sqlx::Result<Option<T>>
where
    V: Decode<'r, Postgres> + Type<Postgres>,
    E: std::fmt::Display,
{
    let value: Option<V> = row.try_get(name)?;
    value.map(parse).transpose().map_err(|error| broken(name, &error))
}

/// A defect of ours, or somebody else wrote to the table.
fn broken(column: &str, error: &impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {column} holds what no entry may: {error}").into())
}
