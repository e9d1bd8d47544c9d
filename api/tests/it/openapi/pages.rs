//! The documents as they are served: to everybody, under a strict policy, and in a real browser.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::board::stage::run;
use crate::support::app::TestApp;

const PAGES: [&str; 4] = ["/docs", "/redoc", "/api/v1/docs", "/api/v1/redoc"];

async fn get(app: &TestApp, path: &str) -> (HeaderMap, String) {
    let answer = app.client.get(format!("{}{path}", app.base)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    (answer.headers().clone(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_comes_without_a_proof_with_and_without_the_base() {
    let app = TestApp::shared().await;
    for path in ["/openapi.json", "/api/v1/openapi.json"] {
        let (headers, text) = get(app, path).await;
        assert_eq!(headers["content-type"], "application/json");
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document, api::openapi::document());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_and_all_they_need_come_from_here_under_a_strict_policy() {
    let app = TestApp::shared().await;
    for path in PAGES {
        let (headers, page) = get(app, path).await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"),
            "{policy}"
        );
        let files: Vec<_> = page.split('"').filter(|part| part.starts_with("docs/")).collect();
        assert!(files.len() >= 3, "{page}");
        for file in files {
            let folder = path.rsplit_once('/').unwrap().0;
            let (headers, text) = get(app, &format!("{folder}/{file}")).await;
            assert!(headers["cache-control"].to_str().unwrap().contains("immutable"), "{file}");
            assert!(!text.is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_good_for_one_answer() {
    let app = TestApp::shared().await;
    let (first, page) = get(app, "/redoc").await;
    let (second, _) = get(app, "/redoc").await;
    assert_ne!(first["content-security-policy"], second["content-security-policy"]);
    let nonce = page.split("data-nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(
        first["content-security-policy"].to_str().unwrap().ends_with(&format!("'nonce-{nonce}'"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_gzip_gets_it_and_it_is_the_same() {
    let app = TestApp::shared().await;
    let (_, plain) = get(app, "/openapi.json").await;
    for (accepted, encoded) in
        [("gzip", true), ("br, gzip;q=0.5", true), ("gzip;q=0", false), ("zstd", false)]
    {
        let request = app
            .client
            .get(format!("{}/openapi.json", app.base))
            .header("accept-encoding", accepted);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["vary"], "accept-encoding");
        let encoding = answer
            .headers()
            .get("content-encoding")
            .map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(encoding.as_deref() == Some("gzip"), encoded, "{accepted}");
        if encoded {
            let bytes = answer.bytes().await.unwrap();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text)
                .unwrap();
            assert_eq!(text, plain);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_page_or_file_comes_below_the_base_without_a_proof() {
    let app = TestApp::shared().await;
    let nobody = app.with_headers(HeaderMap::new());
    for path in ["/docs/", "/docs/x", "/docs/x/y/z.js", "/redoc/", "/openapi.yaml", "/logs"] {
        nobody.get(path).await.assert_problem(401, "unauthenticated");
    }
    nobody.get("/docs/x/other.js").await.assert_problem(404, "not_found");
}

#[test]
fn the_files_of_others_are_as_they_were_published() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/vendor");
    let readme = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
    let rows: Vec<_> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let quoted: Vec<_> = row.split('`').collect();
        let bytes = std::fs::read(format!("{folder}/{}", quoted[1])).unwrap();
        assert_eq!(format!("{:x}", Sha256::digest(&bytes)), quoted[3], "{}", quoted[1]);
    }
}

async fn play(scenario: &str) {
    let app = TestApp::shared().await;
    run(scenario, &app.base, &json!({}), async |asked| panic!("{asked}?")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swagger_ui_shows_every_operation() {
    play("swagger_ui_shows_every_operation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redoc_shows_every_operation() {
    play("redoc_shows_every_operation").await;
}
