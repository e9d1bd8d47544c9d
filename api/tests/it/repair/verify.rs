//! `audit-log verify-index`: names what differs, mends it if asked, and says so to cron.

use domain::TenantId;
use reqwest::Method;
use search::Shape;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::stage::{NOVEMBER, Stage};
use crate::support::command::{self, Ended};
use crate::support::history;

async fn run(stage: &Stage, args: &[&str]) -> Ended {
    let env = stage.env();
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    command::run(args, &env).await
}

async fn verify(stage: &Stage, args: &[&str]) -> (Option<i32>, Value) {
    let ended = run(stage, &[&["verify-index", "--json"], args].concat()).await;
    let report = serde_json::from_str(&ended.stdout);
    (ended.code, report.unwrap_or_else(|_| panic!("{ended:?}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_and_foreign_document_is_named_and_repaired() {
    named_and_repaired(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_and_foreign_document_is_named_and_repaired_on_several_shards() {
    named_and_repaired(5).await;
}

async fn named_and_repaired(shards: u32) {
    let stage = Stage::new().await;
    stage.index().set_up(Shape { shards, ..Shape::default() }).await.unwrap();
    let whale = stage.tenant(9_500).await;
    let mut tenants = vec![whale];
    for entries in 1..=10 {
        tenants.push(stage.tenant(entries).await);
    }
    assert_eq!(run(&stage, &["reindex"]).await.code, Some(0));
    let (code, report) = verify(&stage, &[]).await;
    assert_eq!((code, &report["entries"], &report["logs"]), (Some(0), &json!(9_555), &json!(11)));

    let log = stage.log().await;
    let lost = json!({ "bool": { "filter": [
        { "term": { "tenant_id": whale } }, { "terms": { "seq": [1, 3_999, 4_000, 4_001, 9_500] } },
    ] } });
    assert_eq!(stage.delete(lost).await, 5);
    let november = format!("{}-2026.11", stage.prefix);
    // A number used twice, one behind the head, and the document of another tenant's entry.
    let strangers = log.iter().find(|entry| entry.0 != whale.to_string()).unwrap();
    stage.plant(&november, "01a1ffac-92d2-7574-8a30-07af4854a0e6", whale, 5_000).await;
    stage.plant(&november, "nonsense", whale, 9_501).await;
    stage.plant(&november, &strangers.2, whale, 17).await;
    let (code, report) = verify(&stage, &[]).await;
    assert_eq!((code, &report["missing"]["count"]), (Some(3), &json!(5)));
    let named = |what: &str, of: &str| -> Vec<Value> {
        let named = report[what]["named"].as_array().unwrap();
        assert!(named.iter().all(|one| one["tenant_id"] == whale.to_string()), "{named:?}");
        named.iter().map(|one| one[of].clone()).collect()
    };
    assert_eq!(named("missing", "seq"), [1, 3_999, 4_000, 4_001, 9_500].map(|seq| json!(seq)));
    for id in named("missing", "id") {
        assert!(log.iter().any(|entry| entry.2 == id), "{id}");
    }
    assert_eq!(named("foreign", "seq"), [17, 5_000, 9_501].map(|seq| json!(seq)));
    let text = run(&stage, &["verify-index", "--tenant", &whale.to_string()]).await;
    assert!(text.stdout.contains(&format!("missing {whale} 4000 ")), "{text:?}");
    assert!(text.stdout.contains(&format!("foreign {whale} 9501 nonsense")), "{text:?}");

    let (code, report) = verify(&stage, &["--repair"]).await;
    assert_eq!((code, &report["unrepaired"]), (Some(4), &json!(0)), "{report}");
    let (code, report) = verify(&stage, &[]).await;
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(stage.found().await, stage.log().await);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_tenants_that_there_are_not_are_told_and_deleted() {
    let stage = Stage::new().await;
    let own = stage.tenant(30).await;
    assert_eq!(run(&stage, &["reindex"]).await.code, Some(0));
    let november = format!("{}-2026.11", stage.prefix);
    let nobody = TenantId::new(uuid::Uuid::now_v7());
    for seq in 1..=3 {
        stage.plant(&november, &format!("stranger-{seq}"), nobody, seq).await;
    }
    // Some that no search could find, whatever tenants there are.
    let path = format!("{november}/_doc/ownerless?routing=x&refresh=true");
    stage.call(Method::PUT, &path, json!({ "seq": 1 })).await;
    let shouted = own.to_string().to_uppercase();
    let path = format!("{november}/_doc/shouted?routing={own}&refresh=true");
    stage.call(Method::PUT, &path, json!({ "seq": 1, "tenant_id": shouted })).await;

    let (code, report) = verify(&stage, &[]).await;
    assert_eq!((code, &report["strangers"]["count"]), (Some(3), &json!(5)), "{report}");
    let mut named = report["strangers"]["named"].as_array().unwrap().clone();
    named.sort_by_key(|one| one["documents"].as_u64());
    assert_eq!(named.pop(), Some(json!({ "tenant_id": nobody, "documents": 3 })));
    let mut ids: Vec<_> = named.iter().map(|one| one["tenant_id"].as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [None, Some(shouted.as_str())]);
    let text = run(&stage, &["verify-index"]).await;
    assert!(text.stdout.contains(&format!("unknown tenant {nobody} 3 documents")), "{text:?}");
    // Who asks about one tenant hears of no other.
    let (code, report) = verify(&stage, &["--tenant", &own.to_string()]).await;
    assert_eq!((code, &report["strangers"]["count"]), (Some(0), &json!(0)), "{report}");

    let (code, report) = verify(&stage, &["--repair"]).await;
    let done = (&report["repaired"], &report["unrepaired"]);
    assert_eq!((code, done), (Some(4), (&json!(5), &json!(0))), "{report}");
    let (code, report) = verify(&stage, &[]).await;
    assert_eq!(code, Some(0), "{report}");
    let all = format!("{}/_count", stage.prefix);
    assert_eq!(stage.call(Method::GET, &all, Value::Null).await["count"], 30);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_a_moment_ago_is_pending_and_what_has_expired_is_no_difference() {
    let stage = Stage::new().await;
    let tenant_id = stage.tenant(100).await;
    assert_eq!(run(&stage, &["reindex"]).await.code, Some(0));
    let now = OffsetDateTime::now_utc();
    stage.grow(tenant_id, 7, now - time::Duration::seconds(2), now).await;
    let (code, report) = verify(&stage, &[]).await;
    assert_eq!((code, &report["pending"]), (Some(0), &json!(7)), "{report}");
    let (code, report) = verify(&stage, &["--settling-s", "0"]).await;
    assert_eq!((code, &report["missing"]["count"]), (Some(3), &json!(7)), "{report}");

    // They stop being pending while it waits.
    let settling = ["--settling-s", "8", "--wait-s", "25", "--repair"];
    let (code, report) = verify(&stage, &settling).await;
    assert_eq!((code, &report["pending"]), (Some(4), &json!(0)), "{report}");

    let mut admin = stage.db.admin().await;
    history::move_floor(&mut admin, tenant_id, (NOVEMBER - time::Duration::days(10)).date()).await;
    history::erase(&mut admin, tenant_id).await;
    let (code, report) = verify(&stage, &["--settling-s", "0"]).await;
    assert_eq!(code, Some(0), "{report}");
    assert!(report["expired"].as_u64() > Some(70), "{report}");
    let (code, report) = verify(&stage, &["--settling-s", "0", "--repair"]).await;
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(stage.found().await, stage.log().await);
    stage.end().await;
}
