//! The log as a hypertable: old chunks are compressed by the job, and read as before.

use api::config::ProfileChoice;
use api::store::{self, DbRole, connect_options, entries, migrations};
use domain::{Place, Seq, TenantId, Timestamp};
use sqlx::{Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use crate::support::timescale::Timescale;

const JSON: &str = r#"{"z":1.50,"a":1e400,"s":"\u00e9"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_old_chunk_is_compressed_by_the_job_and_read_as_before() {
    let timescale = Timescale::start().await;
    let options = connect_options(&timescale.url()).unwrap();
    let mut owner = PgConnection::connect_with(&options).await.unwrap();
    migrations::migrate(&mut owner, ProfileChoice::Timescale, 7).await.unwrap();
    let tenant_id = TenantId::new(Uuid::now_v7());
    let days = |days: i64| Timestamp::now().plus_millis(-days * 86_400_000);
    let (old, young) = (days(30), days(1));
    owner.execute("set role audit_owner").await.unwrap();
    let tenant = "insert into tenant (id, name, retention_days) values ($1, 'x', 90)";
    sqlx::query(tenant).bind(tenant_id.as_uuid()).execute(&mut owner).await.unwrap();
    for table in ["log_head", "log_floor"] {
        let insert = sqlx::AssertSqlSafe(format!("insert into {table} (tenant_id) values ($1)"));
        sqlx::query(insert).bind(tenant_id.as_uuid()).execute(&mut owner).await.unwrap();
    }
    for (seq, at) in [(1, old), (2, young)] {
        sqlx::query(
            "insert into audit_log (tenant_id, recorded_at, seq, recorded_by, occurred_at, user_id,
                action, resource_type, severity, after)
             values ($1, $2::timestamptz, $3, 'alice', $2::timestamptz, 'alice', 'VIEW', 'x', 0,
                $4::json)",
        )
        .bind(tenant_id.as_uuid())
        .bind(time::OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(at.as_millis()))
        .bind(seq)
        .bind(JSON)
        .execute(&mut owner)
        .await
        .unwrap();
    }
    owner.execute("reset role").await.unwrap();

    let jobs: Vec<i32> = sqlx::query_scalar(
        "select job_id from timescaledb_information.jobs where proc_name = 'compress_old_chunks'",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(jobs.len(), 1);
    // Twice: what is compressed already is no fault.
    for _ in 0..2 {
        sqlx::query("call run_job($1)").bind(jobs[0]).execute(&mut owner).await.unwrap();
    }
    let compressed: Vec<bool> = sqlx::query_scalar(
        "select is_compressed from timescaledb_information.chunks
         where hypertable_name = 'audit_log' order by range_start",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(compressed, [true, false]);
    owner.close().await.unwrap();

    let mut reader = store::connect(&options, DbRole::Reader).await.unwrap();
    sqlx::query("select set_config('audit.tenant_id', $1, false)")
        .bind(tenant_id.to_string())
        .execute(&mut reader)
        .await
        .unwrap();
    for (seq, recorded_at) in [(1, old), (2, young)] {
        let place = Place { recorded_at, seq: Seq::new(seq).unwrap() };
        let found = entries::find(&mut reader, tenant_id, place).await.unwrap().unwrap();
        assert_eq!(found.content().after.as_ref().unwrap().as_str(), JSON);
    }
    reader.close().await.unwrap();
}
