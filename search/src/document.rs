//! An entry as a document: its own JSON, and what it is searched by.

use domain::{EntryId, LogOwner, Place, SearchedText, StoredEntry};
use serde::Serialize;
use serde_json::json;

use crate::bulk::Write;
use crate::names::Month;

/// One document on its way into the index.
#[derive(Debug, Clone)]
pub struct Document {
    id: EntryId,
    routing: String,
    month: Month,
    place: Place,
    source: Vec<u8>,
}

impl Document {
    /// The document of an entry.
    pub fn of(entry: &StoredEntry<'_>, owner: &LogOwner) -> Self {
        let mut source = Vec::new();
        entry.write_json(owner, &mut source);
        // Over the entry's closing brace; an object's JSON begins with the other one.
        source.pop();
        let begin = source.len();
        push(&mut source, &Searched::of(entry));
        source[begin] = b',';
        Self::new(entry.place, owner, source)
    }

    /// What stands in for a document that OpenSearch refused, so that the entry is still counted and
    /// found by its plain fields. `index_error` says why, without anything of the entry.
    pub fn stub(entry: &StoredEntry<'_>, owner: &LogOwner, index_error: &str) -> Self {
        let source = json!({
            "id": owner.id(entry.place),
            "seq": entry.place.seq,
            "tenant_id": owner.tenant_id(),
            "recorded_at": entry.place.recorded_at,
            "recorded_by": entry.recorded_by,
            "occurred_at": entry.occurred_at,
            "user_id": entry.user_id,
            "session_id": entry.session_id,
            "request_id": entry.request_id,
            "action": entry.action,
            "resource_type": entry.resource_type,
            "resource_id": entry.resource_id,
            "severity": entry.severity,
            "index_error": index_error,
        });
        Self::new(entry.place, owner, source.to_string().into_bytes())
    }

    fn new(place: Place, owner: &LogOwner, mut source: Vec<u8>) -> Self {
        // A line end can only stand between tokens, where any white space is as good, and it would
        // end the document.
        for byte in &mut source {
            if *byte == b'\n' || *byte == b'\r' {
                *byte = b' ';
            }
        }
        Self {
            id: owner.id(place),
            routing: owner.tenant_id().to_owned(),
            month: Month::of_place(place),
            place,
            source,
        }
    }

    /// The entry's id.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The entry's place in its log.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The month whose index it belongs to.
    pub fn month(&self) -> Month {
        self.month
    }

    /// About how much it adds to a request.
    pub fn bytes(&self) -> usize {
        /// The line before it.
        const ACTION: usize = 256;
        self.source.len() + ACTION
    }

    /// Adds the two lines of a document.
    pub(crate) fn write_as(
        &self,
        write: Write,
        index: &str,
        require_alias: bool,
        out: &mut Vec<u8>,
    ) {
        let about = json!({
            "_index": index,
            "_id": self.id,
            "routing": self.routing,
            "require_alias": require_alias,
        });
        let action = match write {
            Write::New => json!({ "create": about }),
            Write::Over => json!({ "index": about }),
        };
        push(out, &action);
        out.push(b'\n');
        out.extend_from_slice(&self.source);
        out.push(b'\n');
    }
}

fn push(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("memory takes all that has a JSON form");
}

/// What a document is searched by, beside the entry's own fields.
#[derive(Serialize)]
struct Searched {
    text: Vec<String>,
    kv: Vec<String>,
    message_words: Option<String>,
    user_name_words: Option<String>,
    user_agent_words: Option<String>,
}

impl Searched {
    fn of(entry: &StoredEntry<'_>) -> Self {
        let SearchedText { text, kv, message, user_name, user_agent } = SearchedText::of(entry);
        Self {
            text,
            kv,
            message_words: message,
            user_name_words: user_name,
            user_agent_words: user_agent,
        }
    }
}
