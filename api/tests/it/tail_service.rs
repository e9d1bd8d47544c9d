//! `audit-log tail` against the real service.

use std::time::Duration;

use domain::TenantId;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::app::{SECRET, TestApp};
use crate::support::command;
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::service::Service;

const PATIENCE: Duration = Duration::from_secs(20);

fn flags(tenant_id: TenantId, role: &str, more: &[&str]) -> Vec<String> {
    let headers = [
        format!("X-Gateway-Secret: {SECRET}"),
        "X-User-Id: watcher".to_owned(),
        format!("X-Tenant-Id: {tenant_id}"),
        format!("X-User-Role: {role}"),
    ];
    let headers = headers.into_iter().flat_map(|header| ["--header".to_owned(), header]);
    let more = more.iter().map(|flag| (*flag).to_owned());
    std::iter::once("tail".to_owned()).chain(headers).chain(more).collect()
}

/// A tail whose lines are read here.
struct Running {
    _child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    said: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
}

impl Running {
    /// Starts it, and waits until it follows.
    async fn start(url: &str, flags: &[String]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_audit-log"))
            .args(flags)
            .env_clear()
            .envs(command::coverage())
            .env("AUDIT_URL", url)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut running = Self { _child: child, lines, said };
        let first = timeout(PATIENCE, running.said.next_line()).await.unwrap().unwrap().unwrap();
        assert!(first.starts_with("following"), "{first}");
        running
    }

    async fn seq(&mut self) -> u64 {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("an entry in time");
        let entry: Value = serde_json::from_str(&line.unwrap().expect("it goes on")).unwrap();
        entry["seq"].as_u64().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_come_as_they_are_recorded_and_another_run_goes_on_after_them() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "user");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cursor").to_str().unwrap().to_owned();
    caller.record("BEFORE").await;
    let flags = flags(tenant_id, "auditor", &["--json", "--cursor-file", &file]);
    let mut first = Running::start(&app.base, &flags).await;
    caller.record("FIRST").await;
    assert_eq!(first.seq().await, 2);
    let begun = std::fs::read_to_string(&file).unwrap();
    eventually("the cursor is kept", PATIENCE, async || {
        std::fs::read_to_string(&file).is_ok_and(|kept| kept != begun)
    })
    .await;
    drop(first);
    for action in ["WHILE.AWAY", "WHILE.AWAY.TOO"] {
        caller.record(action).await;
    }
    let mut second = Running::start(&app.base, &flags).await;
    caller.record("AFTER").await;
    assert_eq!([second.seq().await, second.seq().await, second.seq().await], [3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_filter_and_query_let_pass_comes_and_as_the_list_has_it() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "admin");
    let more = ["--json", "refund -denied", "--filter", "severity=ERROR", "--max", "2"];
    let mut tail = Running::start(&app.base, &flags(tenant_id, "admin", &more)).await;
    for (severity, message) in [
        ("ERROR", "refund one"),
        ("INFO", "refund"),
        ("ERROR", "refund denied"),
        ("ERROR", "a refund, two"),
    ] {
        let metadata = json!({ "n": 1.50, "text": "\u{e9}\u{2028}" });
        let members = json!({ "severity": severity, "message": message, "metadata": metadata });
        caller.post_entry(members).await.created();
    }
    let listed = app.caller(tenant_id, "admin").get("/logs?order=asc").await.text;
    for seq in [1, 4] {
        let line = timeout(PATIENCE, tail.lines.next_line()).await.unwrap().unwrap().unwrap();
        assert!(listed.contains(&line), "{line} is not in {listed}");
        assert!(line.contains(&format!("\"seq\":{seq},")), "{line}");
    }
    assert_eq!(timeout(PATIENCE, tail.lines.next_line()).await.unwrap().unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_killed_or_stopped_costs_no_entry() {
    let db = TestDb::new().await;
    let settings = [("AUDIT_TENANT_AUTOCREATE", "true")];
    let mut service = Service::start(&db.url(), &settings).await;
    let tenant_id = TenantId::new(uuid::Uuid::now_v7());
    let record = async |base: &str| {
        let posting = reqwest::Client::new()
            .post(format!("{base}/api/v1/logs"))
            .headers(crate::support::app::identity(Some(tenant_id), "user"))
            .json(&json!({ "action": "UPDATE", "resource_type": "thing" }));
        assert_eq!(posting.send().await.unwrap().status(), 201);
    };
    record(&service.base).await;
    let flags = flags(tenant_id, "auditor", &["--json", "--patience-s", "60"]);
    let mut tail = Running::start(&service.base, &flags).await;
    record(&service.base).await;
    assert_eq!(tail.seq().await, 2);
    service.kill();
    service.restart().await;
    record(&service.base).await;
    assert_eq!(tail.seq().await, 3);
    service.pid().terminate();
    assert!(service.ended().await.success());
    service.restart().await;
    record(&service.base).await;
    // A stopped replica has recorded who read: that is the service's own, and does not come.
    let seq = tail.seq().await;
    assert!(seq >= 4, "{seq}");
    let mut said = Vec::new();
    while let Ok(Ok(Some(line))) = timeout(Duration::from_millis(200), tail.said.next_line()).await
    {
        said.push(line);
    }
    let said = said.join("\n");
    assert!(said.contains("close code 1012") && said.contains("back; the last entry"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_refusals_end_it_with_their_codes() {
    let app = TestApp::shared().await;
    let (tenant_id, other) = (app.tenant().await, app.tenant().await);
    let foreign = app.caller(other, "auditor").get("/logs").await;
    let foreign = foreign.body["live_cursor"].as_str().unwrap().to_owned();
    for (role, more, code, says) in [
        ("user", &[][..], 3, "tail admin or auditor"),
        ("auditor", &["severity:"], 2, "wrong settings"),
        ("auditor", &["--filter", "from=yesterday"], 2, "from"),
        ("auditor", &["--cursor", &foreign], 2, "cursor"),
    ] {
        let flags = flags(tenant_id, role, more);
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let ended = command::run(&flags, &[("AUDIT_URL", &app.base)]).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
    let flags = ["tail", "--header", "X-Gateway-Secret: wrong"];
    let ended = command::run(&flags, &[("AUDIT_URL", &app.base)]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
}
