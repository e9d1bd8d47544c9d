//! What a page costs: the same at any depth of a log, and however many partitions there are.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use api::store::{self, DbRole, connect_options};

use crate::support::database::{TestDb, run};
use crate::support::seeds::soak;

/// More buffers than this for a hundred entries means that something is scanned.
const BUFFERS_MAX: i64 = 50;

/// Tenants that share the partitions, so that one's entries lie among the others'.
const TENANTS: i64 = 4;

/// The query of a list: both bounds of the window, and the place to go on from.
fn page(upwards: bool) -> String {
    let (than, order) = if upwards { (">", "") } else { ("<", "desc") };
    format!(
        "select
            recorded_at, seq, recorded_by, occurred_at, user_id, user_name, session_id, request_id,
            action, resource_type, resource_id, severity, message, ip_address, user_agent,
            before::text, after::text, metadata::text
         from entry
         where tenant_id = $1
            and recorded_at between $2 and $3
            and (recorded_at, seq) {than} ($4, $5)
         order by recorded_at {order}, seq {order}
         limit 100"
    )
}

/// A log over several partitions, and where each of them begins.
struct DeepLog {
    db: TestDb,
    tenant_id: Uuid,
    begins: OffsetDateTime,
    ends: OffsetDateTime,
    entries: i64,
}

impl DeepLog {
    /// So many partitions of a day each, with so many entries of all tenants in them.
    async fn new(partitions: i64, entries: i64) -> Self {
        let db = TestDb::new().await;
        let mut admin = db.admin().await;
        let ends = time::macros::datetime!(2020-01-01 0:00 UTC);
        let begins = ends - Duration::days(partitions);
        for day in 0..partitions {
            let from = (begins + Duration::days(day)).date();
            let to = (begins + Duration::days(day + 1)).date();
            let name = from.to_string().replace('-', "");
            // One after the other: each takes locks on every index.
            let statement = format!(
                "create table audit_log_{name}_00 partition of audit_log
                    for values from ('{from} 00:00+00') to ('{to} 00:00+00')"
            );
            run(&mut admin, statement).await;
        }
        let spread = format!(
            "set synchronous_commit = off;
             insert into audit_log (
                tenant_id, recorded_at, seq, recorded_by, occurred_at, user_id, action,
                resource_type, severity, message, after
             )
             select
                lpad(to_hex(n % {TENANTS}), 32, '0')::uuid, at, 1 + n / {TENANTS}, 'alice', at,
                'user-' || n % 1000, 'UPDATE', 'invoice', 0, 'entry number ' || n,
                '{{\"amount\": 12.50, \"state\": \"paid\"}}'
             from generate_series(0, {entries} - 1) n,
                lateral (select date_trunc('milliseconds', timestamptz '{begins}'
                    + n * (interval '{partitions} days' / {entries})) as at) t;
             analyze audit_log;"
        );
        run(&mut admin, spread).await;
        // Visibility is known before anything is counted, as in a log that has been there a while.
        run(&mut admin, "vacuum audit_log".to_owned()).await;
        let entries = entries / TENANTS;
        Self { db, tenant_id: Uuid::nil(), begins, ends, entries }
    }

    /// A session as handlers have it.
    async fn reader(&self) -> PgConnection {
        let url = secrecy::SecretString::from(self.db.url());
        let options = connect_options(&url).unwrap();
        let mut reader = store::connect(&options, DbRole::Reader).await.unwrap();
        let set = format!("set audit.tenant_id = '{}'", self.tenant_id);
        reader.execute(AssertSqlSafe(set)).await.unwrap();
        reader
    }

    /// The time of an entry, by its number.
    async fn time_of(&self, seq: i64) -> OffsetDateTime {
        sqlx::query_scalar("select recorded_at from audit_log where tenant_id = $1 and seq = $2")
            .bind(self.tenant_id)
            .bind(seq)
            .fetch_one(&mut self.db.admin().await)
            .await
            .unwrap()
    }

    /// The numbers on a page after a place, and the window that it looks at.
    async fn page(&self, reader: &mut PgConnection, upwards: bool, from: i64) -> Vec<i64> {
        let at = self.time_of(from).await;
        sqlx::query_scalar(AssertSqlSafe(format!("select seq from ({}) page", page(upwards))))
            .bind(self.tenant_id)
            .bind(if upwards { at } else { self.begins })
            .bind(if upwards { self.ends } else { at })
            .bind(at)
            .bind(from)
            .fetch_all(reader)
            .await
            .unwrap()
    }

    /// Buffers that a page touches, hit or read.
    async fn buffers(&self, reader: &mut PgConnection, upwards: bool, from: i64) -> (i64, Value) {
        let at = self.time_of(from).await;
        let explain = format!("explain (analyze, buffers, format json) {}", page(upwards));
        let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain))
            .bind(self.tenant_id)
            .bind(if upwards { at } else { self.begins })
            .bind(if upwards { self.ends } else { at })
            .bind(at)
            .bind(from)
            .fetch_one(reader)
            .await
            .unwrap();
        let top = &plan[0]["Plan"];
        let count = |name: &str| top[name].as_i64().unwrap();
        (count("Shared Hit Blocks") + count("Shared Read Blocks"), plan)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_touches_few_buffers_at_any_depth() {
    let log = DeepLog::new(6, if soak() { 2_000_000 } else { 200_000 }).await;
    let mut reader = log.reader().await;
    let last = log.entries;
    for from in [1, 100, last / 3, last / 2, last - 5_000, last - 101] {
        assert_eq!(
            log.page(&mut reader, true, from).await,
            (from + 1..=from + 100).collect::<Vec<_>>()
        );
        let down = (from - 100).max(1)..from;
        assert_eq!(log.page(&mut reader, false, from).await, down.rev().collect::<Vec<_>>());
        for upwards in [true, false] {
            let (buffers, plan) = log.buffers(&mut reader, upwards, from).await;
            assert!(
                buffers < BUFFERS_MAX,
                "{buffers} buffers at {from} of {last}, upwards {upwards}: {plan:#}"
            );
        }
    }
    reader.close().await.unwrap();
}

/// On its sixth run a prepared statement may be planned for every partition at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_stays_cheap_with_years_of_partitions() {
    let partitions = if soak() { 2_500 } else { 300 };
    let log = DeepLog::new(partitions, partitions * TENANTS * 2).await;
    let mut reader = log.reader().await;
    let middle = log.entries / 2;
    let at = log.time_of(middle).await;
    for run in 0..10 {
        let mut transaction = reader.begin().await.unwrap();
        let seqs: Vec<i64> =
            sqlx::query_scalar(AssertSqlSafe(format!("select seq from ({}) page", page(true))))
                .bind(log.tenant_id)
                .bind(at)
                .bind(at + Duration::days(7))
                .bind(at)
                .bind(middle)
                .fetch_all(&mut *transaction)
                .await
                .unwrap();
        assert!(seqs.is_sorted() && seqs.first() == Some(&(middle + 1)), "{seqs:?}");
        let locks: i64 =
            sqlx::query_scalar("select count(*) from pg_locks where pid = pg_backend_pid()")
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
        // The view, its table, and of each day in the window a partition and its indexes.
        assert!(locks < 60, "run {run}: {locks} locks");
        transaction.commit().await.unwrap();
    }
    reader.close().await.unwrap();
}
