//! Messages of the queue: what is written, what is read, and files of old that stay readable.

use domain::{
    InvalidMessage, LogOwner, MessageWriter, Place, QueuedEntry, Seq, Severity, StoredEntry,
    TenantId, Timestamp, read_message, write_queued,
};
use proptest::prelude::*;
use uuid::Uuid;

/// Never edited: messages of this version may lie in a queue for two weeks.
const GOLDEN_1: &str = include_str!("../golden/message-v1.json");

/// What a later program of the same version could send.
const GOLDEN_1_EXTENDED: &str = include_str!("../golden/message-v1-extended.json");

fn tenants() -> [TenantId; 2] {
    [0x0190_0000_0000_7000_8000_0000_0000_000a, 0x0190_0000_0000_7000_8000_0000_0000_000b]
        .map(|bits| TenantId::new(Uuid::from_u128(bits)))
}

fn plain() -> StoredEntry<'static> {
    let place = place("2026-11-21T12:50:11.123Z", 1);
    StoredEntry {
        recorded_by: "gateway:anna",
        occurred_at: time("2026-11-21T12:50:11.000Z"),
        ..StoredEntry::bare(place, "anna", "UPDATE", "invoice")
    }
}

/// Every field, and every character that needs care on the way.
fn strange() -> StoredEntry<'static> {
    StoredEntry {
        place: place("2026-12-01T00:00:00.000Z", Seq::MAX.get()),
        user_name: Some("Änne \"Å\" \\ 山田 😀 \u{202e}"),
        session_id: Some("\u{1}\t\r\n\u{1f}\u{7f}\u{85}"),
        request_id: Some("\u{fffe}\u{ffff}"),
        resource_id: Some(""),
        severity: Severity::Critical,
        message: Some("\u{ffff}a\u{fffd}\u{ffbf}\u{fffe}\u{e000}\u{d7ff}\u{10ffff}"),
        ip_address: Some("2001:db8::1"),
        user_agent: Some("curl/8"),
        before: Some(r#"{"n":1.50E+2,"\ufffe":"\ud83d\ude00\/"}"#),
        after: Some("[{\"\u{fffe}\":\"\u{ffff}\"},null,true,\"\"]"),
        metadata: Some(r#"{"a":{"b":[]},"":-0}"#),
        ..plain()
    }
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn place(recorded_at: &str, seq: i64) -> Place {
    Place { recorded_at: time(recorded_at), seq: Seq::new(seq).unwrap() }
}

fn message(entries: &[(TenantId, StoredEntry<'_>)]) -> String {
    let mut message = MessageWriter::new();
    for (tenant_id, entry) in entries {
        let mut json = Vec::new();
        write_queued(entry, &LogOwner::of(*tenant_id), &mut json);
        let bytes = message.bytes_with(json.len());
        message.push(&json);
        assert_eq!(message.bytes_with(0) - usize::from(message.entries() > 0), bytes);
    }
    assert_eq!(message.entries(), entries.len());
    message.finish().unwrap()
}

fn golden_entries() -> [(TenantId, StoredEntry<'static>); 2] {
    let [one, other] = tenants();
    [(one, plain()), (other, strange())]
}

/// What the queue refuses: all that XML 1.0 cannot hold.
fn is_taken(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// The entry as the one who gets it sees it: JSON that means the same.
fn assert_same(read: &QueuedEntry<'_>, (tenant_id, entry): (TenantId, StoredEntry<'_>)) {
    let stored = read.as_stored();
    assert_eq!(read.tenant_id(), tenant_id);
    assert_eq!(read.id().place_in(tenant_id), Some(entry.place));
    let value = |json: Option<&str>| -> Option<serde_json::Value> {
        json.map(|json| serde_json::from_str(json).unwrap())
    };
    assert_eq!(value(stored.before), value(entry.before));
    assert_eq!(value(stored.after), value(entry.after));
    assert_eq!(value(stored.metadata), value(entry.metadata));
    let StoredEntry { before, after, metadata, .. } = stored;
    assert_eq!(stored, StoredEntry { before, after, metadata, ..entry });
}

#[test]
fn what_is_written_now_is_the_newest_golden_file() {
    assert_eq!(message(&golden_entries()), GOLDEN_1.trim_end());
}

#[test]
fn every_golden_file_is_read() {
    for golden in [GOLDEN_1, GOLDEN_1_EXTENDED] {
        let read = read_message(golden).unwrap();
        assert_eq!(read.len(), 2);
        for (read, entry) in read.iter().zip(golden_entries()) {
            assert_same(read, entry);
        }
    }
}

#[test]
fn json_reaches_the_other_side_as_it_was_written() {
    let [(one, _), (_, entry)] = golden_entries();
    let entry = StoredEntry { after: None, ..entry };
    let text = message(&[(one, entry)]);
    let read = read_message(&text).unwrap();
    assert_eq!(read[0].as_stored(), entry);
}

#[test]
fn what_is_not_known_is_an_error_and_never_dropped() {
    let good = message(&golden_entries());
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let refused = |text: String| read_message(&text).unwrap_err();
    let newer = refused(with("\"version\":1", "\"version\":2"));
    assert!(matches!(newer, InvalidMessage::UnknownVersion(2)), "{newer}");
    let newer = refused(r#"{"task_type":"INDEX_LOGS","version":3}"#.to_owned());
    assert!(matches!(newer, InvalidMessage::UnknownVersion(3)), "{newer}");
    let other = refused(with("INDEX_LOGS", "DROP_LOGS"));
    assert!(matches!(other, InvalidMessage::UnknownTask), "{other}");
    for text in ["", "{}", "[]", "null", "{\"version\":1}", &good[..good.len() - 1]] {
        let unreadable = refused(text.to_owned());
        assert!(matches!(unreadable, InvalidMessage::Unreadable(_)), "{text}: {unreadable}");
    }
    let missing = refused(with("\"user_id\":", "\"user\":"));
    assert!(matches!(missing, InvalidMessage::Unreadable(_)), "{missing}");
}

#[test]
fn an_entry_that_cannot_be_is_told_by_its_field() {
    let good = message(&golden_entries());
    for (from, to, expected) in [
        ("\"seq\":1099511627775", "\"seq\":1099511627774", (1, "id")),
        ("\"seq\":1,", "\"seq\":0,", (0, "seq")),
        ("00000000000a", "00000000000c", (0, "id")),
        ("11.123Z", "11.123", (0, "recorded_at")),
        ("11.000Z", "noon", (0, "occurred_at")),
        ("CRITICAL", "GRAVE", (1, "severity")),
    ] {
        assert!(good.contains(from), "{from}");
        let refused = read_message(&good.replacen(from, to, 1)).unwrap_err();
        let InvalidMessage::InvalidEntry { index, field } = refused else {
            panic!("{to}: {refused}")
        };
        assert_eq!((index, field), expected, "{to}");
    }
}

/// Texts of an entry, strange ones more often than by chance.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        proptest::sample::select(vec!["\u{fffe}", "\u{ffff}", "\u{fffd}", "\"", "\\", "\u{1}"])
            .prop_map(str::to_owned),
        "\\PC{0,4}",
        proptest::char::any().prop_map(String::from),
    ];
    proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat().replace('\0', ""))
}

proptest! {
    #[test]
    fn any_entry_passes_the_queue_and_is_the_same_behind_it(
        user_id in texts(), text in proptest::option::of(texts()), json in texts(),
    ) {
        // As a client may write it: with nothing escaped that need not be.
        let json = serde_json::to_string(&[&json]).unwrap();
        let entry = StoredEntry {
            user_id: &user_id,
            user_name: text.as_deref(),
            message: text.as_deref(),
            before: Some(&json),
            metadata: Some("{}"),
            ..strange()
        };
        let [_, tenant_id] = tenants();
        let text = message(&[(tenant_id, entry)]);
        prop_assert!(text.chars().all(is_taken), "{:?}", text);
        let read = read_message(&text).unwrap();
        assert_same(&read[0], (tenant_id, entry));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
        prop_assert!(read_message(&text).is_err());
    }
}
