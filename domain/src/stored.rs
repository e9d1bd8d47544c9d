//! Entries on their way out of the store: borrowed, and written without being built.

use std::borrow::Cow;
use std::io::Write as _;

use crate::{EntryId, Place, Severity, TenantId, TenantTag, Timestamp};

/// Whose entries are written: what is the same in all of them.
#[derive(Debug, Clone)]
pub struct LogOwner {
    tag: TenantTag,
    tenant_id: String,
}

impl LogOwner {
    /// The owner of this tenant's log.
    pub fn of(tenant_id: TenantId) -> Self {
        Self { tag: TenantTag::of(tenant_id), tenant_id: tenant_id.to_string() }
    }

    /// The tenant's id as text.
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// The id of the entry at this place.
    pub fn id(&self, place: Place) -> EntryId {
        EntryId::with_tag(place, self.tag)
    }
}

/// An entry as it lies in the log, where it was put only after it was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of the contract, described at `NewEntry`")]
pub struct StoredEntry<'a> {
    pub place: Place,
    pub recorded_by: &'a str,
    pub occurred_at: Timestamp,
    pub user_id: &'a str,
    pub user_name: Option<&'a str>,
    pub session_id: Option<&'a str>,
    pub request_id: Option<&'a str>,
    pub action: &'a str,
    pub resource_type: &'a str,
    pub resource_id: Option<&'a str>,
    pub severity: Severity,
    pub message: Option<&'a str>,
    pub ip_address: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    /// JSON text.
    pub before: Option<&'a str>,
    /// JSON text.
    pub after: Option<&'a str>,
    /// JSON text.
    pub metadata: Option<&'a str>,
}

impl<'a> StoredEntry<'a> {
    /// With nothing in it but what must be there: somebody records at once what they did themselves.
    pub fn bare(place: Place, user_id: &'a str, action: &'a str, resource_type: &'a str) -> Self {
        Self {
            place,
            recorded_by: user_id,
            occurred_at: place.recorded_at,
            user_id,
            user_name: None,
            session_id: None,
            request_id: None,
            action,
            resource_type,
            resource_id: None,
            severity: Severity::Info,
            message: None,
            ip_address: None,
            user_agent: None,
            before: None,
            after: None,
            metadata: None,
        }
    }
}

impl StoredEntry<'_> {
    /// The names of an entry's fields, in the order of the contract.
    pub const FIELDS: [&'static str; 20] = [
        "id",
        "seq",
        "tenant_id",
        "recorded_at",
        "recorded_by",
        "occurred_at",
        "user_id",
        "user_name",
        "session_id",
        "request_id",
        "action",
        "resource_type",
        "resource_id",
        "severity",
        "message",
        "ip_address",
        "user_agent",
        "before",
        "after",
        "metadata",
    ];

    /// Writes the entry's JSON, the same as that of an [`Entry`](crate::Entry).
    pub fn write_json(&self, owner: &LogOwner, out: &mut Vec<u8>) {
        let id = owner.id(self.place).as_uuid();
        let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
        push_plain(out, "{\"id\":\"", id.hyphenated().encode_lower(&mut buffer));
        out.extend_from_slice(b"\",\"seq\":");
        // Writing to memory does not fail.
        let _ = write!(out, "{}", self.place.seq.get());
        push_plain(out, ",\"tenant_id\":\"", &owner.tenant_id);
        push_time(out, "\",\"recorded_at\":\"", self.place.recorded_at);
        push_text(out, "\",\"recorded_by\":", self.recorded_by);
        push_time(out, ",\"occurred_at\":\"", self.occurred_at);
        push_text(out, "\",\"user_id\":", self.user_id);
        push_optional(out, ",\"user_name\":", self.user_name);
        push_optional(out, ",\"session_id\":", self.session_id);
        push_optional(out, ",\"request_id\":", self.request_id);
        push_text(out, ",\"action\":", self.action);
        push_text(out, ",\"resource_type\":", self.resource_type);
        push_optional(out, ",\"resource_id\":", self.resource_id);
        push_plain(out, ",\"severity\":\"", self.severity.as_str());
        push_optional(out, "\",\"message\":", self.message);
        push_optional(out, ",\"ip_address\":", self.ip_address);
        push_optional(out, ",\"user_agent\":", self.user_agent);
        push_plain(out, ",\"before\":", self.before.unwrap_or("null"));
        push_plain(out, ",\"after\":", self.after.unwrap_or("null"));
        push_plain(out, ",\"metadata\":", self.metadata.unwrap_or("null"));
        out.push(b'}');
    }
}

fn push_plain(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn push_time(out: &mut Vec<u8>, name: &str, at: Timestamp) {
    out.extend_from_slice(name.as_bytes());
    at.write_to(out);
}

fn push_optional(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    match text {
        Some(text) => push_text(out, name, text),
        None => push_plain(out, name, "null"),
    }
}

fn push_text(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(name.as_bytes());
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("a text always has a JSON form");
    }
}

/// Whether a spreadsheet could take a cell for a formula: an operator after nothing but quotes
/// and white space.
fn looks_like_a_formula(cell: &str) -> bool {
    // Some programs take the four separators of ASCII for white space, too.
    let passed_over = |c: char| {
        matches!(c, '\'' | '"' | '\u{1c}' | '\u{1d}' | '\u{1e}' | '\u{1f}') || c.is_whitespace()
    };
    cell.trim_start_matches(passed_over).starts_with(['=', '+', '-', '@'])
}

/// A cell of CSV that no spreadsheet runs: with a `'` before it where it looks like a formula.
pub fn inert_cell(cell: &str) -> Cow<'_, str> {
    if looks_like_a_formula(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell that [`inert_cell`] was given.
pub fn original_cell(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| looks_like_a_formula(rest)).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_in_disguise_are_seen() {
        for cell in ["=1", "+1", "-1", "@x", " =1", "\t\r\n@", "'=1", "\"'=1", "\u{a0}-", "\u{1f}="]
        {
            assert_eq!(inert_cell(cell), format!("'{cell}"), "{cell:?}");
        }
        for cell in ["", "1-1", "a=b", "'", "\"quoted\"", "2026-11-21", "{\"a\":-1}"] {
            assert_eq!(inert_cell(cell), cell);
        }
    }

    proptest! {
        #[test]
        fn an_inert_cell_leads_back(cell in "['\"\\s=+@a-]{0,8}|.{0,20}") {
            let inert = inert_cell(&cell);
            prop_assert_eq!(original_cell(&inert), &cell);
            prop_assert!(!looks_like_a_formula(&inert) || inert.starts_with('\''));
        }
    }
}
