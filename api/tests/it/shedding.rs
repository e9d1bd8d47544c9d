//! One tenant asks for more than can be done: what could only wait is refused at once, what was
//! let in is done, and others are served.

use std::time::Duration;

use domain::TenantId;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::connections::{connect, connect_narrow, head};
use crate::support::app::{Answer, TestApp, entry, identity};
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::socket::Socket;

/// Clients of the tenant that reads too much: more than may wait.
const READERS: usize = 300;

/// How long each of them rests after an answer.
const REST: Duration = Duration::from_millis(200);

/// Large requests of the tenant that writes too much: each is a batch of its own.
const WRITES: usize = 6;

/// A database that takes so long for each batch. The service gives up after two seconds.
const SLOW: &str = "create function public.slow() returns trigger language plpgsql as $$
     begin perform pg_sleep(1.4); return null; end $$;
     create trigger slow after insert on public.audit_log for each statement
     execute function public.slow()";

/// How soon who is not let in must know.
const AT_ONCE: Duration = Duration::from_millis(500);

/// The answer to a writing request whose body never comes; `None` when it is waited for.
async fn refusal(app: &TestApp, tenant_id: TenantId) -> Option<String> {
    let mut stream = connect(&app.base).await;
    let head = head("POST", "/logs", tenant_id, "user");
    let head = format!("{head}content-type: application/json\r\ncontent-length: 100\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4 << 10];
    let read = timeout(AT_ONCE, stream.read(&mut answer)).await.ok()?.unwrap();
    Some(String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_too_much_is_refused_without_a_body_and_what_was_let_in_is_written() {
    let app = TestApp::start().await;
    let (noisy, quiet) = (app.tenant().await, app.tenant().await);
    let (of_noisy, of_quiet) = (app.caller(noisy, "user"), app.caller(quiet, "user"));
    let batch = Value::from(vec![entry(json!({})); 1_000]);
    of_noisy.post_entry(json!({})).await.created();
    assert_eq!(refusal(&app, noisy).await, None, "nobody waits");
    sqlx::raw_sql(SLOW).execute(&mut app.db.admin().await).await.unwrap();

    let writing = join_all((0..WRITES).map(|_| of_noisy.post("/logs/bulk", &batch)));
    let looking = async {
        eventually("no more are let in", Duration::from_secs(10), async || {
            let refusal = refusal(&app, noisy).await.unwrap_or_default();
            refusal.starts_with("HTTP/1.1 503")
                && refusal.contains("retry-after: 1")
                && refusal.contains("\"code\":\"overloaded\"")
        })
        .await;
        of_quiet.post_entry(json!({})).await.created();
        assert!(refusal(&app, noisy).await.is_some(), "the others went on, and it had to wait");
    };
    let (written, ()) = tokio::join!(writing, looking);
    for answer in written {
        answer.created();
    }
    of_noisy.post_entry(json!({})).await.created();
}

/// Readers of one tenant, that ask again and again for what takes long.
struct Crowd {
    stop: CancellationToken,
    readers: JoinSet<Vec<Answer>>,
}

impl Crowd {
    fn begin(app: &TestApp, tenant_id: TenantId) -> Self {
        let mut crowd = Self { stop: CancellationToken::new(), readers: JoinSet::new() };
        for _ in 0..READERS {
            let (client, stop) = (app.client.clone(), crowd.stop.clone());
            let request = client.get(format!("{}/api/v1/logs/expiries", app.base));
            let request = request.headers(identity(Some(tenant_id), "auditor"));
            crowd.readers.spawn(async move {
                let mut answers = Vec::new();
                while !stop.is_cancelled() {
                    let request = request.try_clone().unwrap();
                    answers.push(Answer::of(request.send().await.unwrap()).await);
                    sleep(REST).await;
                }
                answers
            });
        }
        crowd
    }

    /// What all of them were answered.
    async fn end(self) -> Vec<Answer> {
        self.stop.cancel();
        self.readers.join_all().await.into_iter().flatten().collect()
    }
}

async fn fill(app: &TestApp, tenant_id: TenantId, batches: usize) {
    let message = "x".repeat(8_000);
    let batch = Value::from(vec![entry(json!({ "message": message })); 500]);
    for _ in 0..batches {
        app.caller(tenant_id, "user").post("/logs/bulk", &batch).await.created();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_too_much_is_refused_while_others_read_and_what_is_under_way_goes_on() {
    let flags = ["--reader-connections", "4"];
    let app = TestApp::start_with(TestDb::new().await, &flags).await;
    let (noisy, quiet) = (app.tenant().await, app.tenant().await);
    fill(&app, noisy, 4).await;
    fill(&app, quiet, 1).await;
    let (of_noisy, of_quiet) = (app.caller(noisy, "auditor"), app.caller(quiet, "auditor"));

    // More than systems keep for a slow reader, so most of it is read from the log later.
    let mut export = connect_narrow(&app.base).await;
    let request = head("GET", "/logs/export?format=ndjson", noisy, "auditor");
    export.write_all(format!("{request}connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut begun = [0; 8];
    export.read_exact(&mut begun).await.unwrap();

    // Certificates of expiry take as long as a lock is waited for.
    let mut foreign = app.db.admin().await;
    let mut holding = foreign.begin().await.unwrap();
    sqlx::query("lock table expiry in access exclusive mode").execute(&mut *holding).await.unwrap();
    let crowd = Crowd::begin(&app, noisy);
    eventually("no more are let in", Duration::from_secs(10), async || {
        let refused = of_noisy.get("/logs?limit=1").await;
        let is_refused = refused.status == StatusCode::SERVICE_UNAVAILABLE;
        is_refused && refused.code() == "overloaded" && refused.headers["retry-after"] == "1"
    })
    .await;
    for _ in 0..10 {
        let page = timeout(Duration::from_secs(1), of_quiet.get("/logs?limit=1")).await;
        assert_eq!(page.expect("a page, soon").status, StatusCode::OK);
    }
    let mut stream = Socket::open(&app.base, noisy, "").await;
    stream.expect("hello").await;
    let recorded = app.caller(noisy, "user").post_entry(json!({})).await.created();
    assert_eq!(stream.expect("log").await["data"]["id"], recorded.body["id"]);
    let mut rest = Vec::new();
    export.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("\"sha256\""), "an export was cut");
    let still = of_noisy.get("/logs?limit=1").await;
    assert_eq!(still.code(), "overloaded", "the crowd was gone before the end: {still:?}");

    holding.rollback().await.unwrap();
    for answer in crowd.end().await {
        // The second is what who has a turn is told of the lock.
        let is_known = ["overloaded", "database_unavailable"].contains(&answer.code());
        assert!(answer.status == StatusCode::OK || is_known, "{answer:?}");
    }
    assert_eq!(of_noisy.get("/logs?limit=1").await.status, StatusCode::OK);
}
