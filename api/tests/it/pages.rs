//! What a page costs: the same at any depth of a log, and however many partitions there are.

use api::store::pages::{self, Wanted};
use api::store::range::{self, From};
use api::store::walk::{Allowance, Walk};
use api::store::{self, DbRole, connect_options};
use domain::{Filter, LogOwner, Order, Place, Seq, TenantId, Timestamp};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::support::database::{TestDb, run};
use crate::support::history;
use crate::support::seeds::soak;

/// More buffers than this for a hundred entries means that something is scanned.
const BUFFERS_MAX: i64 = 50;

/// Locks of a page over partitions of a day each: two for each of the days that a window spans.
const LOCKS_MAX: i64 = 100;

/// Tenants that share the partitions, so that one's entries lie among the others'.
const TENANTS: i64 = 4;

/// What a page of a hundred may do.
const PAGE: Allowance = Allowance { looked_at: 20_000, given: 100 };

/// A log over several partitions, and where each of them begins.
struct DeepLog {
    db: TestDb,
    tenant_id: TenantId,
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
        let tenant_id = TenantId::new(Uuid::nil());
        let tenant = format!(
            "insert into tenant (id, name, retention_days) values ('{tenant_id}', 'deep', 90);
             insert into log_head (tenant_id) values ('{tenant_id}');
             insert into log_floor (tenant_id) values ('{tenant_id}')"
        );
        run(&mut admin, tenant).await;
        history::settle(&mut admin, tenant_id).await;
        Self { db, tenant_id, entries: entries / TENANTS }
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

    /// The place of an entry, by its number.
    async fn place_of(&self, seq: i64) -> Place {
        let recorded_at: OffsetDateTime = sqlx::query_scalar(
            "select recorded_at from audit_log where tenant_id = $1 and seq = $2",
        )
        .bind(self.tenant_id.as_uuid())
        .bind(seq)
        .fetch_one(&mut self.db.admin().await)
        .await
        .unwrap();
        let ms = i64::try_from(recorded_at.unix_timestamp_nanos() / 1_000_000).unwrap();
        Place { recorded_at: Timestamp::from_millis(ms), seq: Seq::new(seq).unwrap() }
    }

    /// The numbers on the page behind an entry.
    async fn page(&self, reader: &mut PgConnection, order: Order, behind: i64) -> Vec<i64> {
        let after = Some(self.place_of(behind).await);
        let owner = LogOwner::of(self.tenant_id);
        let wanted = Wanted {
            owner: &owner,
            filter: &Filter::default(),
            from: From { after, ..From::start(order) },
            limit: 100,
        };
        let page = pages::read(reader, self.tenant_id, wanted).await.unwrap().unwrap();
        let data = format!("[{}]", String::from_utf8(page.data).unwrap());
        let entries: Vec<Value> = serde_json::from_str(&data).unwrap();
        entries.iter().map(|entry| entry["seq"].as_i64().unwrap()).collect()
    }

    /// The plan of the page behind an entry, and the buffers that it touches, hit or read.
    async fn plan(&self, reader: &mut PgConnection, order: Order, behind: i64) -> (Value, i64) {
        let after = Some(self.place_of(behind).await);
        let (filter, from) = (Filter::default(), From { after, ..From::start(order) });
        let range = range::find(reader, self.tenant_id, &filter, from).await.unwrap().unwrap();
        let mut walk = Walk::new(self.tenant_id, &filter, order, &range);
        let plan = walk.explain(reader, PAGE).await.unwrap().unwrap();
        let top = &plan[0]["Plan"];
        let count = |name: &str| top[name].as_i64().unwrap();
        let buffers = count("Shared Hit Blocks") + count("Shared Read Blocks");
        (plan, buffers)
    }
}

/// Fails when a plan sorts, or reads the log in any other way than along its primary key.
fn assert_follows_the_key(plan: &Value) {
    let text = plan.to_string();
    for node in ["\"Sort\"", "\"Seq Scan\"", "\"Bitmap Heap Scan\""] {
        assert!(!text.contains(node), "{node}: {plan:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_touches_few_buffers_at_any_depth() {
    let log = DeepLog::new(6, if soak() { 2_000_000 } else { 200_000 }).await;
    let mut reader = log.reader().await;
    let last = log.entries;
    for behind in [1, 100, last / 3, last / 2, last - 5_000, last - 101] {
        let up = log.page(&mut reader, Order::Asc, behind).await;
        assert_eq!(up, (behind + 1..=behind + 100).collect::<Vec<_>>());
        let down = log.page(&mut reader, Order::Desc, behind).await;
        assert_eq!(down, ((behind - 100).max(1)..behind).rev().collect::<Vec<_>>());
        for order in [Order::Asc, Order::Desc] {
            let (plan, buffers) = log.plan(&mut reader, order, behind.max(2)).await;
            assert!(buffers < BUFFERS_MAX, "{buffers} at {behind} of {last}, {order:?}: {plan:#}");
            assert_follows_the_key(&plan);
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
    let place = log.place_of(middle).await;
    let (filter, owner) = (Filter::default(), LogOwner::of(log.tenant_id));
    for run in 0..10 {
        let mut transaction = reader.begin().await.unwrap();
        let from = From { after: Some(place), ..From::start(Order::Asc) };
        let wanted = Wanted { owner: &owner, filter: &filter, from, limit: 50 };
        let page = pages::read(&mut transaction, log.tenant_id, wanted).await.unwrap().unwrap();
        assert_eq!(page.scanned_to, Some(middle + 50));
        let locks: i64 =
            sqlx::query_scalar("select count(*) from pg_locks where pid = pg_backend_pid()")
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
        // Views, their tables, and of each day in the window a partition and its index.
        assert!(locks < LOCKS_MAX, "run {run}: {locks} locks");
        transaction.commit().await.unwrap();
    }
    reader.close().await.unwrap();
}
