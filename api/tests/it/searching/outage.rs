//! When the index fails, is slow, or is none: the log answers, soon, and all heals by itself.

use std::time::{Duration, Instant};

use domain::TenantId;
use serde_json::json;

use super::{fruit, record_all, seqs, whole};
use crate::support::app::{Caller, TestApp, send};
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::index::{TestIndex, search_url};
use crate::support::process::Pid;
use crate::support::switch::{Mode, Switch};

/// Far above what the breaker waits between two tries: a node that has just started is slow.
const PATIENCE: Duration = Duration::from_secs(90);

/// Pears among the entries.
const PEARS: usize = 40;

struct Setting {
    index: TestIndex,
    switch: Switch,
    app: TestApp,
    tenant_id: TenantId,
}

impl Setting {
    /// A log that is in the index, behind a switch.
    async fn new() -> Self {
        let index = TestIndex::new().await;
        let switch = Switch::before(&search_url()).await;
        let flags = [index.flags_at(&switch.url), vec!["--search-timeout-ms", "700"]].concat();
        let app = TestApp::start_with(TestDb::unrepaired().await, &flags).await;
        let tenant_id = app.tenant().await;
        record_all(&app, tenant_id, &(1..=PEARS * 3).map(fruit).collect::<Vec<_>>()).await;
        index.fill(&app, tenant_id, 1, i64::MAX).await;
        let setting = Self { index, switch, app, tenant_id };
        setting.until_source("opensearch").await;
        setting
    }

    fn caller(&self) -> Caller<'_> {
        self.app.caller(self.tenant_id, "admin")
    }

    async fn until_source(&self, source: &str) {
        eventually(&format!("the source is {source}"), PATIENCE, || async {
            let found = whole(&self.caller(), "/logs/search?q=pear&limit=1000", None).await;
            assert_eq!(seqs(&found).len(), PEARS, "{found:?}");
            found.body["source"] == source
        })
        .await;
    }

    async fn condition(&self) -> String {
        let ready = send(self.app.client.get(format!("{}/readyz", self.app.base))).await;
        assert_eq!(ready.status, 200, "{ready:?}");
        ready.body["parts"]["search"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_the_index_the_log_answers_until_it_is_well_again() {
    let setting = Setting::new().await;
    assert_eq!(setting.condition().await, "ok");
    for mode in [
        Mode::Close,
        Mode::Hang,
        Mode::Slow(Duration::from_secs(2)),
        Mode::Say("{}"),
        Mode::Say("it works!"),
        Mode::Say(r#"{"responses":[]}"#),
    ] {
        setting.switch.set(mode.clone());
        for _ in 0..6 {
            let begun = Instant::now();
            let found = whole(&setting.caller(), "/logs/search?q=pear&limit=1000", None).await;
            assert_eq!(seqs(&found).len(), PEARS, "{mode:?}: {found:?}");
            assert_eq!(found.body["source"], "log", "{mode:?}: {found:?}");
            assert_eq!(found.body["index"]["complete"], json!(null), "{mode:?}");
            assert!(begun.elapsed() < Duration::from_secs(5), "{mode:?}: {:?}", begun.elapsed());
            setting.caller().post_entry(json!({ "message": "peach" })).await.created();
        }
        assert_eq!(setting.condition().await, "unavailable", "{mode:?}");
        setting.switch.set(Mode::Pass);
        setting.until_source("opensearch").await;
        assert_eq!(setting.condition().await, "ok", "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_hangs_is_not_asked_by_everybody() {
    let setting = Setting::new().await;
    setting.switch.set(Mode::Hang);
    let before = setting.switch.accepted();
    let begun = Instant::now();
    for _ in 0..40 {
        let found = setting.caller().get("/logs/search?q=pear").await;
        assert_eq!(found.body["source"], "log");
    }
    // Three that open the breaker, then one at a time, each time after a longer while.
    let tries = 3 + usize::try_from(begun.elapsed().as_secs()).unwrap();
    let asked = setting.switch.accepted() - before;
    assert!((3..=tries).contains(&asked), "{asked} of 40 in {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_by_place_changes_its_source_and_a_ranking_cannot() {
    let setting = Setting::new().await;
    let caller = setting.caller();
    let mut found = Vec::new();
    let mut cursor = String::new();
    for page in 0.. {
        setting.switch.set(if page % 2 == 0 { Mode::Pass } else { Mode::Close });
        if page % 2 == 0 {
            setting.until_source("opensearch").await;
        }
        let answer = caller.get(&format!("/logs/search?q=pear&limit=7{cursor}")).await;
        let source = if page % 2 == 0 { "opensearch" } else { "log" };
        assert_eq!(answer.body["source"], source, "{answer:?}");
        assert!(answer.body["total"]["value"].as_u64() >= Some(found.len() as u64));
        found.extend(seqs(&answer));
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<i64> = (1..=PEARS as i64).rev().map(|n| n * 3).collect();
    assert_eq!(found, expected);

    setting.switch.set(Mode::Pass);
    setting.until_source("opensearch").await;
    let ask = "/logs/search?q=pear&limit=7&sort=relevance";
    let first = caller.get(ask).await;
    let next = format!("{ask}&cursor={}", first.body["next_cursor"].as_str().unwrap());
    setting.switch.set(Mode::Close);
    caller.get(&next).await.assert_problem(409, "search_source_changed");
    // What the log has begun to rank, it goes on with.
    let first = caller.get(ask).await;
    assert_eq!(first.body["source"], "log");
    let by_log = format!("{ask}&cursor={}", first.body["next_cursor"].as_str().unwrap());
    setting.switch.set(Mode::Pass);
    setting.until_source("opensearch").await;
    assert_eq!(caller.get(&by_log).await.body["source"], "log");
    assert_eq!(caller.get(&next).await.body["source"], "opensearch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_red_index_is_none() {
    let setting = Setting::new().await;
    let client = reqwest::Client::new();
    let url = format!("{}/{}", setting.index.url, setting.index.prefix);
    let allocate = async |node: serde_json::Value| {
        for (path, body) in [
            ("_close", json!(null)),
            ("_settings", json!({ "index.routing.allocation.require._name": node })),
            ("_open?wait_for_active_shards=0", json!(null)),
        ] {
            let request = match path {
                "_settings" => client.put(format!("{url}/{path}")).json(&body),
                _ => client.post(format!("{url}/{path}")),
            };
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        }
    };
    let is_red = async || {
        let health = format!("{}/_cluster/health/{}", setting.index.url, setting.index.prefix);
        let health = client.get(health).send().await.unwrap();
        health.json::<serde_json::Value>().await.unwrap()["status"] == "red"
    };
    // A busy node may not close it in time, or open it where it was: then once more.
    eventually("the index is red, and the log has all the answers", PATIENCE, || async {
        if !is_red().await {
            allocate(json!("nobody")).await;
        }
        for _ in 0..5 {
            let found = whole(&setting.caller(), "/logs/search?q=pear&limit=1000", None).await;
            assert_eq!(seqs(&found).len(), PEARS);
            if found.body["source"] != "log" {
                return false;
            }
        }
        is_red().await
    })
    .await;
    allocate(json!(null)).await;
    setting.until_source("opensearch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_starts_without_its_index_and_finds_it_later() {
    let index = TestIndex::new().await;
    let switch = Switch::before(&search_url()).await;
    switch.set(Mode::Close);
    let app = TestApp::start_with(TestDb::unrepaired().await, &index.flags_at(&switch.url)).await;
    let tenant_id = app.tenant().await;
    let caller = app.caller(tenant_id, "admin");
    caller.post_entry(json!({ "message": "pear" })).await.created();
    assert_eq!(seqs(&caller.get("/logs/search?q=pear").await), [1]);
    index.fill(&app, tenant_id, 1, 1).await;
    switch.set(Mode::Pass);
    eventually("the index answers", PATIENCE, || async {
        caller.get("/logs/search?q=pear").await.body["source"] == "opensearch"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opensearch_that_is_killed_is_missed_by_nobody() {
    let search = OpenSearch::start();
    let index = TestIndex::at(&search.said("url")).await;
    let app = TestApp::start_with(TestDb::unrepaired().await, &index.flags()).await;
    let tenant_id = app.tenant().await;
    record_all(&app, tenant_id, &(1..=PEARS * 3).map(fruit).collect::<Vec<_>>()).await;
    index.fill(&app, tenant_id, 1, i64::MAX).await;
    let caller = app.caller(tenant_id, "admin");
    let find = async |source: &str| {
        let found = whole(&caller, "/logs/search?q=pear&limit=1000", None).await;
        assert_eq!(seqs(&found).len(), PEARS, "{found:?}");
        found.body["source"] == source
    };
    eventually("the index answers", PATIENCE, || find("opensearch")).await;
    Pid(search.said("pid").parse().unwrap()).kill();
    for _ in 0..20 {
        assert!(find("log").await, "nobody else is there to answer");
        caller.post_entry(json!({ "message": "peach" })).await.created();
    }
    search.bring_up();
    eventually("the index answers again", PATIENCE, || find("opensearch")).await;
    let found = caller.get("/logs/search?q=peach").await;
    assert_eq!(seqs(&found).len(), 20, "what came meanwhile is in the log");
}

/// An OpenSearch of a test's own, to be killed.
struct OpenSearch(tempfile::TempDir);

impl OpenSearch {
    fn start() -> Self {
        let search = Self(tempfile::tempdir().unwrap());
        // It may run as another user, who must be able to pass through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(search.0.path(), open).unwrap();
        search.bring_up();
        search
    }

    /// The script has patience enough for an idle machine; this may be a busy one.
    fn bring_up(&self) {
        if self.try_run(&["start", "0"]).is_err() {
            self.run(&["start", "0"]);
        }
    }

    fn said(&self, command: &str) -> String {
        self.run(&[command]).trim().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.try_run(arguments).unwrap()
    }

    fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../dev/opensearch.sh");
        let folder = self.0.path().join("node");
        let output = std::process::Command::new(script)
            .args([arguments[0], folder.to_str().unwrap()])
            .args(&arguments[1..])
            .env("AUDIT_OPENSEARCH_HEAP", "512m")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(format!("{arguments:?}: {said}"));
        }
        Ok(String::from_utf8(output.stdout).unwrap())
    }
}

impl Drop for OpenSearch {
    fn drop(&mut self) {
        self.run(&["drop"]);
    }
}
