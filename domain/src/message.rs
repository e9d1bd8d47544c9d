//! What goes through the queue to the search index: entries' JSON in an envelope with a version.
//!
//! `docs/message.md` is the description for others. The writer makes the newest version, the reader
//! takes every version that was ever sent; what it does not know is an error, so that a message is
//! never dropped because the program that got it was too old.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use crate::{EntryId, LogOwner, Place, Seq, Severity, StoredEntry, TenantId, Timestamp};

/// What the receiver is to do.
const TASK: &str = "INDEX_LOGS";

/// The version that is written.
const VERSION: u32 = 1;

const HEAD: &str = r#"{"task_type":"INDEX_LOGS","version":1,"entries":["#;
const TAIL: &str = "]}";

/// Adds an entry's JSON as a message holds it: that of an answer, without characters that the
/// queue refuses.
///
/// SQS takes what XML takes. JSON without white space has no control characters, so of what the
/// log can hold that leaves U+FFFE and U+FFFF; both stand in strings only, where an escape means
/// the same.
pub fn write_queued(entry: &StoredEntry<'_>, owner: &LogOwner, out: &mut Vec<u8>) {
    let begin = out.len();
    entry.write_json(owner, out);
    if find_refused(&out[begin..]).is_some() {
        let escaped = escape(&out[begin..]);
        out.truncate(begin);
        out.extend_from_slice(&escaped);
    }
}

/// Where the first character stands that the queue refuses: U+FFFE is EF BF BE, U+FFFF EF BF BF.
fn find_refused(json: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(json, b"\xef\xbf")
        .find(|at| matches!(json.get(at + 2), Some(0xbe | 0xbf)))
}

fn escape(json: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(json.len() * 2);
    let mut rest = json;
    while let Some(at) = find_refused(rest) {
        escaped.extend_from_slice(&rest[..at]);
        escaped.extend_from_slice(if rest[at + 2] == 0xbe { br"\ufffe" } else { br"\uffff" });
        rest = &rest[at + 3..];
    }
    escaped.extend_from_slice(rest);
    escaped
}

/// A message that is being filled.
#[derive(Debug)]
pub struct MessageWriter {
    body: Vec<u8>,
    entries: usize,
}

impl MessageWriter {
    /// An empty message.
    pub fn new() -> Self {
        Self { body: HEAD.as_bytes().to_vec(), entries: 0 }
    }

    /// How many entries it holds.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// How long it would be with one more entry, whose JSON has so many bytes.
    pub fn bytes_with(&self, entry_bytes: usize) -> usize {
        self.body.len() + usize::from(self.entries > 0) + entry_bytes + TAIL.len()
    }

    /// Adds an entry as [`write_queued`] made it.
    pub fn push(&mut self, entry: &[u8]) {
        if self.entries > 0 {
            self.body.push(b',');
        }
        self.body.extend_from_slice(entry);
        self.entries += 1;
    }

    /// The message's text; `None` when what was pushed is no text, a defect of ours.
    pub fn finish(mut self) -> Option<String> {
        self.body.extend_from_slice(TAIL.as_bytes());
        String::from_utf8(self.body).ok()
    }
}

impl Default for MessageWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a message is not done, nor dropped.
#[derive(Debug, Error)]
pub enum InvalidMessage {
    /// Not JSON, or not what the version says.
    #[error("the message cannot be read: line {}, column {}", .0.line(), .0.column())]
    Unreadable(#[source] serde_json::Error),
    /// Something else is to be done with it.
    #[error("the message is for another task")]
    UnknownTask,
    /// A newer program wrote it.
    #[error("the message has version {0}, which this program does not know")]
    UnknownVersion(u32),
    /// An entry says of itself what cannot be.
    #[error("entry {index} of the message: {field} is not valid")]
    InvalidEntry {
        /// Which entry, from 0.
        index: usize,
        /// Which of its fields.
        field: &'static str,
    },
}

/// Reads a message.
pub fn read_message(text: &str) -> Result<Vec<QueuedEntry<'_>>, InvalidMessage> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(InvalidMessage::Unreadable)?;
    if envelope.task_type != TASK {
        return Err(InvalidMessage::UnknownTask);
    }
    if envelope.version != VERSION {
        return Err(InvalidMessage::UnknownVersion(envelope.version));
    }
    let message: Message<'_> = serde_json::from_str(text).map_err(InvalidMessage::Unreadable)?;
    let mut entries = Vec::with_capacity(message.entries.len());
    for (index, wire) in message.entries.into_iter().enumerate() {
        let entry = QueuedEntry::check(wire);
        entries.push(entry.map_err(|field| InvalidMessage::InvalidEntry { index, field })?);
    }
    Ok(entries)
}

/// What every version has.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    task_type: Cow<'a, str>,
    version: u32,
}

/// What version 1 has besides.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    entries: Vec<WireEntry<'a>>,
}

/// An entry that came through the queue; it borrows from the message where it can.
#[derive(Debug)]
pub struct QueuedEntry<'a> {
    id: EntryId,
    tenant_id: TenantId,
    place: Place,
    occurred_at: Timestamp,
    severity: Severity,
    wire: WireEntry<'a>,
}

/// An entry's JSON, taken apart.
#[derive(Debug, Deserialize)]
struct WireEntry<'a> {
    id: Uuid,
    seq: i64,
    tenant_id: Uuid,
    #[serde(borrow)]
    recorded_at: Cow<'a, str>,
    #[serde(borrow)]
    recorded_by: Cow<'a, str>,
    #[serde(borrow)]
    occurred_at: Cow<'a, str>,
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow)]
    user_name: Option<Chars<'a>>,
    #[serde(borrow)]
    session_id: Option<Chars<'a>>,
    #[serde(borrow)]
    request_id: Option<Chars<'a>>,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    resource_type: Cow<'a, str>,
    #[serde(borrow)]
    resource_id: Option<Chars<'a>>,
    #[serde(borrow)]
    severity: Cow<'a, str>,
    #[serde(borrow)]
    message: Option<Chars<'a>>,
    #[serde(borrow)]
    ip_address: Option<Chars<'a>>,
    #[serde(borrow)]
    user_agent: Option<Chars<'a>>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

/// A text that is borrowed also where it is optional, which a bare `Cow` is not.
#[derive(Debug, Deserialize)]
struct Chars<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> QueuedEntry<'a> {
    /// The entry, or the name of the field that cannot be.
    fn check(wire: WireEntry<'a>) -> Result<Self, &'static str> {
        let tenant_id = TenantId::new(wire.tenant_id);
        let time = |text: &str, field| Timestamp::parse(text).map_err(|_| field);
        let place = Place {
            recorded_at: time(&wire.recorded_at, "recorded_at")?,
            seq: Seq::new(wire.seq).ok_or("seq")?,
        };
        let id = EntryId::of(place, tenant_id);
        if id.as_uuid() != wire.id {
            return Err("id");
        }
        let occurred_at = time(&wire.occurred_at, "occurred_at")?;
        let severity = Severity::parse(&wire.severity).map_err(|_| "severity")?;
        Ok(Self { id, tenant_id, place, occurred_at, severity, wire })
    }

    /// Its id, which is its place in its tenant's log.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// Whose log it is in.
    pub fn tenant_id(&self) -> TenantId {
        self.tenant_id
    }

    /// The entry as the log's own readers see it.
    pub fn as_stored(&self) -> StoredEntry<'_> {
        let wire = &self.wire;
        StoredEntry {
            place: self.place,
            recorded_by: &wire.recorded_by,
            occurred_at: self.occurred_at,
            user_id: &wire.user_id,
            user_name: chars(wire.user_name.as_ref()),
            session_id: chars(wire.session_id.as_ref()),
            request_id: chars(wire.request_id.as_ref()),
            action: &wire.action,
            resource_type: &wire.resource_type,
            resource_id: chars(wire.resource_id.as_ref()),
            severity: self.severity,
            message: chars(wire.message.as_ref()),
            ip_address: chars(wire.ip_address.as_ref()),
            user_agent: chars(wire.user_agent.as_ref()),
            before: wire.before.map(RawValue::get),
            after: wire.after.map(RawValue::get),
            metadata: wire.metadata.map(RawValue::get),
        }
    }
}

fn chars<'e>(text: Option<&'e Chars<'_>>) -> Option<&'e str> {
    text.map(|text| text.0.as_ref())
}
