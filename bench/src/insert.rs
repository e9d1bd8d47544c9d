//! The plain INSERT: one row, one statement, one commit.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::{NewEntry, Place, Seq, TenantId, Timestamp};
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor};
use time::{Duration, OffsetDateTime};

use crate::load::Work;
use crate::row::{self, COLUMNS, Value};

/// `insert into audit_log (…) values ($1, …)`.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let mut parameters = String::new();
    for (number, column) in (1..).zip(COLUMNS) {
        let comma = if number == 1 { "" } else { ", " };
        let cast = if matches!(column, "before" | "after" | "metadata") { "::json" } else { "" };
        let _ = write!(parameters, "{comma}${number}{cast}");
    }
    format!("insert into audit_log ({}) values ({parameters})", COLUMNS.join(", "))
});

/// The next place past any log of the service: in the upper half of the numbers there are.
static NEXT: AtomicI64 = AtomicI64::new(1 << 39);

/// Places that nothing else writes to: so many, one after the other; this is the first.
pub(crate) fn places(count: i64) -> anyhow::Result<Place> {
    let seq = Seq::new(NEXT.fetch_add(count, Ordering::Relaxed));
    let seq = seq.ok_or_else(|| anyhow::anyhow!("out of numbers"))?;
    Ok(Place { recorded_at: Timestamp::now(), seq })
}

/// Inserts the entry and commits.
pub(crate) async fn insert(
    db: impl PgExecutor<'_>,
    tenant_id: TenantId,
    place: Place,
    entry: &NewEntry,
) -> sqlx::Result<()> {
    let mut query = sqlx::query(AssertSqlSafe(INSERT.as_str()));
    for value in row::values(tenant_id, place, entry) {
        query = match value {
            Value::Tenant(id) => query.bind(id.as_uuid()),
            Value::At(at) => {
                let since = Duration::milliseconds(at.as_millis());
                query.bind(OffsetDateTime::UNIX_EPOCH + since)
            }
            Value::Seq(seq) => query.bind(seq),
            Value::Severity(rank) => query.bind(rank),
            Value::Text(text) => query.bind(text.map(String::from)),
            Value::Json(text) => query.bind(text.map(str::to_owned)),
        };
    }
    query.execute(db).await?;
    Ok(())
}

/// (c): inserts one entry after the other on a connection of its own.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) connection: PgConnection,
    pub(crate) tenant_id: TenantId,
    pub(crate) entries: Vec<NewEntry>,
    pub(crate) turn: usize,
}

impl Work for Committer {
    async fn once(&mut self) -> anyhow::Result<u64> {
        self.turn += 1;
        let entry = &self.entries[self.turn % self.entries.len()];
        insert(&mut self.connection, self.tenant_id, places(1)?, entry).await?;
        Ok(1)
    }
}
