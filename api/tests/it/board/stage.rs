//! Scenarios that `tests/browser` plays in a real Chromium, on a real service.

use std::process::Stdio;
use std::time::Duration;

use domain::TenantId;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::support::app::{TestApp, identity};

/// The folder that `dev/browser.sh install` prints.
const BROWSER: &str = "AUDIT_TEST_BROWSER";

/// How long a scenario may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Browsers at a time: each is as hungry as the rest of the tests together.
static BROWSERS: Semaphore = Semaphore::const_new(2);

/// Plays a scenario as an admin of a new tenant.
pub(super) async fn play(scenario: &str) {
    play_as(scenario, "admin").await;
}

/// Plays a scenario in this role of a new tenant.
pub(super) async fn play_as(scenario: &str, role: &str) {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    run(scenario, &app.base, &proof(tenant_id, role), async |asked| panic!("{asked}?")).await;
}

/// The headers of somebody who comes through a gateway.
pub(super) fn proof(tenant_id: TenantId, role: &str) -> Value {
    to_json(&identity(Some(tenant_id), role))
}

fn to_json(headers: &HeaderMap) -> Value {
    let pairs = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap()));
    pairs.map(|(name, value)| (name, json!(value))).collect::<serde_json::Map<_, _>>().into()
}

/// Plays a scenario, and does for it what a page cannot.
pub(crate) async fn run(
    scenario: &str,
    base: &str,
    headers: &Value,
    mut act: impl AsyncFnMut(&str),
) {
    let _slot = BROWSERS.acquire().await.unwrap();
    let mut node = start(scenario, base, headers);
    let mut asked = BufReader::new(node.stdout.take().unwrap()).lines();
    let mut answers = node.stdin.take().unwrap();
    let playing = async {
        while let Ok(Some(line)) = asked.next_line().await {
            act(&line).await;
            answers.write_all(b"done\n").await.unwrap();
        }
        node.wait().await.unwrap()
    };
    let ended = timeout(PATIENCE, playing).await;
    drop(answers);
    let mut said = String::new();
    let mut stderr = node.stderr.take().unwrap();
    let _ = timeout(Duration::from_secs(5), stderr.read_to_string(&mut said)).await;
    let status =
        ended.unwrap_or_else(|_| panic!("{scenario} takes longer than {PATIENCE:?}\n{said}"));
    assert!(status.success(), "{said}");
    eprint!("{said}");
}

fn start(scenario: &str, base: &str, headers: &Value) -> Child {
    let browser = std::env::var(BROWSER).unwrap_or_else(|_| {
        panic!("{BROWSER} is not set: run `make test`, or set it to what `dev/browser.sh install` prints")
    });
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
    let shots = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/board");
    Command::new("node")
        .args([&format!("{folder}/run.mjs"), scenario])
        .env(BROWSER, browser)
        .env("AUDIT_STAGE", json!({ "base": base, "headers": headers, "shots": shots }).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("node: {error}"))
}
