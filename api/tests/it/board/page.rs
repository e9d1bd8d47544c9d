//! The page as it is served: to whom, with which headers, how much of it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::json;

use crate::support::app::{Answer, TestApp, send};
use crate::support::database::TestDb;

/// What the page and its files may weigh, compressed.
const BYTES_MAX: usize = 100 << 10;

/// The addresses of the page's files.
fn files(page: &str) -> Vec<String> {
    let quoted = page.split('"').filter(|part| part.starts_with("board/"));
    let mut files: Vec<_> = quoted.map(|part| format!("/logs/{part}")).collect();
    files.sort();
    files.dedup();
    files
}

fn gzipped(text: &str) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap().len()
}

fn assert_strict(answer: &Answer) {
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    for part in ["connect-src 'self'", "form-action 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(policy.contains("require-trusted-types-for 'script'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["referrer-policy"], "no-referrer");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_all_it_needs_come_from_here_under_a_strict_policy_and_are_small() {
    let app = TestApp::shared().await;
    let caller = app.caller(app.tenant().await, "auditor");
    let page = caller.get("/logs/board").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_strict(&page);
    let mut bytes = gzipped(&page.text);
    let files = files(&page.text);
    assert!(files.len() > 20, "{files:?}");
    for path in &files {
        let file = caller.get(path).await;
        assert_eq!(file.status, 200, "{path}");
        assert_strict(&file);
        assert!(file.headers["cache-control"].to_str().unwrap().contains("immutable"), "{path}");
        bytes += gzipped(&file.text);
    }
    eprintln!("the board: {} files, {bytes} bytes compressed", files.len() + 1);
    assert!(bytes <= BYTES_MAX, "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_version_is_ours_and_is_not_kept() {
    let app = TestApp::shared().await;
    let caller = app.caller(app.tenant().await, "auditor");
    let other = caller.get("/logs/board/0000000000000000/main.js").await;
    assert_eq!(other.status, 200);
    assert_eq!(other.headers["cache-control"], "private, no-cache");
    caller.get("/logs/board/0000000000000000/other.js").await.assert_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_comes_without_a_proof_where_a_gateway_brings_it() {
    let app = TestApp::shared().await;
    let caller = app.caller(app.tenant().await, "auditor");
    let page = caller.get("/logs/board").await;
    let nobody = caller.without("x-gateway-secret");
    for path in files(&page.text).iter().map(String::as_str).chain(["/logs/board"]) {
        nobody.get(path).await.assert_problem(401, "unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_use_it_gets_a_page_that_says_so_or_a_problem_as_asked() {
    let app = TestApp::shared().await;
    let caller = app.caller(app.tenant().await, "user");
    caller.get("/logs/board").await.assert_problem(403, "forbidden_role");
    caller.get("/logs/board/session").await.assert_problem(403, "forbidden_role");
    let page = caller.with("accept", "text/html,application/xhtml+xml").get("/logs/board").await;
    assert_eq!(page.status, 403);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.text.starts_with("<!doctype html>"));
    assert_strict(&page);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_token_is_the_proof_the_page_comes_without_and_nothing_else_does() {
    let keys = super::keys::Keys::new();
    let app = TestApp::start_with(TestDb::new().await, &keys.flags()).await;
    let nobody = app.with_headers(reqwest::header::HeaderMap::new());
    let page = nobody.get("/logs/board").await;
    assert_eq!(page.status, 200);
    assert_strict(&page);
    for path in files(&page.text) {
        assert_eq!(nobody.get(&path).await.status, 200, "{path}");
    }
    for path in ["/logs", "/logs/board/session", "/logs/board/x/other.js", "/logs/board/"] {
        nobody.get(path).await.assert_problem(401, "unauthenticated");
    }
    let posted = send(nobody.request(Method::POST, "/logs/board")).await;
    posted.assert_problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_told_who_is_looking() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "auditor").with_bytes("x-user-name", "Zoë".as_bytes());
    let session = caller.get("/logs/board/session").await;
    let expected = json!({
        "auth": "gateway",
        "user_id": "alice",
        "user_name": "Zoë",
        "roles": ["auditor"],
        "tenant_id": tenant_id.to_string(),
        "tenant_name": "test",
        "suspended": false,
    });
    assert_eq!(session.body, expected);
    assert_eq!(session.headers["cache-control"], "private, no-store");
}
