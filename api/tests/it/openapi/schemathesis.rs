//! Requests that Schemathesis makes of the document, and all of its checks on the answers.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::support::app::{SECRET, TestApp};
use crate::support::seeds::{seed, soak};

/// The program that `dev/schemathesis.sh install` prints; set by `dev/test.sh`.
const PYTHON: &str = "AUDIT_TEST_SCHEMATHESIS";

/// How long all roles together may take, unless it is a soak.
const TIME: Duration = Duration::from_secs(48);

/// Cases, at least; of a soak, and else.
const CASES_MIN: [u64; 2] = [50_000, 500];

/// Rounds that a soak may take for them, each with a seed of its own.
const ROUNDS_MAX: u64 = 30;

/// Cases for each operation and round of a soak.
const EXAMPLES: u32 = 40;

/// Who asks, and how much of the time is theirs.
const ROLES: [(&str, u32); 4] = [("admin", 3), ("operator", 2), ("auditor", 2), ("user", 1)];

fn arguments(role: &str, share: u32, seed: u64) -> Vec<String> {
    let shares: u32 = ROLES.iter().map(|(_, share)| share).sum();
    let seed = (seed % u64::from(u32::MAX)).to_string();
    let mut arguments = vec!["--seed".to_owned(), seed];
    if soak() {
        arguments.extend(["--max-examples".to_owned(), (EXAMPLES * share).to_string()]);
    } else {
        let time = (TIME * share / shares).as_secs().to_string();
        arguments.extend(["--max-examples", "8", "--max-time", &time].map(str::to_owned));
    }
    eprintln!("schemathesis as {role}: {}", arguments.join(" "));
    arguments
}

/// The script, which finds what it needs.
fn script() -> Command {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| {
        panic!("{PYTHON} is not set: run `make test`, or set it to what `dev/schemathesis.sh install` prints")
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../dev/schemathesis.sh");
    let mut command = Command::new(script);
    command.env(PYTHON, python).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What it said, and whether all was well.
async fn end(command: &mut Command) -> (String, bool) {
    let done = command.output().await.unwrap();
    let said = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    (said.concat(), done.status.success())
}

/// Requests in this role.
async fn run(app: &TestApp, tenant_id: &str, role: &str, arguments: &[String]) -> (String, bool) {
    let mut command = script();
    command
        .args(["run", &app.base])
        .args(arguments)
        .env("AUDIT_TEST_CONTRACT_SECRET", SECRET)
        .env("AUDIT_TEST_CONTRACT_TENANT", tenant_id)
        .env("AUDIT_TEST_CONTRACT_ROLE", role);
    end(&mut command).await
}

/// The number of cases, as it says at its end.
fn cases(said: &str) -> u64 {
    let line = said.lines().rev().find(|line| line.contains(" generated,")).unwrap_or_default();
    let words = line.split(|c: char| !c.is_ascii_digit() && c != ',');
    let number = words.map(|word| word.replace(',', "")).find(|word| !word.is_empty());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Requests in every role; how many.
async fn every_role(app: &TestApp, seed: u64) -> u64 {
    let mut all = 0;
    for (role, share) in ROLES {
        let tenant_id = app.tenant().await.to_string();
        let (said, well) = run(app, &tenant_id, role, &arguments(role, share, seed)).await;
        assert!(well, "as {role}:\n{said}");
        all += cases(&said);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_openapi_as_its_specification_says() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let (said, well) = end(script().args(["read", document])).await;
    assert!(well, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_requests_get_the_answers_that_the_document_tells_of() {
    let app = TestApp::start().await;
    let seed = seed("schemathesis");
    let [soaked, least] = CASES_MIN;
    let (least, rounds) = if soak() { (soaked, ROUNDS_MAX) } else { (least, 1) };
    let mut all = 0;
    for round in 0..rounds {
        all += every_role(&app, seed.wrapping_add(round)).await;
        eprintln!("schemathesis: {all} cases");
        if all >= least {
            return;
        }
    }
    panic!("{all} cases are few");
}
