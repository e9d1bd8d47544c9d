//! Defects of ours: the client gets an id to report, the log gets the cause, nobody gets content.

use std::net::SocketAddr;
use std::sync::Arc;

use api::admission::Admission;
use api::app::{App, Parts};
use api::commands::serve::DEV_TENANT;
use api::identity::Authenticator;
use api::relay::Bell;
use api::retention::Retention;
use api::routes;
use api::store::Store;
use api::store::migrations::Profile;
use api::tenants::Tenants;
use api::writer::LogWriter;
use axum::Router;
use axum::routing::get;
use domain::TenantId;
use serde_json::json;
use sqlx::Executor as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::support::app::{Answer, SECRET, identity, send, serve_args};
use crate::support::command::Running;
use crate::support::database::TestDb;

/// A 500 that says nothing but its id; gives the id.
#[track_caller]
fn assert_internal(answer: &Answer) -> Uuid {
    answer.assert_problem(500, "internal");
    let id = answer.body["error_id"].as_str().unwrap().parse().unwrap();
    let mut told = answer.body.clone();
    told.as_object_mut().unwrap().remove("error_id");
    let expected = json!({
        "type": "urn:audit-log:problem:internal",
        "title": "Internal error",
        "status": 500,
        "detail": "this is our fault: report the error id",
        "code": "internal",
    });
    assert_eq!(told, expected);
    id
}

/// The whole service around one route that panics.
async fn panicking() -> String {
    let args = serve_args(&TestDb::new().await.url(), &[]);
    let store = Store::new(&args.database.urls().unwrap(), 1).unwrap();
    let notify = Arc::new(Notify::new());
    let (writer, _) = LogWriter::start(
        store.writer_options.clone(),
        store.worker_options.clone(),
        notify,
        Bell::default(),
        api::streaming::Streams::default(),
        api::metrics::Metrics::default(),
        traces::Traces::default(),
    );
    let app = App::new(Parts {
        writer,
        tenants: Tenants::new(store.clone(), false, 7),
        store,
        profile: Profile::Native,
        authenticator: Authenticator::Dev(DEV_TENANT),
        admission: Arc::new(Admission::new(64 << 20)),
        rates: api::rates::Rates::new(api::rates::RateLimits::default()),
        retention: Retention { days_min: 7, grace_h: 24 },
        exports: api::export::slots::Exports::default(),
        searches: api::searching::Searches::new(None),
        reads: api::reads::Reads::default(),
        streams: api::streaming::Streams::default(),
        metrics: api::metrics::Metrics::default(),
        traces: traces::Traces::default(),
    });
    let panics = || async { panic!("planted panic") as &'static str };
    let service = routes::around(Router::new().route("/api/v1/panics", get(panics)), app);
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, service).await });
    base
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_500_and_the_service_goes_on() {
    let base = panicking().await;
    let client = reqwest::Client::new();
    for _ in 0..2 {
        let request = client.get(format!("{base}/api/v1/panics")).header("x-request-id", "r-7");
        let answer = send(request).await;
        assert_internal(&answer);
        assert_eq!(answer.headers["x-request-id"], "r-7");
        assert!(!answer.text.contains("planted"));
        assert_eq!(send(client.get(format!("{base}/healthz"))).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_entry_may_hold_is_a_500_whose_id_is_in_the_log() {
    let db = TestDb::new().await;
    let url = db.url();
    let env = [("AUDIT_DATABASE_URL", &*url), ("AUDIT_GATEWAY_SECRET", SECRET)];
    let running = Running::serve(&["--tenant-autocreate"], &env).await;
    let client = reqwest::Client::new();
    let headers = identity(Some(TenantId::new(Uuid::now_v7())), "user");
    let entry = json!({ "action": "VIEW", "resource_type": "thing" });
    let request = client.post(format!("{}/api/v1/logs", running.base)).headers(headers.clone());
    let created = send(request.json(&entry)).await.created();
    // Somebody writes to the table past its rules.
    db.admin()
        .await
        .execute(
            "alter table audit_log drop constraint audit_log_action;
             update audit_log set action = 'planted content'",
        )
        .await
        .unwrap();
    let location = created.headers["location"].to_str().unwrap();
    let read = client.get(format!("{}{location}", running.base)).headers(headers);
    let answer = send(read).await;
    let error_id = assert_internal(&answer).to_string();
    assert!(!answer.text.contains("planted"));
    let (code, log) = running.stop().await;
    assert_eq!(code, Some(0));
    let told: Vec<_> = log.iter().filter(|line| line.contains(&error_id)).collect();
    assert_eq!(told.len(), 1, "a failure is logged once");
    assert!(told[0].contains("\"level\":\"ERROR\"") && told[0].contains("column action"));
    assert!(log.iter().all(|line| !line.contains("planted")), "{log:?}");
}
