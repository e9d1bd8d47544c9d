//! Two installations with one prefix: the second is refused, and its searches read the log.

use reqwest::StatusCode;
use serde_json::json;

use super::stage::Stage;
use crate::support::app::TestApp;
use crate::support::command::{self, Ended};
use crate::support::eventually;

async fn run(stage: &Stage, args: &[&str]) -> Ended {
    let env = stage.env();
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    command::run(args, &env).await
}

/// Another installation, by mistake with the same prefix.
async fn other_with_prefix_of(stage: &Stage) -> Stage {
    let mut other = Stage::new().await;
    other.prefix.clone_from(&stage.prefix);
    sqlx::query("update audit_meta set value = gen_random_uuid() where name = 'installation'")
        .execute(&mut other.db.admin().await)
        .await
        .unwrap();
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_of_another_installation_is_left_alone_by_commands_and_service() {
    let stage = Stage::new().await;
    stage.tenant(50).await;
    assert_eq!(run(&stage, &["reindex"]).await.code, Some(0));
    let other = other_with_prefix_of(&stage).await;
    let tenant_id = other.tenant(20).await;
    for command in
        [&["verify-index", "--repair"][..], &["reindex"], &["migrate", "--profile", "native"]]
    {
        let ended = run(&other, command).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("another installation"), "{ended:?}");
        assert!(ended.stderr.contains("AUDIT_SEARCH_PREFIX"), "{ended:?}");
    }
    let poked = run(&other, &["poke"]).await;
    assert!(poked.stdout.contains("another installation"), "{poked:?}");

    let flags = other.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let often = ["--repair-period-s", "1", "--repair-full-period-s", "1"];
    let app = TestApp::start_with(other.db.clone(), &[&flags[..], &often].concat()).await;
    eventually("the service learns of it", std::time::Duration::from_secs(10), async || {
        let ready = reqwest::get(format!("{}/readyz", app.base)).await.unwrap();
        assert_eq!(ready.status(), StatusCode::OK);
        ready.text().await.unwrap().contains("unavailable")
    })
    .await;
    let caller = app.caller(tenant_id, "auditor");
    let found = caller.get("/logs/search?limit=1000").await;
    assert_eq!(found.status, 200, "{found:?}");
    assert_eq!(found.body["source"], json!("log"));
    assert_eq!(found.body["data"].as_array().unwrap().len(), 20);
    app.stop().await.unwrap();
    // Nothing of the first one's was touched, nor anything added.
    assert_eq!(stage.found().await, stage.log().await);
    assert_eq!(run(&stage, &["verify-index"]).await.code, Some(0));

    // The first one is gone for good: its indices may be taken.
    let taken = run(&other, &["migrate", "--profile", "native", "--take-index"]).await;
    assert_eq!(taken.code, Some(0), "{taken:?}");
    let repair = ["verify-index", "--repair", "--settling-s", "0"];
    assert_eq!(run(&other, &repair).await.code, Some(4));
    assert_eq!(other.found().await, other.log().await);
    assert_eq!(run(&stage, &["verify-index"]).await.code, Some(1));
    stage.end().await;
}
