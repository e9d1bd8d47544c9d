//! What is asked of the database and the queue when somebody looks.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor as _};
use time::OffsetDateTime;

use super::SEEN_WITHIN;
use crate::support::app::entry;
use crate::support::database::{TestDb, run};
use crate::support::eventually;
use crate::support::exposition::{Scrape, Watched};
use crate::support::proxy::{Proxy, Silence};
use crate::support::queue::{TestQueue, aws_config, aws_url};
use crate::support::service::{Service, free_port};
use crate::support::{exposition, queue};

/// Scrapes until something is so.
pub(super) async fn seen(what: &str, watched: &Watched, is_so: impl Fn(&Scrape) -> bool) {
    eventually(what, SEEN_WITHIN, async || is_so(&watched.scrape().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_partitions_and_rows_that_should_be_gone_are_told() {
    let watched = Watched::start(&[]).await;
    let tenant_id = watched.app.tenant().await;
    let user = watched.app.caller(tenant_id, "user");
    for _ in 0..3 {
        user.post("/logs", &entry(json!({}))).await.created();
    }
    seen("entries", &watched, |scrape| {
        scrape.is("audit_logs", 1.0) && scrape.is("audit_log_entries", 3.0)
    })
    .await;
    let scrape = watched.scrape().await;
    assert_eq!(scrape.find("audit_database_up"), Some(1.0));
    let days = scrape.get("audit_partitions_ahead_seconds") / 86_400.0;
    assert!((2.0..40.0).contains(&days), "{days} days");
    assert!(scrape.get("audit_database_bytes") > 1e6);
    assert_eq!(scrape.find("audit_database_wal_retained_bytes"), Some(0.0));
    for rule in ["cleanup", "retention"] {
        let series = format!("audit_expiry_oldest_unerased_seconds{{rule=\"{rule}\"}}");
        assert_eq!(scrape.find(&series), Some(0.0));
    }
    // Neither a queue nor an index: nothing is told of them.
    for series in ["audit_relay_backlog_entries", "audit_index_unconfirmed_entries"] {
        assert_eq!(scrape.find(series), None, "{series}");
    }
    let certificate = format!(
        "insert into expiry (
            id, tenant_id, rule, older_than, first_seq, last_seq, expired_by, expired_at
         )
         values (
            gen_random_uuid(), '{tenant_id}', 'cleanup', now(), 1, 1, 'somebody', now() - interval '1 hour'
         )"
    );
    run(&mut watched.app.db.admin().await, certificate).await;
    seen("a certificate that is open", &watched, |scrape| {
        scrape.get("audit_expiry_oldest_unerased_seconds{rule=\"cleanup\"}") >= 3_600.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_somebody_keeps_is_told_with_its_age_and_forgotten() {
    let watched = Watched::start(&[]).await;
    let tenant_id = watched.app.tenant().await;
    watched.scrape().await;
    let mut keeper = watched.app.db.admin().await;
    keeper.execute("begin isolation level repeatable read; select 1;").await.unwrap();
    let kept = Instant::now();
    let user = watched.app.caller(tenant_id, "user");
    let age = "audit_database_oldest_snapshot_seconds";
    eventually("it is old", SEEN_WITHIN, async || {
        // Where nobody writes, nobody needs to know.
        user.post("/logs", &entry(json!({}))).await.created();
        watched.scrape().await.get(age) > 6.0
    })
    .await;
    let told = watched.scrape().await.get(age);
    let real = kept.elapsed().as_secs_f64();
    assert!(told <= real + 3.0 && told > real - 12.0, "{told} s, and it was {real} s");
    keeper.execute("commit").await.unwrap();
    seen("it is gone", &watched, |scrape| scrape.get(age) < 6.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_queue_that_is_away_leaves_behind_is_told_with_its_age() {
    let db = TestDb::new().await;
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let admin = format!("127.0.0.1:{}", free_port());
    let queue_url = format!("{nowhere}/000000000000/q");
    let mut settings = queue::settings(&queue_url, &nowhere).to_vec();
    settings.extend([("AUDIT_ADMIN_LISTEN", admin.as_str()), ("AUDIT_TENANT_AUTOCREATE", "true")]);
    let service = Service::start(&db.url(), &settings).await;
    let client = reqwest::Client::new();
    let tenant_id = crate::relay::restarts::make_tenant(&client, &service.base).await;
    for _ in 0..5 {
        crate::relay::restarts::record(&client, &service.base, tenant_id).await.unwrap();
    }
    let url = format!("http://{admin}");
    eventually("the backlog is told", SEEN_WITHIN, async || {
        let scrape = exposition::scrape(&url).await;
        scrape.is("audit_relay_backlog_entries", 5.0)
            && scrape.is("audit_relay_lagging_logs", 1.0)
            && scrape.get("audit_relay_oldest_unsent_seconds") >= 2.0
            && scrape.get("audit_relay_troubled_logs_total") >= 1.0
    })
    .await;
    let scrape = exposition::scrape(&url).await;
    assert!(scrape.get("audit_relay_oldest_unsent_seconds") < 60.0);
    assert!(scrape.is("audit_relay_sent_entries_total", 0.0));
    assert_eq!(scrape.find("audit_queue_messages{state=\"waiting\"}"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_queue_and_among_the_dead_letters_is_told() {
    let (dead, live) = (TestQueue::new().await, TestQueue::new().await);
    let sqs = aws_sdk_sqs::Client::new(&aws_config(&aws_url()).await);
    let arn = QueueAttributeName::QueueArn;
    let asked = sqs.get_queue_attributes().queue_url(&dead.url).attribute_names(arn.clone());
    let told = asked.send().await.unwrap().attributes.unwrap();
    let policy = json!({ "deadLetterTargetArn": told[&arn], "maxReceiveCount": "5" }).to_string();
    let set = sqs.set_queue_attributes().queue_url(&live.url);
    set.attributes(QueueAttributeName::RedrivePolicy, policy).send().await.unwrap();
    for _ in 0..3 {
        sqs.send_message().queue_url(&dead.url).message_body("planted").send().await.unwrap();
    }
    sqs.send_message().queue_url(&live.url).message_body("planted").send().await.unwrap();
    let url = url::Url::parse(&live.url).unwrap();
    let queue = api::queue::SqsQueue::with_config(&url, &aws_config(&aws_url()).await).unwrap();
    let depths = queue.depths().await.unwrap();
    assert_eq!((depths.waiting, depths.taken, depths.dead), (1, 0, Some(3)));

    let (db, admin) = (TestDb::new().await, format!("127.0.0.1:{}", free_port()));
    let endpoint = aws_url();
    let mut settings = queue::settings(&live.url, &endpoint).to_vec();
    settings.push(("AUDIT_ADMIN_LISTEN", &admin));
    let _service = Service::start(&db.url(), &settings).await;
    let scrape = exposition::scrape(&format!("http://{admin}")).await;
    assert_eq!(scrape.find("audit_queue_dead_messages"), Some(3.0));
    assert_eq!(scrape.find("audit_queue_messages{state=\"waiting\"}"), Some(1.0));
    assert_eq!(scrape.find("audit_queue_messages{state=\"taken\"}"), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_no_index_confirms_are_told_and_that_it_fails() {
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let watched = Watched::start(&["--search-url", &nowhere]).await;
    let tenant_id = watched.app.tenant().await;
    let user = watched.app.caller(tenant_id, "user");
    for _ in 0..4 {
        user.post("/logs", &entry(json!({}))).await.created();
    }
    eventually("the index fails", SEEN_WITHIN, async || {
        assert_eq!(user.get("/logs/search?q=thing").await.body["source"], "log");
        let scrape = watched.scrape().await;
        scrape.find("audit_search_up") == Some(0.0)
            && scrape.get("audit_index_unconfirmed_entries") >= 4.0
    })
    .await;
}

/// A database that says nothing, or is not there, neither keeps a scrape waiting nor makes up numbers.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_ends_whatever_the_database_does() {
    let db = TestDb::new().await;
    let proxy = Proxy::start(&db.url()).await;
    let url = proxy.url.clone();
    let watched = Watched::start_at(db, &url, &[]).await;
    seen("it is up", &watched, |scrape| scrape.find("audit_database_up") == Some(1.0)).await;
    let silences = RefCell::new(Vec::new());
    eventually("it is down", SEEN_WITHIN, async || {
        // Those that it makes instead fall silent as well.
        silences.borrow_mut().push(proxy.silence());
        let begun = Instant::now();
        let scrape = watched.scrape().await;
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert!(scrape.get("process_resident_memory_bytes") > 0.0);
        let is_down = scrape.find("audit_database_up") == Some(0.0);
        assert!(!is_down || scrape.find("audit_log_entries").is_none());
        is_down
    })
    .await;
    silences.take().into_iter().for_each(Silence::end);
    seen("it is up again", &watched, |scrape| scrape.find("audit_database_up") == Some(1.0)).await;
}

/// Many who look at once ask the database once.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_look_at_once_ask_once() {
    let watched = Watched::start(&[]).await;
    let name: String = sqlx::query_scalar("select current_database()")
        .fetch_one(&mut watched.app.db.admin().await)
        .await
        .unwrap();
    let sessions = async || {
        let asked = format!("select count(*) from pg_stat_activity where datname = '{name}'");
        let counting = sqlx::query_scalar(AssertSqlSafe(asked));
        let count: i64 = counting.fetch_one(&mut watched.app.db.admin().await).await.unwrap();
        count
    };
    watched.scrape().await;
    let before = sessions().await;
    for _ in 0..20 {
        let (one, other, third) =
            tokio::join!(watched.scrape(), watched.scrape(), watched.scrape());
        assert_eq!((one.len(), other.len()), (third.len(), third.len()));
    }
    assert!(sessions().await <= before + 3, "a scrape opens connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_the_pools_and_the_workers_are_told() {
    let watched = Watched::start(&["--reader-connections", "5"]).await;
    seen("workers have had a round", &watched, |scrape| {
        ["upkeep", "expiry", "counter"].iter().all(|worker| {
            let series = format!("audit_worker_round_timestamp_seconds{{worker=\"{worker}\"}}");
            let ended = scrape.get(&series);
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
            let now = OffsetDateTime::now_utc().unix_timestamp() as f64;
            (now - 60.0..=now + 1.0).contains(&ended)
        })
    })
    .await;
    let scrape = watched.scrape().await;
    for (series, least, most) in [
        ("audit_pool_limit_connections{pool=\"reader\"}", 5.0, 5.0),
        ("audit_pool_connections{pool=\"worker\",state=\"idle\"}", 0.0, 4.0),
        ("audit_pool_reader_waiting", 0.0, 0.0),
        ("audit_admission_bytes", 0.0, 0.0),
        ("audit_admission_limit_bytes", 268_435_456.0, 268_435_456.0),
        ("audit_append_queue_requests", 0.0, 0.0),
        ("audit_exports", 0.0, 0.0),
        ("audit_build_info{version=\"0.1.0\"}", 1.0, 1.0),
        ("process_resident_memory_bytes", 1e6, 1e11),
        ("process_open_fds", 5.0, 1e6),
        ("process_max_fds", 100.0, 1e18),
        ("process_threads", 2.0, 1e4),
        ("process_cpu_seconds_total", 0.01, 1e6),
        ("process_start_time_seconds", 1.7e9, 1e11),
    ] {
        let value = scrape.find(series).unwrap_or_else(|| panic!("{series} is not told"));
        assert!((least..=most).contains(&value), "{series} is {value}");
    }
    let relay = "audit_worker_round_timestamp_seconds{worker=\"relay\"}";
    assert_eq!(scrape.find(relay), None, "there is no queue");
}
