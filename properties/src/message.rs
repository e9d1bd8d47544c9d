//! Messages of the queue, as anybody could send them who may.

use std::collections::BTreeMap;

use domain::{
    EntryId, LogOwner, MessageWriter, Place, QueuedEntry, Seq, StoredEntry, TenantId, Timestamp,
    read_message, write_queued,
};
use search::Document;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

pub(crate) fn message(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    read(&text);
    // An id that does not fit is what a change most often breaks: behind that is the rest.
    if let Some(mended) = with_fitting_ids(&text) {
        read(&mended);
    }
}

fn read(text: &str) {
    let entries = match read_message(text) {
        Ok(entries) => entries,
        Err(invalid) => {
            assert!(invalid.to_string().len() <= 200, "{invalid}");
            return;
        }
    };
    assert_said(text, &entries);
    let written = write(&entries);
    let again = read_message(&written).expect("what is written is read");
    assert_eq!(again.len(), entries.len());
    for (entry, again) in entries.iter().zip(&again) {
        assert_same(entry, again);
        assert_indexed(entry);
    }
    // From here on nothing changes any more.
    assert_eq!(write(&again), written);
}

/// Another parser finds the same in it.
fn assert_said(text: &str, entries: &[QueuedEntry<'_>]) {
    // Serde takes a list of values for an object, too, which nobody sends.
    let Ok(Envelope { entries: said }) = serde_json::from_str(text) else { return };
    assert_eq!(said.len(), entries.len());
    for (said, entry) in said.iter().zip(entries) {
        let stored = entry.as_stored();
        let (id, tenant_id) = (entry.id().to_string(), entry.tenant_id().to_string());
        for (name, read) in [
            ("id", Some(id.as_str())),
            ("tenant_id", Some(&tenant_id)),
            ("recorded_by", Some(stored.recorded_by)),
            ("user_id", Some(stored.user_id)),
            ("user_name", stored.user_name),
            ("session_id", stored.session_id),
            ("request_id", stored.request_id),
            ("action", Some(stored.action)),
            ("resource_type", Some(stored.resource_type)),
            ("resource_id", stored.resource_id),
            ("severity", Some(stored.severity.as_str())),
            ("message", stored.message),
            ("ip_address", stored.ip_address),
            ("user_agent", stored.user_agent),
        ] {
            let said: Option<String> = said.get(name).and_then(|json| text_of(name, json));
            assert_eq!(said.as_deref(), read, "{name}");
        }
        assert_eq!(said["seq"].get(), stored.place.seq.to_string());
        for (name, read) in
            [("before", stored.before), ("after", stored.after), ("metadata", stored.metadata)]
        {
            let said = said.get(name).map(|json| json.get()).filter(|json| *json != "null");
            assert_eq!(said, read, "{name}");
        }
    }
}

/// A text; of an id in any of the forms that it may have, the usual one.
fn text_of(name: &str, json: &RawValue) -> Option<String> {
    let text: String = serde_json::from_str(json.get()).ok()?;
    let is_id = name == "id" || name == "tenant_id";
    Some(if is_id { text.parse::<Uuid>().ok()?.to_string() } else { text })
}

fn write(entries: &[QueuedEntry<'_>]) -> String {
    let mut message = MessageWriter::new();
    for entry in entries {
        let mut json = Vec::new();
        write_queued(&entry.as_stored(), &LogOwner::of(entry.tenant_id()), &mut json);
        message.push(&json);
    }
    message.finish().expect("JSON is text")
}

/// JSON may have lost two characters that the queue refuses; all else is to the letter.
fn assert_same(one: &QueuedEntry<'_>, other: &QueuedEntry<'_>) {
    assert_eq!((one.id(), one.tenant_id()), (other.id(), other.tenant_id()));
    let (one, other) = (one.as_stored(), other.as_stored());
    let StoredEntry { before, after, metadata, .. } = one;
    assert_eq!(one, StoredEntry { before, after, metadata, ..other });
    assert_eq!(before.is_some(), other.before.is_some());
    assert_eq!(after.is_some(), other.after.is_some());
    assert_eq!(metadata.is_some(), other.metadata.is_some());
}

/// Whatever it holds, it has a document, and one to stand in for that.
fn assert_indexed(entry: &QueuedEntry<'_>) {
    let (stored, owner) = (entry.as_stored(), LogOwner::of(entry.tenant_id()));
    for document in [Document::of(&stored, &owner), Document::stub(&stored, &owner, "a reason")] {
        assert_eq!(document.id(), entry.id());
        assert_eq!(document.place(), stored.place);
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    entries: Vec<BTreeMap<String, &'a RawValue>>,
}

/// The same message, where each entry has the id that its tenant, time and number say.
fn with_fitting_ids(text: &str) -> Option<String> {
    let Envelope { entries } = serde_json::from_str(text).ok()?;
    let ids: Vec<_> = entries.iter().map(fitting_id).collect::<Option<_>>()?;
    let mended = entries.into_iter().zip(&ids).map(|(mut entry, id)| {
        entry.insert("id".to_owned(), id);
        serde_json::to_string(&entry).expect("parts of JSON are JSON")
    });
    let entries = mended.collect::<Vec<_>>().join(",");
    Some(format!(r#"{{"task_type":"INDEX_LOGS","version":1,"entries":[{entries}]}}"#))
}

fn fitting_id(entry: &BTreeMap<String, &RawValue>) -> Option<Box<RawValue>> {
    fn field<'a, T: Deserialize<'a>>(
        entry: &BTreeMap<String, &'a RawValue>,
        name: &str,
    ) -> Option<T> {
        serde_json::from_str(entry.get(name)?.get()).ok()
    }
    let tenant_id = TenantId::new(field(entry, "tenant_id")?);
    let recorded_at: String = field(entry, "recorded_at")?;
    let place = Place {
        recorded_at: Timestamp::parse(&recorded_at).ok()?,
        seq: Seq::new(field(entry, "seq")?)?,
    };
    to_raw_value(&EntryId::of(place, tenant_id)).ok()
}
