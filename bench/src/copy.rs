//! COPY in PostgreSQL's binary format: the fastest way that there is into a table.

use std::sync::LazyLock;

use domain::{NewEntry, Place, Seq, TenantId, Timestamp};
use sqlx::PgConnection;

use crate::entries;
use crate::insert::places;
use crate::load::Work;
use crate::row::{self, COLUMNS, Value};

static COPY: LazyLock<String> = LazyLock::new(|| {
    format!("copy audit_log ({}) from stdin with (format binary)", COLUMNS.join(", "))
});

/// The signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// PostgreSQL counts from 2000.
const EPOCH: Timestamp = Timestamp::from_millis(946_684_800_000);

/// Copies the same entries again and again, 1,000 a commit, each time at new places.
#[derive(Debug)]
pub(crate) struct Copier {
    connection: PgConnection,
    tenant_id: TenantId,
    entries: Vec<NewEntry>,
    buffer: Vec<u8>,
}

impl Copier {
    /// Copies the entries of these numbers.
    pub(crate) fn new(
        connection: PgConnection,
        tenant_id: TenantId,
        numbers: impl Iterator<Item = u64>,
    ) -> anyhow::Result<Self> {
        let entries = numbers.map(entries::checked).collect::<anyhow::Result<_>>()?;
        Ok(Self { connection, tenant_id, entries, buffer: Vec::new() })
    }

    /// Encodes anew each time, as anybody with new rows has to: about a hundredth of the whole.
    fn encode(&mut self) -> anyhow::Result<()> {
        let first = places(self.entries.len() as i64)?;
        self.buffer.clear();
        self.buffer.extend_from_slice(HEADER);
        for (seq, entry) in (first.seq.get()..).zip(&self.entries) {
            let seq = Seq::new(seq).ok_or_else(|| anyhow::anyhow!("out of numbers"))?;
            encode_row(&mut self.buffer, self.tenant_id, Place { seq, ..first }, entry);
        }
        self.buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        Ok(())
    }
}

impl Work for Copier {
    async fn once(&mut self) -> anyhow::Result<u64> {
        self.encode()?;
        let mut copy = self.connection.copy_in_raw(&COPY).await?;
        copy.send(&self.buffer[..]).await?;
        Ok(copy.finish().await?)
    }
}

fn encode_row(to: &mut Vec<u8>, tenant_id: TenantId, place: Place, entry: &NewEntry) {
    to.extend_from_slice(&(COLUMNS.len() as i16).to_be_bytes());
    for value in row::values(tenant_id, place, entry) {
        match value {
            Value::Tenant(id) => field(to, id.as_uuid().as_bytes()),
            Value::At(at) => {
                let micros = (at.as_millis() - EPOCH.as_millis()) * 1_000;
                field(to, &micros.to_be_bytes());
            }
            Value::Seq(seq) => field(to, &seq.to_be_bytes()),
            Value::Severity(rank) => field(to, &rank.to_be_bytes()),
            Value::Text(Some(text)) => field(to, text.as_bytes()),
            Value::Json(Some(text)) => field(to, text.as_bytes()),
            Value::Text(None) | Value::Json(None) => to.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
}

fn field(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    to.extend_from_slice(bytes);
}
