//! What an entry takes on disk.

use std::io::Write as _;

use anyhow::Context as _;
use api::store::append::{self, CallId, Outcome, RequestRow};
use api::store::migrations::Profile;
use api::store::{DbRole, connect, connect_options, marks, tenants};
use api::tenants::default_settings;
use domain::{TenantId, Timestamp};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::args::SizeArgs;
use crate::database::{self, Database, service_tenants};
use crate::entries;

/// Entries of one call of `append`.
const BATCH_ENTRIES: u64 = 1_000;

/// The log with its index, as it lies on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    bytes: i64,
    entries: i64,
}

impl Size {
    pub(crate) fn bytes_each(self) -> f64 {
        self.bytes as f64 / self.entries as f64
    }
}

/// Looks at whatever a run has left in the log.
pub(crate) async fn raw(database: &Database) -> anyhow::Result<Size> {
    let mut connection = database.connect().await?;
    let size = read(&mut connection, database.profile).await?;
    connection.close().await?;
    Ok(size)
}

async fn read(connection: &mut PgConnection, profile: Profile) -> anyhow::Result<Size> {
    let bytes = match profile {
        Profile::Native => {
            "select sum(pg_total_relation_size(relid))::bigint from pg_partition_tree('audit_log')"
        }
        Profile::Timescale => "select hypertable_size('audit_log')",
    };
    let bytes = sqlx::query_scalar(bytes).fetch_one(&mut *connection).await?;
    let entries =
        sqlx::query_scalar("select count(*) from audit_log").fetch_one(connection).await?;
    Ok(Size { bytes, entries })
}

/// `bench size`: fills an empty log, one connection at a time, and compresses it where it can.
///
/// Each entry is unlike the others: equal ones would compress better than any real log.
pub(crate) async fn run(args: &SizeArgs) -> anyhow::Result<()> {
    let profile = database::migrated(&args.database).await?;
    let options = connect_options(&args.database.database_url)?;
    eprintln!("writing {} entries", args.entries);
    fill(&options, args.entries).await?;

    let mut owner = PgConnection::connect_with(&options).await?;
    let raw = read(&mut owner, profile).await?;
    let mut out = std::io::stdout();
    writeln!(out, "profile {}, {} entries", profile.as_str(), raw.entries)?;
    writeln!(out, "raw: {:.1} bytes an entry, with its index", raw.bytes_each())?;
    match profile {
        Profile::Native => writeln!(out, "compressed: not measured here (native profile)")?,
        Profile::Timescale => {
            compress(&mut owner).await?;
            let compressed = read(&mut owner, profile).await?.bytes_each();
            let times = raw.bytes_each() / compressed;
            writeln!(out, "compressed: {compressed:.1} bytes an entry, {times:.1} times less")?;
        }
    }
    owner.close().await?;
    Ok(())
}

async fn fill(options: &PgConnectOptions, entries: u64) -> anyhow::Result<()> {
    let mut worker = connect(options, DbRole::Worker).await?;
    let mut call = CallId { replica: Uuid::new_v4(), epoch: 1, batch: 0 };
    marks::open(&mut worker, call.replica).await?;
    for tenant_id in service_tenants() {
        tenants::create(&mut worker, tenant_id, &default_settings("bench".to_owned(), 7)).await?;
    }
    let firsts = (0..entries).step_by(BATCH_ENTRIES as usize);
    for (first, tenant_id) in firsts.zip(service_tenants().into_iter().cycle()) {
        call.batch += 1;
        let numbers = first..entries.min(first + BATCH_ENTRIES);
        write(&mut worker, call, tenant_id, numbers).await?;
    }
    worker.close().await?;
    Ok(())
}

async fn write(
    worker: &mut PgConnection,
    call: CallId,
    tenant_id: TenantId,
    numbers: std::ops::Range<u64>,
) -> anyhow::Result<()> {
    let entries = numbers.map(entries::checked).collect::<anyhow::Result<Vec<_>>>()?;
    let request = RequestRow {
        tenant_id,
        settings_version: 1,
        recorded_by: entries::USER_ID,
        key: None,
        refused: None,
        entries: &entries,
        bytes: 0,
    };
    let outcomes = append::append(worker, call, Timestamp::now(), false, &[request]).await?;
    anyhow::ensure!(matches!(outcomes[..], [Outcome::Written(_)]), "not written: {outcomes:?}");
    Ok(())
}

/// With the product's own job, told to take chunks that lie ahead for old.
async fn compress(owner: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::query("select compress_old_chunks(0, '{\"after\": \"-1000 days\"}')")
        .execute(owner)
        .await
        .context("cannot compress")?;
    Ok(())
}
