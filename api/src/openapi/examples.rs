//! Examples of bodies. Tests hold each against its schema.

use domain::ProblemCode;
use serde_json::{Value, json};

use super::problems;
use crate::error::ApiError;

pub(super) const ENTRY_ID: &str = "019fe4c5-7d60-7000-8000-00000004a5f2";
pub(super) const TENANT_ID: &str = "019fe4c0-0000-7000-8000-000000000001";
pub(super) const LIVE_CURSOR: &str = "AQAAAAAAAAABAZ_kxX1gAAAAAAAAAAABq1dTzWkKXy0Jm3vQ";
pub(super) const VERSION: &str = "0123456789abcdef";

const RECORDED_AT: &str = "2026-11-21T12:50:11.123Z";

/// An entry as it is sent.
pub(super) fn new_entry() -> Value {
    json!({
        "action": "UPDATE",
        "resource_type": "invoice",
        "resource_id": "inv-4711",
        "severity": "INFO",
        "message": "invoice approved",
        "before": { "state": "draft" },
        "after": { "state": "approved" },
        "metadata": { "amount": 1200 },
    })
}

/// The same as NDJSON.
pub(super) fn lines() -> Value {
    json!(
        "{\"action\":\"CREATE\",\"resource_type\":\"invoice\"}\n{\"action\":\"VIEW\",\"resource_type\":\"invoice\"}\n"
    )
}

/// The same as it is answered.
pub(super) fn entry() -> Value {
    json!({
        "id": ENTRY_ID, "seq": 1, "tenant_id": TENANT_ID, "recorded_at": RECORDED_AT, "recorded_by": "alice",
        "occurred_at": RECORDED_AT, "user_id": "alice", "user_name": null, "session_id": null,
        "request_id": "req-7f3a", "action": "UPDATE", "resource_type": "invoice", "resource_id": "inv-4711",
        "severity": "INFO", "message": "invoice approved", "ip_address": "127.0.0.1", "user_agent": "curl/8.14.1",
        "before": { "state": "draft" }, "after": { "state": "approved" }, "metadata": { "amount": 1200 },
    })
}

pub(super) fn bulk() -> Value {
    json!({ "accepted": 1, "first_seq": 1, "last_seq": 1, "ids": [ENTRY_ID] })
}

pub(super) fn bulk_in_part() -> Value {
    let mut bulk = bulk();
    bulk["errors"] =
        json!([{ "index": 1, "field": "action", "code": "required", "detail": "give this field" }]);
    bulk
}

pub(super) fn page() -> Value {
    json!({
        "data": [entry()], "next_cursor": null, "head_seq": 1, "floor_seq": 1, "live_cursor": LIVE_CURSOR,
        "scanned_to": 1,
    })
}

pub(super) fn found() -> Value {
    let mut page = page();
    page["source"] = json!("opensearch");
    page["index"] = json!({ "expected": 1, "indexed": 1, "complete": true });
    page["total"] = json!({ "value": 1, "exact": true });
    page["facets"] = json!({ "action": [{ "value": "UPDATE", "count": 1 }] });
    page["highlights"] = json!({ ENTRY_ID: [{ "field": "message", "text": "invoice approved", "ranges": [[0, 7]] }] });
    page
}

pub(super) fn stats() -> Value {
    let row = json!({ "bucket": "2026-11-21T00:00:00.000Z", "action": "UPDATE", "count": 1 });
    json!({ "data": [row], "partial": false, "head_seq": 1, "floor_seq": 1 })
}

/// One line of NDJSON, and the end record.
pub(super) fn exported_lines() -> Value {
    let sha256 = "0".repeat(64);
    let end = json!({ "end": { "rows": 1, "first_seq": 1, "last_seq": 1, "sha256": sha256 } });
    json!(format!("{}\n{end}\n", entry()))
}

pub(super) fn exported_cells() -> Value {
    json!("id,seq,tenant_id,recorded_at,…\r\n")
}

pub(super) fn range() -> Value {
    json!({ "older_than": "2020-01-01T00:00:00.000Z", "first_seq": 1, "last_seq": 0, "entries": 0 })
}

pub(super) fn dry_run() -> Value {
    let mut range = range();
    range["confirm"] = json!("c2VudCBhcyBjb25maXJtLCBpdCBtYWtlcyBpdCBzby4");
    range
}

pub(super) fn certificate() -> Value {
    json!({
        "id": "019fe4c9-0000-7000-8000-000000000001", "rule": "retention", "older_than": "2026-08-01T00:00:00.000Z",
        "first_seq": 1, "last_seq": 100, "entries": 100, "first_recorded_at": "2026-07-01T08:00:00.000Z",
        "last_recorded_at": "2026-07-31T21:00:00.000Z", "expired_by": "audit-log",
        "expired_at": RECORDED_AT, "erased_at": null,
    })
}

pub(super) fn list_of(item: &Value) -> Value {
    json!({ "data": [item], "next_cursor": null })
}

pub(super) fn ticket() -> Value {
    json!({ "ticket": "dGhlIHByb29mIGZvciBvbmUgc3RyZWFtLCAzMCBzZWM", "expires_at": RECORDED_AT })
}

/// The first event of a stream.
pub(super) fn event() -> Value {
    let hello = json!({ "type": "hello", "cursor": LIVE_CURSOR, "head_seq": 1, "floor_seq": 1 });
    json!({ "event": "hello", "id": LIVE_CURSOR, "data": hello.to_string() })
}

pub(super) fn session() -> Value {
    json!({
        "auth": "gateway", "user_id": "alice", "user_name": "Alice", "roles": ["auditor"], "tenant_id": TENANT_ID,
        "tenant_name": "Example", "suspended": false,
    })
}

pub(super) fn new_tenant() -> Value {
    json!({ "name": "Example", "retention_days": 365 })
}

pub(super) fn tenant_change() -> Value {
    json!({ "retention_days": 400, "masked_keys": ["iban"] })
}

pub(super) fn tenant() -> Value {
    json!({
        "id": TENANT_ID, "name": "Example", "suspended": false, "retention_days": 365, "retention_kept": null,
        "legal_hold": { "reason": "case 2026-17", "by": "alice", "at": RECORDED_AT }, "masking": true,
        "masked_keys": ["iban"], "record_reads": true, "limits": { "write": "500/s:1000" }, "version": 2, "created_at": RECORDED_AT,
    })
}

pub(super) fn health() -> Value {
    json!({ "status": "ok" })
}

pub(super) fn readiness(ready: bool) -> Value {
    let (status, partitions) = if ready { ("ready", "ok") } else { ("not ready", "missing") };
    json!({ "status": status, "parts": { "postgres": "ok", "partitions": partitions, "search": "off" } })
}

pub(super) fn html() -> Value {
    json!("<!doctype html>…")
}

/// A problem with nothing but what each of its code has.
pub(super) fn problem(code: ProblemCode) -> Value {
    json!({
        "type": ApiError::type_of(code),
        "title": code.title(),
        "status": ApiError::status_of(code).as_u16(),
        "detail": problems::remedy(code),
        "code": code.as_str(),
    })
}
