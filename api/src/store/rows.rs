//! A row of the log as an entry that borrows from it: nothing is copied, and what was checked on
//! its way in is not checked again.

use domain::{Place, Seq, Severity, StoredEntry, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{Row as _, ValueRef as _};

/// The columns that [`read`] takes, in its order.
pub(super) const COLUMNS: &str = "recorded_at, seq, recorded_by, occurred_at, user_id, user_name, \
     session_id, request_id, action, resource_type, resource_id, severity, message, ip_address, \
     user_agent, before, after, metadata";

/// 2000-01-01, where PostgreSQL counts its microseconds from, in milliseconds since 1970.
const EPOCH_MS: i64 = 946_684_800_000;

/// The entry in a row whose first columns are [`COLUMNS`].
pub(super) fn read(row: &PgRow) -> sqlx::Result<StoredEntry<'_>> {
    Ok(StoredEntry {
        place: place(row)?,
        recorded_by: text(row, 2)?,
        occurred_at: time(row, 3)?,
        user_id: text(row, 4)?,
        user_name: optional(row, 5)?,
        session_id: optional(row, 6)?,
        request_id: optional(row, 7)?,
        action: text(row, 8)?,
        resource_type: text(row, 9)?,
        resource_id: optional(row, 10)?,
        severity: Severity::from_rank(i16::from_be_bytes(bytes(row, 11)?))
            .ok_or_else(|| broken(11))?,
        message: optional(row, 12)?,
        ip_address: optional(row, 13)?,
        user_agent: optional(row, 14)?,
        before: optional(row, 15)?,
        after: optional(row, 16)?,
        metadata: optional(row, 17)?,
    })
}

/// The place in a row whose first columns are `recorded_at` and `seq`.
pub(super) fn place(row: &PgRow) -> sqlx::Result<Place> {
    let seq = Seq::new(i64::from_be_bytes(bytes(row, 1)?)).ok_or_else(|| broken(1))?;
    Ok(Place { recorded_at: time(row, 0)?, seq })
}

fn time(row: &PgRow, column: usize) -> sqlx::Result<Timestamp> {
    let micros = i64::from_be_bytes(bytes(row, column)?);
    Ok(Timestamp::from_millis(micros.div_euclid(1_000) + EPOCH_MS))
}

fn text(row: &PgRow, column: usize) -> sqlx::Result<&str> {
    optional(row, column)?.ok_or_else(|| broken(column))
}

/// Text and JSON look alike on the wire.
fn optional(row: &PgRow, column: usize) -> sqlx::Result<Option<&str>> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(None);
    }
    let bytes = value.as_bytes().map_err(|_| broken(column))?;
    std::str::from_utf8(bytes).map(Some).map_err(|_| broken(column))
}

fn bytes<const N: usize>(row: &PgRow, column: usize) -> sqlx::Result<[u8; N]> {
    let bytes = row.try_get_raw(column)?.as_bytes().map_err(|_| broken(column))?;
    bytes.try_into().map_err(|_| broken(column))
}

/// A defect of ours, or somebody else wrote to the table.
fn broken(column: usize) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {column} of an entry holds what no entry may").into())
}
