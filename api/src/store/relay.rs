//! The relay's cursors, which replicas lease from each other, and what comes after them.
//!
//! A cursor stands on the last entry that was sent. While a queue is configured every log has one
//! and it holds expiry: what was not sent stays.

use std::ops::ControlFlow;
use std::time::Duration;

use domain::{Filter, Order, Place, Seq, StoredEntry, TenantId};
use sqlx::postgres::types::PgInterval;
use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::range::{self, CLOCKS_APART_MS, From, Lost, Range};
use super::walk::{Step, Walk};
use super::{Store, from_sql, indexing, to_sql};

/// Logs that [`behind`] gives, and that [`enrol`] takes on, at most.
pub const LOGS_MAX: i64 = 1_000;

/// A log that is ours for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Whose log.
    pub tenant_id: TenantId,
    /// The last entry that was sent; `None` when none was.
    pub sent: Option<Place>,
}

/// A cursor's new place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The lease as it was given; when the cursor is somewhere else by now, it stays there.
    pub lease: Lease,
    /// The last entry that was sent.
    pub to: Place,
}

#[derive(Debug, FromRow)]
struct CursorRow {
    tenant_id: Uuid,
    recorded_at: OffsetDateTime,
    seq: i64,
}

impl CursorRow {
    fn lease(self) -> Lease {
        let recorded_at = from_sql(self.recorded_at);
        Lease {
            tenant_id: TenantId::new(self.tenant_id),
            sent: Seq::new(self.seq).map(|seq| Place { recorded_at, seq }),
        }
    }
}

/// Gives logs without a cursor one, at their beginning: those of these tenants, or of all; returns
/// how many.
pub async fn enrol(db: &PgPool, tenants: Option<&[TenantId]>) -> sqlx::Result<u64> {
    let enrolled = sqlx::query(
        "insert into log_cursor (tenant_id, consumer, holds_expiry)
         select h.tenant_id, 'relay', true
         from log_head h
         where ($1::uuid[] is null or h.tenant_id = any ($1))
            and not exists (
                select from log_cursor c where c.tenant_id = h.tenant_id and c.consumer = 'relay'
            )
         limit $2
         on conflict on constraint log_cursor_pkey do nothing",
    )
    .bind(tenants.map(uuids))
    .bind(LOGS_MAX)
    .execute(db)
    .await?;
    Ok(enrolled.rows_affected())
}

/// Whether the relay's cursors hold expiry: while there is a queue.
pub async fn hold_expiry(db: &PgPool, holds: bool) -> sqlx::Result<()> {
    sqlx::query(
        "update log_cursor
         set holds_expiry = $1
         where consumer = 'relay'
            and holds_expiry <> $1",
    )
    .bind(holds)
    .execute(db)
    .await?;
    Ok(())
}

/// Logs with something to send, of these tenants or of all, those first that waited longest for
/// their turn. A cursor off the log, as a restore leaves it, counts as well.
pub async fn behind(db: &PgPool, tenants: Option<&[TenantId]>) -> sqlx::Result<Vec<TenantId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select c.tenant_id
         from log_cursor c
         join log_head h using (tenant_id)
         where c.consumer = 'relay'
            and ($1::uuid[] is null or c.tenant_id = any ($1))
            and (h.seq, h.recorded_at) <> (c.seq, c.recorded_at)
         order by c.leased_until nulls first, c.tenant_id
         limit case when $1 is null then $2 end",
    )
    .bind(tenants.map(uuids))
    .bind(LOGS_MAX)
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(TenantId::new).collect())
}

/// Leases logs of these tenants that have something to send and that nobody else has: those that
/// waited longest for their turn.
pub async fn lease(
    db: &PgPool,
    replica: Uuid,
    tenants: &[TenantId],
    logs_max: i64,
    time: Duration,
) -> sqlx::Result<Vec<Lease>> {
    let leased: Vec<CursorRow> = sqlx::query_as(
        "update log_cursor c
         set leased_by = $1,
            leased_until = clock_timestamp() + $4
         where c.consumer = 'relay'
            and c.tenant_id = any (array(
                select l.tenant_id
                from log_cursor l
                join log_head h on h.tenant_id = l.tenant_id
                where l.consumer = 'relay'
                    and l.tenant_id = any ($2)
                    and (l.leased_by is null or l.leased_until < clock_timestamp())
                    and (h.seq, h.recorded_at) <> (l.seq, l.recorded_at)
                order by l.leased_until nulls first, l.tenant_id
                limit $3
                for update of l skip locked
            ))
         returning c.tenant_id, c.recorded_at, c.seq",
    )
    .bind(replica)
    .bind(uuids(tenants))
    .bind(logs_max)
    .bind(PgInterval::try_from(time).map_err(sqlx::Error::Encode)?)
    .fetch_all(db)
    .await?;
    Ok(leased.into_iter().map(CursorRow::lease).collect())
}

/// Moves cursors that are still where their lease says. Gives those that have more to send.
pub async fn advance(db: &PgPool, replica: Uuid, moves: &[Move]) -> sqlx::Result<Vec<Lease>> {
    let behind: Vec<CursorRow> = sqlx::query_as(
        "with moved as (
            update log_cursor c
            set recorded_at = m.to_at,
                seq = m.to_seq
            from unnest($2::uuid[], $3::timestamptz[], $4::bigint[], $5::timestamptz[], $6::bigint[])
                as m (tenant_id, from_at, from_seq, to_at, to_seq)
            where c.tenant_id = m.tenant_id
                and c.consumer = 'relay'
                and c.leased_by = $1
                and c.recorded_at = m.from_at
                and c.seq = m.from_seq
            returning c.tenant_id, c.recorded_at, c.seq
         )
         select m.tenant_id, m.recorded_at, m.seq
         from moved m
         join log_head h using (tenant_id)
         where (h.seq, h.recorded_at) <> (m.seq, m.recorded_at)",
    )
    .bind(replica)
    .bind(moves.iter().map(|m| m.lease.tenant_id.as_uuid()).collect::<Vec<_>>())
    .bind(moves.iter().map(|m| cursor(m.lease.sent).0).collect::<Vec<_>>())
    .bind(moves.iter().map(|m| cursor(m.lease.sent).1).collect::<Vec<_>>())
    .bind(moves.iter().map(|m| cursor(Some(m.to)).0).collect::<Vec<_>>())
    .bind(moves.iter().map(|m| cursor(Some(m.to)).1).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    Ok(behind.into_iter().map(CursorRow::lease).collect())
}

/// Gives leases back. The logs go to the end of the line, or, when they had no turn, to its head.
pub async fn release(
    db: &PgPool,
    replica: Uuid,
    tenants: &[TenantId],
    had_turn: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "update log_cursor
         set leased_by = null,
            leased_until = case when $3 then clock_timestamp() end
         where consumer = 'relay'
            and tenant_id = any ($2)
            and leased_by = $1",
    )
    .bind(replica)
    .bind(uuids(tenants))
    .bind(had_turn)
    .execute(db)
    .await?;
    Ok(())
}

/// Gives `take` the entries after a cursor, at most so many, until it refuses one. Returns the
/// place to move the cursor to when nothing came: past what has expired, back onto the log.
pub async fn read_after(
    store: &Store,
    lease: Lease,
    entries_max: i64,
    take: impl FnMut(&StoredEntry<'_>) -> ControlFlow<()>,
) -> sqlx::Result<Option<Place>> {
    store
        .read(lease.tenant_id, async |db| {
            let range = range_after(db, lease).await?;
            if range.first.seq > range.last.seq {
                return Ok(range.until);
            }
            let walk = Walk::new(lease.tenant_id, &indexing::ALL, Order::Asc, &range);
            step(db, lease.tenant_id, walk, entries_max, take).await?;
            Ok(None)
        })
        .await
}

/// What comes after a cursor, wherever it stands.
async fn range_after(db: &mut PgConnection, lease: Lease) -> sqlx::Result<Range> {
    let everything = Filter::default();
    let start = From::start(Order::Asc);
    let from = From { after: lease.sent, ..start };
    let found = range::find(db, lease.tenant_id, &everything, from).await?;
    let filter = match (found, lease.sent) {
        (Ok(range), _) => return Ok(range),
        // A restore has undone the entry. What it left was sent before; what came after it was
        // recorded later than all that it undid.
        (Err(Lost::HistoryChanged), Some(sent)) => {
            let from = Some(sent.recorded_at.plus_millis(CLOCKS_APART_MS));
            Filter { from, ..everything }
        }
        // Expired entries are not sent.
        (Err(_), _) => everything,
    };
    let found = range::find(db, lease.tenant_id, &filter, start).await?;
    found.map_err(|lost| sqlx::Error::Protocol(format!("a log's beginning is lost: {lost:?}")))
}

/// Gives `take` the entries of a log from one number to another, at most so many, those that have
/// expired aside. For sending again what was sent before.
pub async fn read_range(
    store: &Store,
    tenant_id: TenantId,
    range: (i64, i64),
    entries_max: i64,
    take: impl FnMut(&StoredEntry<'_>) -> ControlFlow<()>,
) -> sqlx::Result<()> {
    store
        .read(tenant_id, async |db| match indexing::walk(&mut *db, tenant_id, range).await? {
            Some(walk) => step(db, tenant_id, walk, entries_max, take).await,
            None => Ok(()),
        })
        .await
}

/// One statement's worth of a walk.
async fn step(
    db: &mut PgConnection,
    tenant_id: TenantId,
    mut walk: Walk<'_>,
    entries_max: i64,
    take: impl FnMut(&StoredEntry<'_>) -> ControlFlow<()>,
) -> sqlx::Result<()> {
    let step = walk.step_by_copy(db, entries_max, take).await?;
    if step == Step::Moved && walk.last().is_none() {
        // They expired just now; the next look begins at the new floor.
        tracing::debug!(tenant.id = %tenant_id, "entries to be sent are gone");
    }
    Ok(())
}

/// A cursor's columns.
fn cursor(sent: Option<Place>) -> (OffsetDateTime, i64) {
    sent.map_or((OffsetDateTime::UNIX_EPOCH, 0), |sent| (to_sql(sent.recorded_at), sent.seq.get()))
}

fn uuids(tenants: &[TenantId]) -> Vec<Uuid> {
    tenants.iter().map(TenantId::as_uuid).collect()
}
