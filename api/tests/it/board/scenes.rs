//! What people do with the board. Each scenario is a function in `tests/browser/scenarios`.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;

use super::keys::Keys;
use super::stage::{play, play_as, proof, run};
use crate::support::app::{SECRET, TestApp};
use crate::support::database::TestDb;
use crate::support::old_log;
use crate::support::service::{Service, free_port, migrate};

macro_rules! scenes {
    ($($name:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            play(stringify!($name)).await;
        }
    )+};
}

scenes! {
    what_is_recorded_appears_at_once
    an_empty_log_shows_a_line_that_records_its_first_entry
    paused_entries_wait_and_all_are_there_after_resuming
    more_than_can_wait_is_read_again_after_resuming
    hostile_entries_stay_text
    a_click_asks_for_a_value_and_with_alt_leaves_it_out
    a_query_is_completed_and_its_errors_are_shown_at_their_column
    an_address_holds_the_view_and_the_way_back_leads_through_it
    dragging_over_the_bars_picks_a_range
    the_drawer_shows_all_of_an_entry_and_what_changed
    a_search_marks_what_it_found_and_says_where_it_looked
    the_keyboard_alone_is_enough
    it_fits_small_and_large_screens
    dark_light_and_little_movement_are_respected
    every_state_is_open_to_everybody
    the_first_paint_is_fast_and_nothing_leaves_the_origin
    answers_that_come_late_belong_to_their_view_alone
}

#[tokio::test(flavor = "multi_thread")]
async fn scrolling_a_hundred_thousand_rows_is_smooth() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let scenario = "scrolling_a_hundred_thousand_rows_is_smooth";
    run(scenario, &app.base, &proof(tenant_id, "admin"), async |asked| {
        assert_eq!(asked, "a past of 101,000 entries");
        old_log::record(&mut app.db.admin().await, tenant_id, [2, 1], 50_500).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_right_is_told_so() {
    play_as("who_has_no_right_is_told_so", "user").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_board_comes_back_by_itself_and_misses_nothing() {
    let db = TestDb::empty().await;
    migrate(&db.url());
    let mut service = Service::start(&db.url(), &[("AUDIT_TENANT_AUTOCREATE", "true")]).await;
    let tenant_id = domain::TenantId::new(uuid::Uuid::now_v7());
    let base = service.base.clone();
    let scenario = "after_a_kill_the_board_comes_back_by_itself_and_misses_nothing";
    run(scenario, &base, &proof(tenant_id, "admin"), async |asked| match asked {
        "kill" => service.kill(),
        "restart" => service.restart().await,
        other => panic!("{other}?"),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_and_stays_in_the_tab() {
    let keys = Keys::new();
    let app = TestApp::start_with(TestDb::new().await, &keys.flags()).await;
    let tenant = uuid::Uuid::now_v7().to_string();
    let headers = json!({
        "authorization": format!("Bearer {}", keys.token(&tenant, "admin").await),
        "x-test-auditor": keys.token(&tenant, "auditor").await,
        "x-test-user": keys.token(&tenant, "user").await,
    });
    run("a_token_is_asked_for_and_stays_in_the_tab", &app.base, &headers, nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_dev_mode_it_simply_opens() {
    play_in_dev_mode("in_dev_mode_it_simply_opens").await;
}

/// The browser's own downloads do not get the headers that the other scenarios add.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_exactly_what_is_seen() {
    play_in_dev_mode("an_export_holds_exactly_what_is_seen").await;
}

async fn play_in_dev_mode(scenario: &str) {
    let app = TestApp::start_with(TestDb::new().await, &["--auth", "dev"]).await;
    run(scenario, &app.base, &json!({}), nothing).await;
}

/// What a browser gets to see in production: a gateway between it and the service.
#[tokio::test(flavor = "multi_thread")]
async fn through_a_gateway_it_is_live() {
    let db = TestDb::new().await;
    let app = TestApp::start_with(db, &["--tenant-autocreate"]).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "dev", "gateway.py"].iter().collect();
    let (port, service) = (free_port().to_string(), app.base.rsplit(':').next().unwrap());
    let _gateway = Command::new("python3")
        .args([&script, &PathBuf::from(&port), &PathBuf::from(service), &secret])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let base = format!("http://127.0.0.1:{port}");
    crate::support::eventually(
        "the gateway answers",
        std::time::Duration::from_secs(10),
        || async { app.client.get(&base).send().await.is_ok() },
    )
    .await;
    let headers = json!({ "x-test-secret": SECRET });
    run("through_a_gateway_it_is_live", &base, &headers, nothing).await;
}

async fn nothing(asked: &str) {
    panic!("{asked}?");
}

/// Parts that need no page: `node` runs them alone.
#[tokio::test]
async fn what_needs_no_page_does_what_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
    let done = Command::new("node").args(["--test", &format!("{folder}/units.test.mjs")]).output();
    let done = done.await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}
