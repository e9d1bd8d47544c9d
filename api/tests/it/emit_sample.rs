//! `audit-log emit-sample`: against the real service, as somebody who tries it out.

use std::time::{Duration, Instant};

use domain::TenantId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::app::{SECRET, TestApp};
use crate::support::command::{self, Ended};
use crate::support::log::{self, Row, assert_len, assert_whole};

/// Runs it as a user of this tenant behind the gateway.
async fn emit(url: &str, tenant_id: TenantId, role: &str, flags: &[&str]) -> Ended {
    let headers = [
        format!("X-Gateway-Secret: {SECRET}"),
        "X-User-Id: sampler".to_owned(),
        format!("X-Tenant-Id: {tenant_id}"),
        format!("X-User-Role: {role}"),
    ];
    let mut args = vec!["emit-sample"];
    for header in &headers {
        args.extend(["--header", header]);
    }
    args.extend(flags);
    let ended = command::run(&args, &[("AUDIT_URL", url)]).await;
    assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{ended:?}");
    ended
}

#[track_caller]
fn assert_ended(ended: &Ended, code: i32, said: &str) {
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(all.contains(said), "{said} is not in: {all}");
}

async fn rows(app: &TestApp, tenant_id: TenantId) -> Vec<Row> {
    log::rows(&mut app.db.admin().await, tenant_id).await
}

/// What was sent, without where and when it was recorded.
fn content(rows: Vec<Row>) -> Vec<impl PartialEq + std::fmt::Debug> {
    let content = |row: Row| (row.action, row.resource_id, row.message, row.before, row.after);
    rows.into_iter().map(content).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_were_asked_for_are_recorded_in_one_row_of_numbers() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let one = emit(&app.base, tenant_id, "user", &[]).await;
    assert_ended(&one, 0, "recorded 1 entry, seq 1, in ");
    let many = emit(&app.base, tenant_id, "admin", &["1203", "--seed", "7"]).await;
    assert_ended(&many, 0, "recorded 1203 entries, seq 2 to 1204, in ");
    assert!(many.stdout.ends_with("from seed 7\n"), "{many:?}");
    assert_len(app, tenant_id, 1204).await;
    assert_whole(&mut app.db.admin().await, tenant_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_says_all_of_them_and_another_one_others() {
    let app = TestApp::shared().await;
    let mut logs = Vec::new();
    for flags in [
        &["600", "--seed", "11"][..],
        &["600", "--seed", "11", "--days", "9"],
        &["600", "--seed", "12"],
    ] {
        let tenant_id = app.tenant().await;
        assert_ended(&emit(&app.base, tenant_id, "user", flags).await, 0, "seq 1 to 600");
        logs.push(content(rows(app, tenant_id).await));
    }
    assert_eq!(logs[0], logs[1]);
    assert_ne!(logs[0], logs[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_can_have_happened_in_the_days_before() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    assert_ended(&emit(&app.base, tenant_id, "user", &["900", "--days", "30"]).await, 0, "900");
    let (ages_of, days): (Vec<f64>, i64) = sqlx::query_as(
        "select
            array_agg(extract(epoch from recorded_at - occurred_at)::float8 / 86400 order by seq),
            count(distinct date_trunc('day', occurred_at))
         from audit_log
         where tenant_id = $1",
    )
    .bind(tenant_id.as_uuid())
    .fetch_one(&mut app.db.admin().await)
    .await
    .unwrap();
    assert!(ages_of.iter().all(|age| (-0.1..30.1).contains(age)), "{ages_of:?}");
    assert!(ages_of[0] > 29.0 && ages_of[899] < 1.5, "{ages_of:?}");
    assert!(days > 20, "{days} days");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_kept() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let started_at = Instant::now();
    let ended = emit(&app.base, tenant_id, "user", &["60", "--rate", "40"]).await;
    assert_ended(&ended, 0, "recorded 60 entries");
    // The last ten go out after 50 / 40 s.
    assert!(started_at.elapsed() >= Duration::from_millis(1_250), "{:?}", started_at.elapsed());
    let rows = rows(app, tenant_id).await;
    let took = rows[59].recorded_at - rows[0].recorded_at;
    assert!(took >= time::Duration::milliseconds(1_000), "{took}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_what_to_do_and_record_nothing() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let nowhere = emit("http://127.0.0.1:1", tenant_id, "user", &[]).await;
    assert_ended(&nowhere, 1, "cannot reach http://127.0.0.1:1");
    assert!(nowhere.stderr.contains("AUDIT_URL"), "{nowhere:?}");
    let env = [("AUDIT_URL", app.base.as_str()), ("AUDIT_TOKEN", "planted-token")];
    let nobody = command::run(&["emit-sample"], &env).await;
    assert_ended(&nobody, 1, "refused with 401");
    assert!(nobody.stderr.contains("--header") && !nobody.stderr.contains("planted"), "{nobody:?}");
    let auditor = emit(&app.base, tenant_id, "auditor", &["3"]).await;
    assert_ended(&auditor, 1, "refused with 403");
    assert!(auditor.stderr.contains("needs the role admin or user"), "{auditor:?}");
    let none = emit(&app.base, tenant_id, "user", &["0"]).await;
    assert_ended(&none, 2, "'0'");
    let elsewhere = format!("{}/elsewhere", app.base);
    assert_ended(&emit(&elsewhere, tenant_id, "user", &[]).await, 1, "404");
    assert_len(app, tenant_id, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_on_the_way_do_not_double_an_entry() {
    let app = TestApp::shared().await;
    let tenant_id = app.tenant().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = app.base.strip_prefix("http://").unwrap().to_owned();
    let losing = tokio::spawn(async move {
        for number in 0.. {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(pass(client, service.clone(), number % 2 == 0));
        }
    });
    let ended = emit(&url, tenant_id, "user", &["700"]).await;
    losing.abort();
    assert_ended(&ended, 0, "recorded 700 entries, seq 1 to 700");
    assert!(ended.stderr.contains("sending again"), "{ended:?}");
    assert_len(app, tenant_id, 700).await;
}

/// Passes one connection on; one that loses ends when the service begins to answer.
async fn pass(mut client: TcpStream, service: String, loses: bool) {
    let mut service = TcpStream::connect(service).await.unwrap();
    if !loses {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut service).await;
        return;
    }
    let (mut asking, mut asked) = client.split();
    let (mut answering, mut sending) = service.split();
    tokio::select! {
        _ = async { tokio::io::copy(&mut asking, &mut sending).await } => {}
        _ = answering.read_u8() => {}
    }
    let _ = asked.shutdown().await;
}
