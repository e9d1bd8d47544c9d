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

/// How many they are.
pub(super) const FIELDS: usize = 18;

/// A value as PostgreSQL sends it in binary; text and JSON look alike.
type Value<'r> = Option<&'r [u8]>;

/// The entry in a row whose first columns are [`COLUMNS`].
pub(super) fn read(row: &PgRow) -> sqlx::Result<StoredEntry<'_>> {
    entry(|column| value(row, column))
}

/// Whether there is an entry in a row that may be without.
pub(super) fn is_entry(row: &PgRow) -> sqlx::Result<bool> {
    Ok(value(row, 0)?.is_some())
}

/// The entry in the values of [`COLUMNS`].
pub(super) fn entry<'r>(
    value: impl Fn(usize) -> sqlx::Result<Value<'r>>,
) -> sqlx::Result<StoredEntry<'r>> {
    let number = |column| fixed::<8>(value(column)?, column).map(i64::from_be_bytes);
    let optional = |column| text(value(column)?, column);
    let text = |column| optional(column)?.ok_or_else(|| broken(column));
    let severity = i16::from_be_bytes(fixed(value(11)?, 11)?);
    Ok(StoredEntry {
        place: place_of(number(0)?, number(1)?)?,
        recorded_by: text(2)?,
        occurred_at: time(number(3)?),
        user_id: text(4)?,
        user_name: optional(5)?,
        session_id: optional(6)?,
        request_id: optional(7)?,
        action: text(8)?,
        resource_type: text(9)?,
        resource_id: optional(10)?,
        severity: Severity::from_rank(severity).ok_or_else(|| broken(11))?,
        message: optional(12)?,
        ip_address: optional(13)?,
        user_agent: optional(14)?,
        before: optional(15)?,
        after: optional(16)?,
        metadata: optional(17)?,
    })
}

/// The place in a row whose first columns are `recorded_at` and `seq`.
pub(super) fn place(row: &PgRow) -> sqlx::Result<Place> {
    let number = |column| fixed::<8>(value(row, column)?, column).map(i64::from_be_bytes);
    place_of(number(0)?, number(1)?)
}

fn place_of(micros: i64, seq: i64) -> sqlx::Result<Place> {
    let seq = Seq::new(seq).ok_or_else(|| broken(1))?;
    Ok(Place { recorded_at: time(micros), seq })
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_millis(micros.div_euclid(1_000) + EPOCH_MS)
}

fn text(value: Value<'_>, column: usize) -> sqlx::Result<Option<&str>> {
    value.map(std::str::from_utf8).transpose().map_err(|_| broken(column))
}

fn fixed<const N: usize>(value: Value<'_>, column: usize) -> sqlx::Result<[u8; N]> {
    value.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| broken(column))
}

fn value(row: &PgRow, column: usize) -> sqlx::Result<Value<'_>> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(None);
    }
    value.as_bytes().map(Some).map_err(|_| broken(column))
}

/// A defect of ours, or somebody else wrote to the table.
fn broken(column: usize) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {column} of an entry holds what no entry may").into())
}
