//! Partitions on their way out, without holding up a write.
//!
//! DETACH CONCURRENTLY, then DROP, each with a short wait for its lock: a plain DROP would wait for
//! the longest reader and let every write wait behind it. One that is interrupted leaves its
//! detach pending, and no other can be detached before that is finished.

use sqlx::{AssertSqlSafe, Executor as _, FromRow, PgConnection, PgExecutor};
use time::{Duration, OffsetDateTime};
use tracing::warn;

use super::{KEYS_WIDTH, Tries, is_lock_timeout, partition_name, round_down};

/// Keys count for 24 hours; their partition goes when its youngest is older than that.
const KEYS_KEPT: Duration = Duration::hours(30);

/// What a partition of the log says of itself from before its detach on. One that somebody else
/// detached is theirs.
const GOING: &str = "expired, to be dropped";

#[derive(Debug, FromRow)]
struct Partition {
    name: String,
    attached: bool,
    detaching: bool,
    /// Whether it is ours to drop once it is detached.
    goes: bool,
}

/// Drops the partitions of idempotency keys that no longer count. Returns how many went.
pub async fn drop_old_keys(connection: &mut PgConnection) -> anyhow::Result<usize> {
    connection.execute("set lock_timeout = '200ms'; set role audit_owner").await?;
    let mut dropped = 0;
    let mut tries = Tries::default();
    // Looks again after each step, because a time-out may have left a detach pending or not.
    while let Some(partition) = next_old_keys(&mut *connection).await? {
        match drop_partition(connection, "idempotency_key", &partition).await {
            Ok(()) => dropped += 1,
            Err(error) => tries.again(error).await?,
        }
    }
    end(connection).await?;
    Ok(dropped)
}

/// Drops the partitions of the log that nobody needs any more. Returns how many went.
///
/// For native partitions: TimescaleDB has a job for its chunks.
///
/// Gives way to whoever holds a partition for long, such as a backup, until the next round.
pub async fn drop_erasable(connection: &mut PgConnection) -> sqlx::Result<usize> {
    // Nobody waits behind a detach that waits. It needs all those who were there before to end
    // within a single try, which readers of some seconds, one after the other, hardly ever do in
    // less.
    connection.execute("set lock_timeout = '1s'; set role audit_owner").await?;
    let mut dropped = 0;
    match drop_each(connection, &mut dropped).await {
        Err(error) if is_lock_timeout(&error) => {
            warn!("expired partitions are in use and go later");
        }
        result => result?,
    }
    end(connection).await?;
    Ok(dropped)
}

async fn drop_each(connection: &mut PgConnection, dropped: &mut usize) -> sqlx::Result<()> {
    finish(connection, None, dropped).await?;
    for name in candidates(&mut *connection).await? {
        if is_erasable(&mut *connection, &name).await? {
            mark(connection, &name).await?;
            finish(connection, Some(&name), dropped).await?;
        }
    }
    Ok(())
}

async fn end(connection: &mut PgConnection) -> sqlx::Result<()> {
    connection.execute("set role audit_worker; reset lock_timeout").await?;
    Ok(())
}

/// The next partition of keys to go: one whose detach is pending first, since no other can be
/// detached before it. One that is not attached was left between DETACH and DROP.
async fn next_old_keys(db: impl PgExecutor<'_>) -> sqlx::Result<Option<Partition>> {
    let end = round_down(OffsetDateTime::now_utc() - KEYS_KEPT, KEYS_WIDTH);
    sqlx::query_as(
        "select
            c.relname::text as name,
            i.inhrelid is not null as attached,
            coalesce(i.inhdetachpending, false) as detaching,
            true as goes
         from pg_class c
         left join pg_inherits i on i.inhrelid = c.oid
         where c.relkind = 'r'
            and c.relnamespace = 'public'::regnamespace
            and c.relname ~ '^idempotency_key_[0-9]{8}_[0-9]{2}$'
            and c.relname < $1
         order by detaching desc, c.relname
         limit 1",
    )
    .bind(partition_name("idempotency_key", end))
    .fetch_optional(db)
    .await
}

async fn mark(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let mark = format!("comment on table {name} is '{GOING}'");
    let mut tries = Tries::default();
    while let Err(error) = connection.execute(AssertSqlSafe(mark.clone())).await {
        tries.again(error).await?;
    }
    Ok(())
}

/// Finishes what was begun with partitions of the log, then drops the chosen one.
async fn finish(
    connection: &mut PgConnection,
    chosen: Option<&str>,
    dropped: &mut usize,
) -> sqlx::Result<()> {
    let mut tries = Tries::default();
    while let Some(partition) = next_begun(&mut *connection, chosen).await? {
        match drop_partition(connection, "audit_log", &partition).await {
            Ok(()) => *dropped += usize::from(partition.goes),
            Err(error) => tries.again(error).await?,
        }
    }
    Ok(())
}

/// One whose detach is pending, whoever began it, before any other.
async fn next_begun(
    db: impl PgExecutor<'_>,
    chosen: Option<&str>,
) -> sqlx::Result<Option<Partition>> {
    sqlx::query_as(
        "select
            c.relname::text as name,
            i.inhrelid is not null as attached,
            coalesce(i.inhdetachpending, false) as detaching,
            m.goes
         from pg_class c
         left join pg_inherits i on i.inhrelid = c.oid
         cross join lateral (
            select coalesce(obj_description(c.oid, 'pg_class') = $1, false) as goes
         ) m
         where c.relkind = 'r'
            and c.relnamespace = 'public'::regnamespace
            and c.relname ~ '^audit_log_[0-9]{8}_[0-9]{2}$'
            and (i.inhdetachpending or (m.goes and i.inhrelid is null) or c.relname = $2)
         order by detaching desc, c.relname
         limit 1",
    )
    .bind(GOING)
    .bind(chosen)
    .fetch_optional(db)
    .await
}

/// The partitions of ours that ended long enough ago by this clock, too, from old to new.
async fn candidates(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select c.relname::text
         from pg_inherits i
         join pg_class c on c.oid = i.inhrelid
         cross join lateral pg_get_expr(c.relpartbound, c.oid) b (bound)
         where i.inhparent = 'audit_log'::regclass
            and c.relname ~ '^audit_log_[0-9]{8}_[0-9]{2}$'
            and substring(b.bound from $$TO \\('([^']+)'\\)$$)::timestamptz <= $1
         order by 1",
    )
    .bind(OffsetDateTime::now_utc() - Duration::days(1))
    .fetch_all(db)
    .await
}

async fn is_erasable(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select erasable(
            substring(b.bound from $$FROM \\('([^']+)'\\)$$)::timestamptz,
            substring(b.bound from $$TO \\('([^']+)'\\)$$)::timestamptz
         )
         from pg_class c
         cross join lateral pg_get_expr(c.relpartbound, c.oid) b (bound)
         where c.oid = to_regclass($1)",
    )
    .bind(name)
    .fetch_one(db)
    .await
}

async fn drop_partition(
    connection: &mut PgConnection,
    table: &'static str,
    partition: &Partition,
) -> sqlx::Result<()> {
    let name = &partition.name;
    if partition.attached {
        let how = if partition.detaching { "finalize" } else { "concurrently" };
        let detach = format!("alter table {table} detach partition {name} {how}");
        connection.execute(AssertSqlSafe(detach)).await?;
    }
    if partition.goes {
        connection.execute(AssertSqlSafe(format!("drop table {name}"))).await?;
    }
    Ok(())
}
