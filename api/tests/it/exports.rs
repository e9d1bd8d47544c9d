//! `GET /logs/export`: three forms of the same entries, whole or visibly not.

use std::collections::HashMap;
use std::time::Duration;

use api::export::encoding::{Encoder, Format};
use domain::{
    LogOwner, Place, Seq, Severity, StoredEntry, TenantId, Timestamp, inert_cell, original_cell,
};
use http_body_util::BodyExt as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::macros::datetime;

use crate::support::app::{Caller, TestApp, send};
use crate::support::command;
use crate::support::proxy::{Proxy, Way};
use crate::support::seeds::seed;
use crate::support::{eventually, history};

/// Everything an answer consists of.
struct Exported {
    headers: HashMap<String, String>,
    bytes: Vec<u8>,
    trailers: HashMap<String, String>,
    /// Whether the stream ended as it should.
    whole: bool,
}

async fn export(caller: &Caller<'_>, query: &str) -> Exported {
    let path = format!("/logs/export?{query}");
    let answer = caller.request(Method::GET, &path).header("te", "trailers").send().await.unwrap();
    assert_eq!(answer.status(), 200, "{query}");
    let text = |headers: &reqwest::header::HeaderMap| {
        let pairs = headers.iter();
        pairs.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    };
    let headers = text(answer.headers());
    let (mut bytes, mut trailers, mut whole) = (Vec::new(), HashMap::new(), true);
    let mut body = reqwest::Body::from(answer);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) if frame.is_data() => bytes.extend(frame.into_data().unwrap()),
            Ok(frame) => trailers = text(&frame.into_trailers().unwrap()),
            Err(_) => whole = false,
        }
    }
    Exported { headers, bytes, trailers, whole }
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The entries of an NDJSON export, after its end record was checked.
fn ndjson(bytes: &[u8]) -> (Vec<Value>, Value) {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut lines: Vec<&str> = text.strip_suffix('\n').unwrap().split('\n').collect();
    let end: Value = serde_json::from_str(lines.pop().unwrap()).unwrap();
    let before_end = &bytes[..lines.iter().map(|line| line.len() + 1).sum()];
    assert_eq!(end["end"]["sha256"], sha256(before_end));
    assert_eq!(end["end"]["rows"], lines.len());
    (lines.into_iter().map(|line| serde_json::from_str(line).unwrap()).collect(), end)
}

async fn completed(caller: &Caller<'_>, exported: &Exported) -> Option<Value> {
    let id = &exported.headers["x-export-id"];
    let path = format!("/logs?action=export.completed&resource_id={id}");
    caller.get(&path).await.body["data"][0].as_object().map(|entry| entry["metadata"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_forms_hold_the_same_entries_and_say_that_they_are_whole() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "admin");
    for n in 0..50 {
        let entry =
            json!({"message": format!("=cmd|'{n}'\"\r\n, ü"), "after": {"n": n, "x": -1e2}});
        caller.post_entry(entry).await.created();
    }
    let listed = caller.get("/logs?order=asc&limit=1000").await;
    let listed = listed.body["data"].as_array().unwrap();

    let lines = export(&caller, "format=ndjson").await;
    assert!(lines.headers["content-disposition"].ends_with(".ndjson\""));
    let (entries, end) = ndjson(&lines.bytes);
    assert_eq!(&entries, listed);
    assert_eq!(end["end"]["first_seq"], 1);
    assert_eq!(end["end"]["last_seq"], 50);
    assert_eq!(lines.headers["x-export-first-seq"], "1");
    assert_eq!(lines.headers["x-export-last-seq"], "50");
    assert_eq!(lines.trailers["x-export-sha256"], end["end"]["sha256"].as_str().unwrap());
    assert_eq!(completed(&caller, &lines).await.unwrap(), end["end"]);

    let before = "to=2100-01-01T00:00:00Z&resource_type=thing";
    let array = export(&caller, &format!("format=json&{before}")).await;
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&array.bytes).unwrap(), entries);
    assert_eq!(array.trailers["x-export-sha256"], sha256(&array.bytes));

    let table = export(&caller, &format!("format=csv&{before}")).await;
    assert_eq!(table.trailers["x-export-sha256"], sha256(&table.bytes));
    assert_eq!(table.trailers["x-export-rows"], "50");
    let mut reader = csv::Reader::from_reader(&table.bytes[..]);
    assert_eq!(reader.headers().unwrap(), &StoredEntry::FIELDS[..]);
    for (record, entry) in reader.records().zip(&entries) {
        for (cell, name) in record.unwrap().iter().zip(StoredEntry::FIELDS) {
            let text = match &entry[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(original_cell(cell), text, "{name}");
        }
    }
    let raw = export(&caller, &format!("format=csv&raw=true&{before}")).await;
    assert!(String::from_utf8(raw.bytes).unwrap().contains(",\"=cmd|'0'\"\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_the_head_alone_leaves_no_export_that_was_never_completed() {
    let app = TestApp::shared().await;
    let caller = app.caller(app.tenant().await, "admin");
    caller.post_entry(json!({})).await.created();
    let answer = send(caller.request(Method::HEAD, "/logs/export?format=ndjson")).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, ""));
    assert_eq!(answer.headers["x-export-last-seq"], "1");
    for absent in ["x-export-id", "content-length"] {
        assert!(!answer.headers.contains_key(absent), "{absent}: {answer:?}");
    }
    assert_eq!(caller.get("/logs").await.body["head_seq"], 1, "nothing was recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_on_after_the_last_entry_received() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "admin");
    for _ in 0..9 {
        caller.record("VIEW").await;
    }
    let first = export(&caller, "format=ndjson&max_entries=4").await;
    let (entries, end) = ndjson(&first.bytes);
    assert_eq!((entries.len(), &end["end"]["last_seq"]), (4, &json!(4)));
    let id = entries[3]["id"].as_str().unwrap();
    let rest = export(&caller, &format!("format=ndjson&action=VIEW&cursor={id}")).await;
    assert_eq!(rest.headers["x-export-first-seq"], "5");
    let (entries, _) = ndjson(&rest.bytes);
    assert_eq!(
        entries.iter().map(|entry| entry["seq"].as_i64().unwrap()).collect::<Vec<_>>(),
        [5, 6, 7, 8, 9]
    );
    let list = caller.get("/logs?order=asc&limit=7&action=VIEW").await;
    let cursor = list.body["next_cursor"].as_str().unwrap();
    let rest = export(&caller, &format!("format=ndjson&action=VIEW&cursor={cursor}")).await;
    assert_eq!(ndjson(&rest.bytes).0.len(), 2, "a list's cursor does, too");

    let other = app.caller(app.tenant().await, "admin");
    for (caller, query) in [
        (&other, format!("cursor={id}")),
        (&other, format!("action=VIEW&cursor={cursor}")),
        (&caller, format!("cursor={cursor}")),
    ] {
        let answer = caller.get(&format!("/logs/export?{query}")).await;
        answer.assert_problem(400, "invalid_cursor");
    }
    for query in ["format=xml", "raw=true", "max_entries=0", "limit=5", "order=asc"] {
        let answer = caller.get(&format!("/logs/export?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_exports_to_nothing_that_is_whole() {
    let app = TestApp::start().await;
    for (format, bytes) in [("json", "[\n]\n"), ("csv", "")] {
        let caller_id = app.tenant().await;
        let caller = app.caller(caller_id, "auditor");
        let exported = export(&caller, &format!("format={format}")).await;
        let header = format!("{}\r\n", StoredEntry::FIELDS.join(","));
        let expected = if format == "csv" { header } else { bytes.to_owned() };
        assert_eq!(String::from_utf8(exported.bytes.clone()).unwrap(), expected);
        assert_eq!(exported.headers["x-export-last-seq"], "0");
        assert!(exported.whole && completed(&caller, &exported).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_exports_are_compressed_and_capped_and_a_gone_reader_frees_its_place() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut admin = app.db.admin().await;
    history::make_room(&mut admin).await;
    let (from, to) = (datetime!(2024-01-01 0:00 UTC), datetime!(2024-01-20 0:00 UTC));
    history::spread(&mut admin, tenant_id, 120_000, from, to).await;
    let caller = app.caller(tenant_id, "auditor");
    let whole = export(&caller, "format=ndjson").await;
    let (entries, _) = ndjson(&whole.bytes);
    let seqs: Vec<i64> = entries.iter().map(|entry| entry["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=120_000).collect::<Vec<_>>());

    let path = "/logs/export?format=ndjson&to=2024-02-01T00:00:00Z";
    let zipped = caller.request(Method::GET, path).header("accept-encoding", "gzip");
    let zipped = zipped.send().await.unwrap();
    assert_eq!(zipped.headers()["content-encoding"], "gzip");
    let zipped = zipped.bytes().await.unwrap();
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&zipped[..]), &mut text).unwrap();
    assert_eq!(ndjson(&text).0, entries);

    // Readers that take the head of the answer and then nothing.
    let mut stalled = Vec::new();
    for _ in 0..4 {
        stalled.push(caller.request(Method::GET, path).send().await.unwrap());
    }
    let refused = caller.get(path).await;
    refused.assert_problem(429, "rate_limited");
    assert!(refused.headers.contains_key("retry-after"));
    let other = app.caller(app.tenant().await, "auditor");
    assert!(export(&other, "format=csv").await.whole, "another tenant's export goes on");
    drop(stalled);
    eventually("the places are free again", Duration::from_secs(5), || async {
        caller.request(Method::GET, path).send().await.unwrap().status() == 200
    })
    .await;
    let ended = caller.get("/logs?action=export.completed").await;
    assert_eq!(ended.body["data"].as_array().unwrap().len(), 2, "those that were cut have no end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_whose_entries_expire_is_cut_and_not_short() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut admin = app.db.admin().await;
    history::make_room(&mut admin).await;
    let (from, to) = (datetime!(2024-01-01 0:00 UTC), datetime!(2024-01-20 0:00 UTC));
    history::spread(&mut admin, tenant_id, 120_000, from, to).await;
    let caller = app.caller(tenant_id, "auditor");
    let path = "/logs/export?format=ndjson";
    let answer = caller.request(Method::GET, path).send().await.unwrap();
    let id = answer.headers()["x-export-id"].to_str().unwrap().to_owned();
    let mut body = reqwest::Body::from(answer);
    assert!(body.frame().await.unwrap().is_ok());
    let cleanup = "/logs/cleanup?older_than=2024-01-19T00:00:00Z";
    let admin = app.caller(tenant_id, "admin");
    let delete =
        async |more: &str| send(admin.request(Method::DELETE, &format!("{cleanup}{more}"))).await;
    let dry = delete("&dry_run=true").await;
    let done = delete(&format!("&confirm={}", dry.body["confirm"].as_str().unwrap())).await;
    assert_eq!((done.status.as_u16(), &done.body["last_seq"]), (200, &dry.body["last_seq"]));
    history::erase(&mut app.db.admin().await, tenant_id).await;
    let mut broken = false;
    while let Some(frame) = body.frame().await {
        broken |= frame.is_err();
    }
    assert!(broken, "a reader must see that something is missing");
    let ended = caller.get(&format!("/logs?action=export.completed&resource_id={id}")).await;
    assert_eq!(ended.body["data"], json!([]));
}

/// Cells that do harm in a spreadsheet, and such as look like them.
fn hostile_cell(random: &mut StdRng) -> String {
    const PIECES: [&str; 16] = [
        "=",
        "+",
        "-",
        "@",
        "'",
        "\"",
        " ",
        "\t",
        "\r\n",
        ",",
        "\u{a0}",
        "\u{feff}",
        "\u{1f}",
        "a",
        "cmd|' /C calc'!A0",
        "ü",
    ];
    let pieces = random.random_range(1..6);
    (0..pieces).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect()
}

#[test]
fn a_million_hostile_cells_come_out_inert_and_lead_back() {
    let mut random = StdRng::seed_from_u64(seed("hostile cells"));
    let tenant_id = TenantId::new(uuid::Uuid::from_u128(7));
    let at = Timestamp::from_millis(1_700_000_000_000);
    for _ in 0..10 {
        let rows: Vec<Vec<String>> =
            (0..7_700).map(|_| (0..13).map(|_| hostile_cell(&mut random)).collect()).collect();
        let mut encoder = Encoder::new(Format::Csv { raw: false }, LogOwner::of(tenant_id));
        for (seq, row) in (1..).zip(&rows) {
            let cell = |at: usize| row[at].as_str();
            encoder.add(&StoredEntry {
                place: Place { recorded_at: at, seq: Seq::new(seq).unwrap() },
                occurred_at: at,
                severity: Severity::Info,
                recorded_by: cell(0),
                user_id: cell(1),
                user_name: Some(cell(2)),
                session_id: Some(cell(3)),
                request_id: Some(cell(4)),
                action: cell(5),
                resource_type: cell(6),
                resource_id: Some(cell(7)),
                message: Some(cell(8)),
                ip_address: Some(cell(9)),
                user_agent: Some(cell(10)),
                before: Some(cell(11)),
                after: Some(cell(12)),
                metadata: None,
            });
        }
        assert_eq!(encoder.rows(), 7_700);
        let bytes = encoder.end();
        let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(&bytes[..]);
        for (record, row) in reader.records().zip(&rows) {
            let record = record.unwrap();
            let texts = [4, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18].map(|at| &record[at]);
            for (cell, text) in texts.into_iter().zip(row) {
                let visible = cell.trim_start_matches(|c: char| c == '"' || c.is_whitespace());
                assert!(!visible.starts_with(['=', '+', '-', '@']), "{cell:?}");
                assert_eq!((cell, original_cell(cell)), (&*inert_cell(text), text.as_str()));
            }
        }
    }
}

/// The program, against the real route, over a network that breaks again and again.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_brings_an_export_home_over_a_broken_network() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut admin = app.db.admin().await;
    history::make_room(&mut admin).await;
    let (from, to) = (datetime!(2024-01-01 0:00 UTC), datetime!(2024-01-20 0:00 UTC));
    history::spread(&mut admin, tenant_id, 60_000, from, to).await;
    let proxy = Proxy::before_service(&app.base).await;
    let folder = tempfile::tempdir().unwrap();
    for (format, filter) in
        [("ndjson", "to=2025-01-01T00:00:00Z"), ("json", "action=VIEW"), ("csv", "action=VIEW")]
    {
        let file = folder.path().join(format);
        let identity = app.caller(tenant_id, "auditor").headers;
        let headers =
            identity.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let headers: Vec<String> =
            headers.flat_map(|header| ["--header".to_owned(), header]).collect();
        let flags =
            ["export", "--format", format, "--filter", filter, "--output", file.to_str().unwrap()];
        let args: Vec<&str> = flags.into_iter().chain(headers.iter().map(String::as_str)).collect();
        let env = [("AUDIT_URL", proxy.url.as_str())];
        let ended = std::pin::pin!(command::run(&args, &env));
        let breaking = async {
            for _ in 0..3 {
                proxy.cut_after(Way::ToService, 700_000);
                tokio::time::sleep(Duration::from_millis(500)).await;
                proxy.mend();
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        let (ended, ()) = tokio::join!(ended, breaking);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let got = std::fs::read(&file).unwrap();
        let whole =
            export(&app.caller(tenant_id, "auditor"), &format!("format={format}&{filter}")).await;
        assert_eq!(entries_of(&got, format), entries_of(&whole.bytes, format));
    }
}

/// The bytes of all entries, without what stands around them.
fn entries_of<'b>(bytes: &'b [u8], format: &str) -> Vec<&'b str> {
    let lines = std::str::from_utf8(bytes).unwrap().lines();
    lines.filter(|line| format != "ndjson" || !line.starts_with("{\"end\"")).collect()
}
