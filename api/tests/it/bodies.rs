//! Bodies, headers and query strings that are refused before an entry is looked at.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::app::{Caller, TestApp, entry};
use crate::support::log::assert_len;
use crate::writing::{gzip, raw_zstd};

const JSON: &str = "application/json";
const BULK_BYTES_MAX: usize = 10 << 20;
const ENTRY_BYTES_MAX: usize = 512 << 10;

async fn user(app: &TestApp) -> (domain::TenantId, Caller<'_>) {
    let tenant_id = app.tenant().await;
    (tenant_id, app.caller(tenant_id, "user"))
}

/// One entry in a body of exactly so many bytes.
fn padded(prefix: &str, suffix: &str, bytes: usize) -> String {
    let body = format!("{prefix}{}{suffix}", entry(json!({})));
    format!("{}{body}", " ".repeat(bytes - body.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_taken_at_its_limit_and_refused_one_byte_over() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    for (n, path, max, prefix, suffix) in
        [(1, "/logs", ENTRY_BYTES_MAX, "", ""), (2, "/logs/bulk", BULK_BYTES_MAX, "[", "]")]
    {
        let over = padded(prefix, suffix, max + 1);
        for _ in 0..5 {
            let answer = caller.post_raw(path, JSON, over.clone()).await;
            answer.assert_problem(413, "body_too_large");
        }
        // Compressed, it is known to be too large only once it has been unpacked so far.
        let packed = caller.clone().with("content-encoding", "gzip");
        let answer = packed.post_raw(path, JSON, gzip(over.as_bytes())).await;
        answer.assert_problem(413, "body_too_large");
        assert_len(app, tenant_id, n - 1).await;
        caller.post_raw(path, JSON, padded(prefix, suffix, max)).await.created();
    }
    assert_len(app, tenant_id, 2).await;
    let packed = caller.clone().with("content-encoding", "gzip");
    let body = gzip(padded("[", "]", BULK_BYTES_MAX).as_bytes());
    packed.post_raw("/logs/bulk", JSON, body).await.created();
}

/// What is unpacked is thrown away at the limit: a gigabyte behind a megabyte costs neither
/// the memory nor the time of a gigabyte.
#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_refused_at_the_limit_without_being_unpacked() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let block = gzip(&vec![b' '; 64 << 20]);
    let gzip_bomb = block.repeat(16);
    // Run-length blocks of 128 KiB, four bytes each.
    let mut zstd_bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    let blocks: u32 = 8_192;
    for n in 1..=blocks {
        let header: u32 = ((128 << 10) << 3) | (1 << 1) | u32::from(n == blocks);
        zstd_bomb.extend(&header.to_le_bytes()[..3]);
        zstd_bomb.push(b' ');
    }
    for (encoding, bomb) in [("gzip", gzip_bomb), ("zstd", zstd_bomb)] {
        let before = resident_bytes();
        let begun = Instant::now();
        let caller = caller.clone().with("content-encoding", encoding);
        let answer = caller.post_raw("/logs/bulk", JSON, bomb).await;
        answer.assert_problem(413, "body_too_large");
        assert!(begun.elapsed() < Duration::from_secs(5), "{encoding}: {:?}", begun.elapsed());
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 256 << 20, "{encoding}: {grown} bytes more");
    }
    assert_len(app, tenant_id, 0).await;
}

/// Of this process, which is the service's, too; 0 where there is no /proc.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or_default() * 4_096
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_what_its_encoding_says_is_refused() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let body = entry(json!({ "message": "x".repeat(1_000) })).to_string();
    let whole = gzip(body.as_bytes());
    let mut wrong_sum = whole.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    let zstd = raw_zstd(body.as_bytes());
    for (encoding, bytes) in [
        ("gzip", &whole[..whole.len() - 1]),
        ("gzip", &whole[..whole.len() / 2]),
        ("gzip", &wrong_sum),
        ("gzip", body.as_bytes()),
        ("zstd", &zstd[..zstd.len() - 1]),
        ("zstd", body.as_bytes()),
    ] {
        for path in ["/logs", "/logs/bulk"] {
            let caller = caller.clone().with("content-encoding", encoding);
            let answer = caller.post_raw(path, JSON, bytes.to_vec()).await;
            answer.assert_problem(400, "invalid_request");
        }
    }
    for encoding in ["br", "deflate", "compress", "x", "gzip, gzip", ""] {
        let caller = caller.clone().with("content-encoding", encoding);
        let answer = caller.post_raw("/logs", JSON, whole.clone()).await;
        answer.assert_problem(415, "unsupported_encoding");
    }
    assert_len(app, tenant_id, 0).await;
    let identity = caller.with("content-encoding", "identity");
    identity.post_raw("/logs", JSON, body).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_says_what_it_is() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let body = json!([entry(json!({}))]).to_string();
    for media in ["text/plain", "application/xml", "application/jsonx", "", "json", "*/*"] {
        for path in ["/logs", "/logs/bulk"] {
            let answer = caller.post_raw(path, media, body.clone()).await;
            answer.assert_problem(415, "unsupported_media_type");
        }
    }
    let single = caller.post_raw("/logs", "application/x-ndjson", body.clone()).await;
    single.assert_problem(415, "unsupported_media_type");
    for headers in [&[][..], &[JSON, JSON]] {
        let mut request = caller.request(reqwest::Method::POST, "/logs/bulk").body(body.clone());
        for value in headers {
            request = request.header("content-type", *value);
        }
        let answer = crate::support::app::send(request).await;
        answer.assert_problem(415, "unsupported_media_type");
    }
    assert_len(app, tenant_id, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_made_to_cost_much_costs_little() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let brackets = "[".repeat(200_000);
    let closed = format!("{brackets}{}", "]".repeat(200_000));
    let keys: Vec<_> = (0..60_000).map(|n| format!("\"{n:x}\":0")).collect();
    let same: Vec<_> = vec!["\"k\":0"; 60_000];
    let in_before =
        |value: &str| format!(r#"{{"action":"VIEW","resource_type":"x","before":{value}}}"#);
    let begun = Instant::now();
    for body in [
        brackets.clone(),
        closed.clone(),
        in_before(&closed),
        "{\"a\":".repeat(80_000),
        in_before(&format!("{{{}}}", keys.join(","))),
        in_before(&format!("{{{}}}", same.join(","))),
        format!("{{{}}}", keys.join(",")),
    ] {
        for path in ["/logs", "/logs/bulk", "/logs/bulk?partial=true"] {
            let answer = caller.post_raw(path, JSON, body.clone()).await;
            let status = answer.status.as_u16();
            assert!([400, 413, 422].contains(&status), "{status} {}", answer.text);
            assert!(answer.text.len() < 64 << 10);
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_len(app, tenant_id, 0).await;
    caller.post_entry(json!({})).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_is_known_given_once_and_not_empty() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let id = caller.record("VIEW").await;
    let body = json!([entry(json!({}))]);
    for (query, code, named) in [
        ("?parital=true", "unknown_parameter", "`parital`"),
        ("?partial=true&x=1", "unknown_parameter", "`x`"),
        ("?partial=true&partial=true", "invalid_parameter", "`partial`"),
        ("?partial=", "invalid_parameter", "`partial`"),
        ("?partial", "invalid_parameter", "`partial`"),
        ("?partial=1", "invalid_parameter", "`partial`"),
        ("?partial=TRUE", "invalid_parameter", "`partial`"),
        ("?=", "unknown_parameter", "``"),
    ] {
        let answer = caller.post(&format!("/logs/bulk{query}"), &body).await;
        answer.assert_problem(400, code);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(named), "{detail}");
    }
    caller.post("/logs?partial=true", &body[0]).await.assert_problem(400, "unknown_parameter");
    let read = caller.get(&format!("/logs/{id}?x=1")).await;
    read.assert_problem(400, "unknown_parameter");
    for query in ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1&limit=1"] {
        let answer = app.operator().get(&format!("/tenants?{query}")).await;
        answer.assert_problem(400, "invalid_parameter");
    }
    for cursor in ["x", "!!!!", "AAAA"] {
        let answer = app.operator().get(&format!("/tenants?cursor={cursor}")).await;
        answer.assert_problem(400, "invalid_cursor");
    }
    assert_len(app, tenant_id, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_one_of_255_visible_characters() {
    let app = TestApp::shared().await;
    let (tenant_id, caller) = user(app).await;
    let key = "idempotency-key";
    for caller in [
        caller.clone().with(key, ""),
        caller.clone().with(key, &"k".repeat(256)),
        caller.clone().with(key, "a b"),
        caller.clone().with_bytes(key, b"a\tb"),
        caller.clone().with_bytes(key, "é".as_bytes()),
        caller.clone().with(key, "a").with_another(key, "a"),
    ] {
        for (path, body) in [("/logs", entry(json!({}))), ("/logs/bulk", json!([entry(json!({}))]))]
        {
            let answer = caller.post(path, &body).await;
            answer.assert_problem(400, "invalid_idempotency_key");
        }
    }
    assert_len(app, tenant_id, 0).await;
    caller.with(key, &"~".repeat(255)).post_entry(json!({})).await.created();
}
