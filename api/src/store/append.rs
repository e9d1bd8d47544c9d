//! The call of `append()`: the only way into a log.

use domain::{
    Ident, JsonText, Message, NewEntry, ResourceId, Seq, Severity, TenantId, Timestamp, UserAgent,
};
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, FromRow, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{from_sql, to_sql};

/// SQLSTATE of `append()`: the writer's mark has moved on.
pub const MARK_MOVED: &str = "AU001";
/// SQLSTATE of `append()`: the database's clock and ours are too far apart.
pub const CLOCKS_APART: &str = "AU002";

/// How many `append()` takes.
const ARGUMENTS: usize = 28;

/// Bytes of an entry beside its texts: lengths and numbers.
const ENTRY_OVERHEAD: usize = 128;

/// Bytes of a request beside its entries.
const REQUEST_OVERHEAD: usize = 512;

/// Which call this is, for the mark that settles a lost answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallId {
    /// This writer.
    pub replica: Uuid,
    /// Moved on by each settlement.
    pub epoch: i64,
    /// Counts this writer's calls.
    pub batch: i64,
}

/// One request's part of a batch.
#[derive(Debug)]
pub struct RequestRow<'a> {
    /// Whose log.
    pub tenant_id: TenantId,
    /// The version of the tenant's settings that the entries were checked under.
    pub settings_version: i32,
    /// The principal.
    pub recorded_by: &'a str,
    /// Idempotency key and fingerprint.
    pub key: Option<(&'a str, &'a [u8])>,
    /// What a partial request refused, as JSON, for the replay.
    pub refused: Option<&'a str>,
    /// Checked entries.
    pub entries: &'a [NewEntry],
    /// About what they weigh.
    pub bytes: usize,
}

/// What became of one request; the numbers are those `append()` gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Committed, as `first_seq` and on.
    Written(Written),
    /// Its key stood for the same request before: this is the first answer.
    Replayed {
        /// What was committed then.
        written: Written,
        /// How many entries it was.
        entries: usize,
        /// What it refused, as JSON.
        refused: Option<String>,
    },
    /// Its key stood for another request before.
    KeyReused,
    /// Somebody else holds the head of this log.
    HeadHeld,
    /// The log's last entry is from more than five minutes ahead of the clock.
    ClockBehindHead,
    /// The tenant's settings have changed since the entries were checked.
    SettingsChanged,
    /// There is no such tenant.
    UnknownTenant,
}

/// Where a request's entries stand in the log: one after the other, at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Number of the first.
    pub first_seq: Seq,
    /// Time of all.
    pub recorded_at: Timestamp,
}

#[derive(Debug, FromRow)]
struct OutcomeRow {
    outcome: i16,
    first_seq: i64,
    entries: i32,
    recorded_at: OffsetDateTime,
    refused: Option<String>,
}

impl OutcomeRow {
    fn read(self) -> sqlx::Result<Outcome> {
        Ok(match self.outcome {
            0 => Outcome::Written(written(self.first_seq, self.recorded_at)?),
            1 => Outcome::Replayed {
                written: written(self.first_seq, self.recorded_at)?,
                entries: usize::try_from(self.entries).unwrap_or_default(),
                refused: self.refused,
            },
            other => unwritten(other)?,
        })
    }
}

/// The outcome behind a number, of those that wrote nothing.
pub(super) fn unwritten(outcome: i16) -> sqlx::Result<Outcome> {
    match outcome {
        2 => Ok(Outcome::KeyReused),
        3 => Ok(Outcome::HeadHeld),
        4 => Ok(Outcome::ClockBehindHead),
        5 => Ok(Outcome::SettingsChanged),
        6 => Ok(Outcome::UnknownTenant),
        other => Err(sqlx::Error::Decode(format!("unknown outcome {other}").into())),
    }
}

pub(super) fn written(first_seq: i64, recorded_at: OffsetDateTime) -> sqlx::Result<Written> {
    let first_seq = Seq::new(first_seq)
        .ok_or_else(|| sqlx::Error::Decode(format!("{first_seq} is no seq").into()))?;
    Ok(Written { first_seq, recorded_at: from_sql(recorded_at) })
}

/// Writes whole requests in one transaction and says what became of each, in their order.
///
/// `now` is this replica's clock. With `skip_held`, a head that somebody holds is not waited for.
pub async fn append(
    db: impl PgExecutor<'_>,
    call: CallId,
    now: Timestamp,
    skip_held: bool,
    requests: &[RequestRow<'_>],
) -> sqlx::Result<Vec<Outcome>> {
    let request = RequestColumns::of(requests);
    let entry = EntryColumns::of(requests);
    // In one piece from the start: grown as it fills, a large batch would be in memory twice.
    let mut arguments = PgArguments::default();
    arguments.reserve(ARGUMENTS, bytes(requests));
    let rows: Vec<OutcomeRow> = sqlx::query_as_with(
        "select outcome, first_seq, entries, recorded_at, refused
         from append(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20, $21, $22, $23, $24, $25, $26, $27, $28
         )",
        arguments,
    )
    .bind(call.replica)
    .bind(call.epoch)
    .bind(call.batch)
    .bind(to_sql(now))
    .bind(skip_held)
    .bind(request.tenant_id)
    .bind(request.settings_version)
    .bind(request.entries)
    .bind(request.recorded_by)
    .bind(request.key)
    .bind(request.fingerprint)
    .bind(request.refused)
    .bind(entry.request)
    .bind(entry.occurred_at)
    .bind(entry.user_id)
    .bind(entry.user_name)
    .bind(entry.session_id)
    .bind(entry.request_id)
    .bind(entry.action)
    .bind(entry.resource_type)
    .bind(entry.resource_id)
    .bind(entry.severity)
    .bind(entry.message)
    .bind(entry.ip_address)
    .bind(entry.user_agent)
    .bind(entry.before)
    .bind(entry.after)
    .bind(entry.metadata)
    .fetch_all(db)
    .await?;
    if rows.len() != requests.len() {
        return Err(sqlx::Error::Decode("append() answered for other requests".into()));
    }
    rows.into_iter().map(OutcomeRow::read).collect()
}

/// About as many bytes as the arguments take.
fn bytes(requests: &[RequestRow<'_>]) -> usize {
    let of = |request: &RequestRow<'_>| {
        request.bytes + request.entries.len() * ENTRY_OVERHEAD + REQUEST_OVERHEAD
    };
    requests.iter().map(of).sum()
}

/// The `r_` arguments of `append()`.
#[derive(Default)]
struct RequestColumns<'a> {
    tenant_id: Vec<Uuid>,
    settings_version: Vec<i32>,
    entries: Vec<i32>,
    recorded_by: Vec<&'a str>,
    key: Vec<Option<&'a str>>,
    fingerprint: Vec<Option<&'a [u8]>>,
    refused: Vec<Option<&'a str>>,
}

impl<'a> RequestColumns<'a> {
    fn of(requests: &'a [RequestRow<'a>]) -> Self {
        let mut columns = Self::default();
        for request in requests {
            columns.tenant_id.push(request.tenant_id.as_uuid());
            columns.settings_version.push(request.settings_version);
            columns.entries.push(i32::try_from(request.entries.len()).unwrap_or(i32::MAX));
            columns.recorded_by.push(request.recorded_by);
            columns.key.push(request.key.map(|(key, _)| key));
            columns.fingerprint.push(request.key.map(|(_, fingerprint)| fingerprint));
            columns.refused.push(request.refused);
        }
        columns
    }
}

/// The `e_` arguments of `append()`.
#[derive(Default)]
struct EntryColumns<'a> {
    request: Vec<i32>,
    occurred_at: Vec<Option<OffsetDateTime>>,
    user_id: Vec<&'a str>,
    user_name: Vec<Option<&'a str>>,
    session_id: Vec<Option<&'a str>>,
    request_id: Vec<Option<&'a str>>,
    action: Vec<&'a str>,
    resource_type: Vec<&'a str>,
    resource_id: Vec<Option<&'a str>>,
    severity: Vec<i16>,
    message: Vec<Option<&'a str>>,
    ip_address: Vec<Option<String>>,
    user_agent: Vec<Option<&'a str>>,
    before: Vec<Option<&'a str>>,
    after: Vec<Option<&'a str>>,
    metadata: Vec<Option<&'a str>>,
}

impl<'a> EntryColumns<'a> {
    fn of(requests: &'a [RequestRow<'a>]) -> Self {
        let mut columns = Self::default();
        for (number, request) in (1..).zip(requests) {
            for entry in request.entries {
                columns.push(number, entry);
            }
        }
        columns
    }

    fn push(&mut self, request: i32, entry: &'a NewEntry) {
        self.request.push(request);
        self.occurred_at.push(entry.occurred_at.map(to_sql));
        self.user_id.push(entry.user_id.as_str());
        self.user_name.push(entry.user_name.as_ref().map(Ident::as_str));
        self.session_id.push(entry.session_id.as_ref().map(Ident::as_str));
        self.request_id.push(entry.request_id.as_ref().map(Ident::as_str));
        self.action.push(entry.action.as_str());
        self.resource_type.push(entry.resource_type.as_str());
        self.resource_id.push(entry.resource_id.as_ref().map(ResourceId::as_str));
        self.severity.push(Severity::rank(entry.severity));
        self.message.push(entry.message.as_ref().map(Message::as_str));
        self.ip_address.push(entry.ip_address.as_ref().map(ToString::to_string));
        self.user_agent.push(entry.user_agent.as_ref().map(UserAgent::as_str));
        self.before.push(entry.before.as_ref().map(JsonText::as_str));
        self.after.push(entry.after.as_ref().map(JsonText::as_str));
        self.metadata.push(entry.metadata.as_ref().map(JsonText::as_str));
    }
}
