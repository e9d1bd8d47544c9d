//! The same statistics from a hypertable, also of chunks that are compressed.

use api::config::{DatabaseUrl, DatabaseUrls, ProfileChoice};
use api::store::statistics::{self, Stats, counting};
use api::store::{self, DbRole, Store, connect_options, migrations, tenants};
use api::tenants::default_settings;
use domain::{Calendar, Filter, GroupBy, Ident, Interval, StatsQuery, TenantId, Timestamp, Zone};
use sqlx::{Connection as _, Executor as _, PgConnection};
use time::Duration;
use uuid::Uuid;

use super::{BEGIN, Row, insert};
use crate::support::timescale::Timescale;

/// Weeks that the log lies in, each in a chunk of its own.
const WEEKS: i64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_hypertable_is_counted_like_partitions() {
    let timescale = Timescale::start().await;
    let options = connect_options(&timescale.url()).unwrap();
    let mut owner = PgConnection::connect_with(&options).await.unwrap();
    migrations::migrate(&mut owner, ProfileChoice::Timescale, 7).await.unwrap();
    let tenant_id = TenantId::new(Uuid::now_v7());
    owner.execute("set role audit_worker").await.unwrap();
    let settings = default_settings("test".to_owned(), 7);
    assert!(tenants::create(&mut owner, tenant_id, &settings).await.unwrap());
    owner.execute("reset role; set role audit_owner").await.unwrap();
    let rows: Vec<Row> = (0..WEEKS * 70)
        .map(|n| Row {
            user_id: format!("user-{}", n % 2),
            ..Row::new(BEGIN + Duration::minutes(n * 144))
        })
        .collect();
    insert(&mut owner, tenant_id, 1, &rows).await;
    owner.execute("reset role").await.unwrap();
    let job = "select job_id from timescaledb_information.jobs
        where proc_name = 'compress_old_chunks'";
    let job: i32 = sqlx::query_scalar(job).fetch_one(&mut owner).await.unwrap();
    sqlx::query("call run_job($1)").bind(job).execute(&mut owner).await.unwrap();
    owner.close().await.unwrap();

    for counted in [false, true] {
        if counted {
            let mut worker = store::connect(&options, DbRole::Worker).await.unwrap();
            assert_eq!(counting::count_window(&mut worker, tenant_id).await.unwrap(), Some(350));
            assert_eq!(counting::count_window(&mut worker, tenant_id).await.unwrap(), Some(0));
            assert_eq!(counting::forget(&mut worker, tenant_id).await.unwrap(), Some(0));
            worker.close().await.unwrap();
        }
        asked_right(&timescale, tenant_id).await;
    }
}

/// What is kept and what is in the log say the same.
async fn asked_right(timescale: &Timescale, tenant_id: TenantId) {
    let owner = DatabaseUrl { setting: "AUDIT_DATABASE_URL", url: timescale.url() };
    let store = Store::new(&DatabaseUrls::of_owner(owner), 1).unwrap();
    let calendar = Some(Calendar { interval: Interval::Week, zone: Zone::UTC });
    let by_week = StatsQuery { calendar, ..StatsQuery::default() };
    let user = vec![Ident::parse("user-1").unwrap()];
    let of_one = StatsQuery {
        filter: Filter { user_id: user, ..Filter::default() },
        group_by: vec![GroupBy::Action],
        ..by_week.clone()
    };
    let from = Timestamp::parse("2026-03-09T00:00:00Z").unwrap();
    let filter =
        Filter { from: Some(from), to: Some(from.plus_millis(86_400_001)), ..Filter::default() };
    let of_a_day = StatsQuery { filter, ..StatsQuery::default() };
    for (query, expected) in [(by_week, vec![70; 5]), (of_one, vec![35; 5]), (of_a_day, vec![11])] {
        let stats: Stats = statistics::count(&store, tenant_id, &query).await.unwrap();
        assert!(!stats.partial);
        assert_eq!((stats.head_seq, stats.floor_seq), (WEEKS * 70, 1));
        let counts: Vec<i64> = stats.data.iter().map(|row| row.count).collect();
        assert_eq!(counts, expected, "{query:?}");
    }
    store.reader.close().await;
}
