//! What goes to clients: JSON, the same over both transports.

use std::fmt::Write as _;

use axum::extract::ws::Utf8Bytes;
use domain::{Binding, Cursor, LogOwner, Order, Place, StoredEntry, TenantId};
use serde::Serialize;
use serde_json::json;

use crate::store::streaming::After;

/// What stands before the cursor of an entry's frame.
const LOG_BEGIN: &str = "{\"type\":\"log\",\"cursor\":\"";

/// Whose log it is, and what of a frame is the same for all of its entries.
#[derive(Debug)]
pub struct Framer {
    owner: LogOwner,
    binding: Binding,
}

/// Why entries are not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// They have expired.
    Expired,
    /// A restore of the database has undone them; what the log holds there now follows.
    HistoryChanged,
}

/// Numbers whose entries are not delivered, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first.
    pub from_seq: i64,
    /// The last.
    pub to_seq: i64,
    /// Why.
    pub reason: Reason,
}

impl Framer {
    /// For the log of this tenant.
    pub fn of(tenant_id: TenantId) -> Self {
        Self { owner: LogOwner::of(tenant_id), binding: Binding::live(tenant_id) }
    }

    /// The cursor of a place, good for any filter.
    pub fn cursor(&self, after: After) -> String {
        let cursor = Cursor { place: after, until: None, order: Order::Asc };
        cursor.encode(&self.binding)
    }

    /// An entry.
    pub fn log(&self, entry: &StoredEntry<'_>) -> Utf8Bytes {
        let mut frame = Vec::with_capacity(1_024);
        frame.extend_from_slice(LOG_BEGIN.as_bytes());
        frame.extend_from_slice(self.cursor(Some(entry.place)).as_bytes());
        frame.extend_from_slice(b"\",\"data\":");
        entry.write_json(&self.owner, &mut frame);
        frame.push(b'}');
        frame.shrink_to_fit();
        Utf8Bytes::try_from(frame).unwrap_or_default()
    }

    /// The answer to a client that has come, or has said something.
    pub fn hello(&self, after: After, head_seq: i64, floor_seq: i64) -> String {
        let cursor = self.cursor(after);
        format!(
            "{{\"type\":\"hello\",\"cursor\":\"{cursor}\",\"head_seq\":{head_seq},\
             \"floor_seq\":{floor_seq}}}"
        )
    }

    /// How far the stream has come.
    pub fn heartbeat(&self, after: After, head_seq: i64) -> String {
        let cursor = self.cursor(after);
        format!("{{\"type\":\"heartbeat\",\"cursor\":\"{cursor}\",\"head_seq\":{head_seq}}}")
    }
}

impl Reason {
    /// Its word, as in a frame.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::HistoryChanged => "history_changed",
        }
    }
}

impl Gap {
    /// The gap as a frame.
    pub fn frame(self) -> String {
        let reason = json!(self.reason);
        let (from, to) = (self.from_seq, self.to_seq);
        format!("{{\"type\":\"gap\",\"from_seq\":{from},\"to_seq\":{to},\"reason\":{reason}}}")
    }
}

/// What a client did wrong, or why the stream ends.
pub fn error(code: &str, detail: &str) -> String {
    let (code, detail) = (json!(code), json!(detail));
    format!("{{\"type\":\"error\",\"code\":{code},\"detail\":{detail}}}")
}

/// A frame as a server-sent event, whose id is the cursor.
pub fn event(out: &mut String, kind: &str, cursor: &str, frame: &str) {
    // No frame has a line break: JSON writes those of texts as escapes.
    let _ = write!(out, "id: {cursor}\nevent: {kind}\ndata: {frame}\n\n");
}

/// The number of a place, 0 before the first entry.
pub fn seq(after: After) -> i64 {
    after.map_or(0, |place: Place| place.seq.get())
}
