//! Where a log begins and ends.

use domain::{Place, Seq, TenantId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgExecutor, QueryBuilder, Row as _};
use time::OffsetDateTime;

use super::{from_sql, to_sql};

/// A log's first and last entry, as they were at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The last entry; `None` when there never was one.
    pub head: Option<Place>,
    /// The first number that has not expired.
    pub floor_seq: i64,
    /// Everything recorded before has expired.
    pub floor_at: Timestamp,
}

/// The columns of [`of`], in `log_bound`.
pub(super) const COLUMNS: &str = "head_seq, head_recorded_at, floor_seq, floor_at";

#[derive(FromRow)]
struct BoundsRow {
    head_seq: i64,
    head_recorded_at: OffsetDateTime,
    floor_seq: i64,
    floor_at: OffsetDateTime,
}

/// The bounds in a row that has [`COLUMNS`].
pub(super) fn of(row: &PgRow) -> sqlx::Result<Bounds> {
    let row = BoundsRow::from_row(row)?;
    let recorded_at = from_sql(row.head_recorded_at);
    Ok(Bounds {
        head: Seq::new(row.head_seq).map(|seq| Place { recorded_at, seq }),
        floor_seq: row.floor_seq,
        floor_at: from_sql(row.floor_at),
    })
}

impl Bounds {
    /// The number of the last entry, 0 when there is none.
    pub fn head_seq(&self) -> i64 {
        self.head.map_or(0, |head| head.seq.get())
    }

    /// The last place that has expired, with a time that is not below its own; `None` when
    /// nothing has.
    pub fn below_floor(&self) -> Option<Place> {
        let seq = Seq::new(self.floor_seq - 1)?;
        Some(Place { recorded_at: self.floor_at, seq })
    }
}

/// Reads the bounds of the reader's own log.
pub async fn get(db: impl PgExecutor<'_>, tenant_id: TenantId) -> sqlx::Result<Bounds> {
    get_with(db, tenant_id, None).await.map(|(bounds, _)| bounds)
}

/// The same, and whether the log holds this entry at its time, as a cursor says.
pub async fn get_with(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    place: Option<Place>,
) -> sqlx::Result<(Bounds, bool)> {
    let mut query = QueryBuilder::new("select ");
    query.push(COLUMNS).push(", ");
    if let Some(place) = place {
        query.push("exists (select from entry where tenant_id = ");
        query.push_bind(tenant_id.as_uuid());
        query.push(" and recorded_at = ").push_bind(to_sql(place.recorded_at));
        query.push(" and seq = ").push_bind(place.seq.get()).push(")");
    } else {
        query.push("true");
    }
    query.push(" as held from log_bound where tenant_id = ").push_bind(tenant_id.as_uuid());
    let row = query.build().fetch_one(db).await?;
    Ok((of(&row)?, row.try_get("held")?))
}
