//! Entries that are good, and how they are written.

use domain::{
    Action, CallerDefaults, ENTRY_BYTES_MAX, Entry, NewEntry, Place, Seq, Severity, TenantId,
    TenantTag, Timestamp,
};
use serde_json::Value;

use crate::{NOW, caller, check, entry_with};

const TENANT: &str = "0193a5f2-7b1c-7000-8000-000000000001";

fn at_place(new: NewEntry, seq: i64) -> Entry {
    let recorded_at = Timestamp::parse(NOW).unwrap();
    let place = Place { recorded_at, seq: Seq::new(seq).unwrap() };
    Entry::new(TenantId::parse(TENANT).unwrap(), place, new)
}

fn answered(body: &str) -> Value {
    let text = serde_json::to_string(&at_place(check(body).unwrap(), 42)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_least_entry_is_completed_by_its_caller() {
    let entry = at_place(check(&entry_with("")).unwrap(), 42);
    let expected = concat!(
        r#"{"id":"01a1fe28-3833-7000-8000-00a8aff89a0f","seq":42,"#,
        r#""tenant_id":"0193a5f2-7b1c-7000-8000-000000000001","#,
        r#""recorded_at":"2026-11-21T12:50:11.123Z","recorded_by":"gateway:anna","#,
        r#""occurred_at":"2026-11-21T12:50:11.123Z","user_id":"anna","user_name":"Anna","#,
        r#""session_id":null,"request_id":"req-1","action":"UPDATE","#,
        r#""resource_type":"invoice","resource_id":null,"severity":"INFO","message":null,"#,
        r#""ip_address":"192.0.2.7","user_agent":"curl/8","#,
        r#""before":null,"after":null,"metadata":null}"#,
    );
    assert_eq!(serde_json::to_string(&entry).unwrap(), expected);
}

#[test]
fn the_full_entry_is_answered_as_it_was_sent() {
    let entry = at_place(
        check(
            r#"{
                "occurred_at": "2026-11-21T13:50:00.5+01:00",
                "user_id": "bob", "user_name": "Bob \ud83d\ude00",
                "session_id": "s", "request_id": "r",
                "action": "invoice.approved", "resource_type": "invoice", "resource_id": "",
                "severity": "CRITICAL", "message": "a \"quoted\"\u0001 line\n",
                "ip_address": "2001:DB8:0:0:0:0:0:1", "user_agent": "",
                "before": 1.0, "after": [ ], "metadata": { "n": 12345678901234567890123 }
            }"#,
        )
        .unwrap(),
        1,
    );
    let text = serde_json::to_string(&entry).unwrap();
    let (_, from_recorded_by) = text.split_once(r#","recorded_by""#).unwrap();
    assert_eq!(
        from_recorded_by,
        concat!(
            r#":"gateway:anna","occurred_at":"2026-11-21T12:50:00.500Z","user_id":"bob","#,
            r#""user_name":"Bob 😀","session_id":"s","request_id":"r","#,
            r#""action":"invoice.approved","resource_type":"invoice","resource_id":"","#,
            r#""severity":"CRITICAL","message":"a \"quoted\"\u0001 line\n","#,
            r#""ip_address":"2001:db8::1","user_agent":"","#,
            r#""before":1.0,"after":[],"metadata":{"n":12345678901234567890123}}"#,
        )
    );
}

#[test]
fn null_is_as_good_as_absent() {
    let all_null = [
        "occurred_at",
        "user_id",
        "user_name",
        "session_id",
        "request_id",
        "resource_id",
        "severity",
        "message",
        "ip_address",
        "user_agent",
        "before",
        "after",
        "metadata",
    ]
    .map(|field| format!(r#","{field}":null"#));
    assert_eq!(check(&entry_with(&all_null.concat())), check(&entry_with("")));
}

#[test]
fn aliases_are_the_fields_they_stand_for() {
    let alias = entry_with(r#","before_state":1,"after_state":2,"log_metadata":{"a":3}"#);
    let named = entry_with(r#","before":1,"after":2,"metadata":{"a":3}"#);
    assert_eq!(check(&alias).unwrap(), check(&named).unwrap());
}

#[test]
fn the_callers_name_never_stands_beside_another_actor() {
    let actor = |members: &str| {
        let entry = answered(&entry_with(members));
        (entry["user_id"].clone(), entry["user_name"].clone())
    };
    assert_eq!(actor(""), ("anna".into(), "Anna".into()));
    assert_eq!(actor(r#","user_id":null"#), ("anna".into(), "Anna".into()));
    assert_eq!(actor(r#","user_id":"bob""#), ("bob".into(), Value::Null));
    assert_eq!(actor(r#","user_name":"A.""#), ("anna".into(), "A.".into()));
    assert_eq!(actor(r#","user_id":"bob","user_name":"B.""#), ("bob".into(), "B.".into()));
}

#[test]
fn the_service_writes_entries_of_its_own() {
    const UPDATED: Action = Action::from_static("tenant.updated");
    let entry = NewEntry::own(&caller(), UPDATED);
    assert!(entry.is_own());
    assert_eq!(entry.recorded_by.as_str(), "gateway:anna");
    assert_eq!(entry.severity, Severity::Info);
    let entry = at_place(NewEntry::own(&CallerDefaults::service(), UPDATED), 1);
    assert_eq!(entry.content().user_id.as_str(), "audit-log");
    assert_eq!(entry.content().resource_type.as_str(), "audit_log");
}

#[test]
fn an_id_made_with_the_tag_is_the_same() {
    let entry = at_place(check(&entry_with("")).unwrap(), 7);
    let tag = TenantTag::of(entry.tenant_id());
    let tagged = Entry::with_tag(entry.tenant_id(), tag, entry.place(), entry.content().clone());
    assert_eq!(tagged, entry);
    assert_eq!(entry.id().place_in(entry.tenant_id()), Some(entry.place()));
}

#[test]
fn an_entry_has_64_kib_of_json_wherever_it_is_placed() {
    let sized = |n: usize| check(&entry_with(&format!(r#","before":"{}""#, "x".repeat(n))));
    let length =
        |entry: NewEntry| serde_json::to_string(&at_place(entry, Seq::MAX.get())).unwrap().len();
    let rest = length(sized(0).unwrap());
    let largest = sized(ENTRY_BYTES_MAX - rest).unwrap();
    assert_eq!(length(largest), ENTRY_BYTES_MAX);
    assert!(sized(ENTRY_BYTES_MAX - rest + 1).is_err());
}

#[test]
fn the_weight_of_an_entry_grows_with_its_texts() {
    let small = check(&entry_with("")).unwrap().weight();
    let large = check(&entry_with(&format!(r#","message":"{}""#, "x".repeat(1_000)))).unwrap();
    assert_eq!(large.weight(), small + 1_000);
}
