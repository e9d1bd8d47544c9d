//! Entries read by their places, such as those that an index has named.

use domain::{Place, StoredEntry, TenantId};
use futures_util::TryStreamExt as _;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use super::{rows, to_sql};

/// Places that are read at a time.
pub const PLACES_MAX: usize = 128;

/// Days that one statement spans.
const SPAN: Duration = Duration::days(35);

/// Gives those entries to `each` that stand at these places and have not expired, in any order.
pub async fn read(
    db: &mut PgConnection,
    tenant_id: TenantId,
    places: &[Place],
    mut each: impl FnMut(&StoredEntry<'_>),
) -> sqlx::Result<()> {
    debug_assert!(places.len() <= PLACES_MAX, "see the caller");
    let mut sorted: Vec<_> =
        places.iter().map(|place| (to_sql(place.recorded_at), place.seq.get())).collect();
    sorted.sort_unstable();
    let mut rest = &sorted[..];
    while let Some(first) = rest.first() {
        let (span, later) = rest.split_at(rest.partition_point(|place| place.0 - first.0 <= SPAN));
        read_span(&mut *db, tenant_id, span, &mut each).await?;
        rest = later;
    }
    Ok(())
}

/// Sorted places that are not far apart.
async fn read_span(
    db: &mut PgConnection,
    tenant_id: TenantId,
    span: &[(OffsetDateTime, i64)],
    each: &mut impl FnMut(&StoredEntry<'_>),
) -> sqlx::Result<()> {
    // The limit keeps this a look-up by key for each place, whatever else would seem cheaper.
    let sql = format!(
        "select e.*
         from unnest($2::timestamptz[], $3::bigint[]) p (at, n)
         cross join lateral (
            select {}
            from entry
            where tenant_id = $1
                and recorded_at = p.at
                and recorded_at >= $4
                and recorded_at <= $5
                and seq = p.n
                and seq >= (select floor_seq from log_bound where tenant_id = $1)
            limit 1
         ) e",
        rows::COLUMNS
    );
    let (ats, seqs): (Vec<_>, Vec<_>) = span.iter().copied().unzip();
    let query = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant_id.as_uuid())
        .bind(&ats)
        .bind(&seqs)
        .bind(ats.first().copied())
        .bind(ats.last().copied());
    let mut found = query.fetch(db);
    while let Some(row) = found.try_next().await? {
        each(&rows::read(&row)?);
    }
    Ok(())
}
