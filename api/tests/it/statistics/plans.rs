//! What an answer costs: one range of an index, whatever the other tenants have.

use std::time::Duration as StdDuration;

use sqlx::{AssertSqlSafe, PgConnection};

use super::{BEGIN, Log, Row, app_with_past};
use crate::support::database::run;
use crate::support::eventually;
use crate::support::seeds::soak;

/// Generated counts: days, and kinds a quarter. In a soak as many as 5 million entries make.
fn size() -> (i64, i64) {
    if soak() { (30, 40) } else { (10, 10) }
}

/// Counts of entries that there are none of, as if they had been counted; and vacuumed.
async fn generate(admin: &mut PgConnection, tenant: uuid::Uuid, days: i64, kinds: i64) {
    run(
        admin,
        format!(
            "insert into stat_quarter (tenant_id, day, quarter, action, severity, resource_type, n)
             select
                '{tenant}', (q at time zone 'utc')::date, q, 'action-' || k % 5, k % 4,
                'type-' || k / 20, 43
             from
                generate_series(
                    timestamptz '{BEGIN}',
                    timestamptz '{BEGIN}' + interval '{days} days' - interval '15 minutes',
                    interval '15 minutes'
                ) q,
                generate_series(0, {kinds} - 1) k"
        ),
    )
    .await;
}

/// Statements as the service sends them, with all that they read of the kept counts.
const SUM: &str = "select width_bucket(occurred_at, $3) as bucket, action as group_0,
        severity as group_1, bool_or(action = '') as is_folded, sum(n)::bigint as n
     from entry_count
     where tenant_id = $1 and day >= $2
     group by bucket, group_0, group_1
     order by n desc nulls last
     limit 100001";

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_is_one_range_of_the_index_and_reads_no_table() {
    let app = app_with_past().await;
    let mut log = Log::new(&app).await;
    log.append(&[Row::new(BEGIN)]).await;
    let (days, kinds) = size();
    let tenant = log.tenant_id.as_uuid();
    generate(&mut log.admin, tenant, days, kinds).await;
    for _ in 0..6 {
        generate(&mut log.admin, uuid::Uuid::now_v7(), days, kinds).await;
    }
    run(&mut log.admin, "vacuum analyze stat_quarter".to_owned()).await;

    let mut reader = app.db.as_role("audit_reader").await;
    run(&mut reader, format!("set audit.tenant_id = '{tenant}'")).await;
    run(&mut reader, "set plan_cache_mode = force_custom_plan".to_owned()).await;
    let boundaries: Vec<_> = (0..days).map(|day| BEGIN + time::Duration::days(day)).collect();
    let plan: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(format!("explain (analyze, timing off) {SUM}")))
            .bind(tenant)
            .bind(time::Date::from_calendar_date(1970, time::Month::January, 1).unwrap())
            .bind(&boundaries)
            .fetch_all(&mut reader)
            .await
            .unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains("Index Only Scan using stat_quarter_pkey"), "{plan}");
    assert!(plan.contains("Heap Fetches: 0"), "{plan}");
    assert!(!plan.contains("Seq Scan"), "{plan}");
    assert_eq!(plan.matches("Scan").count(), 1, "{plan}");

    // The service's own statement, too, scans no table.
    let scans = "select seq_scan, idx_scan from pg_stat_user_tables
        where relname = 'stat_quarter'";
    let (tables, indexes): (i64, i64) =
        sqlx::query_as(scans).fetch_one(&mut app.db.admin().await).await.unwrap();
    eventually("scans are told", StdDuration::from_secs(20), async || {
        log.ask("group_by=action,severity&interval=day").await;
        let (tables_now, indexes_now): (i64, i64) =
            sqlx::query_as(scans).fetch_one(&mut app.db.admin().await).await.unwrap();
        assert_eq!(tables_now, tables);
        indexes_now > indexes
    })
    .await;

    // Through the service: what was generated is all there, in its buckets.
    let answer = log.ask("group_by=action,severity&interval=day").await;
    let counts = answer.body["data"].as_array().unwrap().iter();
    let sum: i64 = counts.map(|row| row["count"].as_i64().unwrap()).sum();
    assert_eq!(sum, days * 96 * kinds * 43 + 1, "{plan}");
    let begun = std::time::Instant::now();
    for _ in 0..5 {
        log.ask("group_by=action,severity&interval=day").await;
    }
    eprintln!("{} counts summed in {:?}", days * 96 * kinds, begun.elapsed() / 5);
}

/// However much lies behind a window, its limit is where the work ends. Where logs of a partition
/// grow at different speeds, another plan looks cheaper.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_reads_its_own_entries_and_no_others() {
    let app = app_with_past().await;
    let mut log = Log::new(&app).await;
    let mut held = log.hold_counting().await;
    let entries = |step: time::Duration| -> Vec<Row> {
        (0..60_000).map(|n| Row::new(BEGIN + step * n)).collect()
    };
    log.append(&entries(time::Duration::milliseconds(30))).await;
    let mut other = Log::new(&app).await;
    let _held = other.hold_counting().await;
    other.append(&entries(time::Duration::seconds(30))).await;
    run(&mut log.admin, "vacuum analyze audit_log".to_owned()).await;

    let before = read_so_far(&mut log.admin).await;
    assert_eq!(log.total("user_id=alice").await, 60_000);
    eventually("reads are told", StdDuration::from_secs(20), async || {
        // Any other work, for sessions tell what they did with the next that they do.
        app.caller(log.tenant_id, "auditor").get("/logs/stats?severity=CRITICAL").await;
        read_so_far(&mut app.db.admin().await).await.1 > before.1
    })
    .await;
    let after = read_so_far(&mut log.admin).await;
    assert_eq!(after.0, before.0, "a table was scanned");
    let (asked, left_over) = ((after.1 - before.1) / 60_000, (after.1 - before.1) % 60_000);
    assert!(left_over < 100, "{left_over} entries more than {asked} times the log");
    run(&mut held, "commit".to_owned()).await;

    run(&mut log.admin, "begin".to_owned()).await;
    for _ in 0..3 {
        let counting = sqlx::query_scalar("select count_window($1)");
        let counted: i32 =
            counting.bind(log.tenant_id.as_uuid()).fetch_one(&mut log.admin).await.unwrap();
        assert_eq!(counted, 20_000);
    }
    let (scanned, fetched): (i64, i64) = sqlx::query_as(
        "select sum(seq_tup_read)::bigint, sum(idx_tup_fetch)::bigint
         from pg_stat_xact_user_tables
         where relname like 'audit\\_log%'",
    )
    .fetch_one(&mut log.admin)
    .await
    .unwrap();
    assert_eq!(scanned, 0);
    assert!(fetched <= 60_010, "{fetched} entries for three windows");
}

/// Rows of the log that scans have read so far, of tables and by indexes.
async fn read_so_far(admin: &mut PgConnection) -> (i64, i64) {
    sqlx::query_as(
        "select sum(seq_tup_read)::bigint, sum(idx_tup_fetch)::bigint
         from pg_stat_user_tables
         where relname like 'audit\\_log%'",
    )
    .fetch_one(admin)
    .await
    .unwrap()
}
