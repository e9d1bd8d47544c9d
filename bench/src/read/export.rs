//! An export read as cheaply as can be: its bytes are counted, its end is looked at.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use domain::TenantId;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::log::Log;
use crate::database::{Database, ROLE};
use crate::http::Request;
use crate::row::COLUMNS;

/// Read at a time.
const BUFFER: usize = 256 << 10;

/// Of the end, where the trailers are.
const TAIL: usize = 1 << 10;

/// Asks for the oldest so many entries; the connection is closed behind them.
async fn begin(
    address: SocketAddr,
    tenant_id: TenantId,
    format: &str,
    entries: i64,
) -> anyhow::Result<TcpStream> {
    let path = format!("/logs/export?format={format}&max_entries={entries}");
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(Request::get_stream(&path, tenant_id).bytes()).await?;
    Ok(stream)
}

/// Reads an export to its end, which must say how many entries there were.
pub(super) async fn read(
    address: SocketAddr,
    tenant_id: TenantId,
    format: &str,
    entries: i64,
) -> anyhow::Result<()> {
    let mut stream = begin(address, tenant_id, format, entries).await?;
    let mut buffer = vec![0; BUFFER];
    let mut tail = Vec::new();
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return check_end(&tail, entries);
        }
        tail.extend_from_slice(&buffer[len.saturating_sub(TAIL)..len]);
        tail.drain(..tail.len().saturating_sub(TAIL));
    }
}

fn check_end(tail: &[u8], entries: i64) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(tail);
    let rows = text.lines().rev().find_map(|line| line.strip_prefix("x-export-rows: "));
    let rows: i64 = rows.with_context(|| format!("an export ended with:\n{text}"))?.parse()?;
    ensure!(rows == entries, "an export of {entries} entries had {rows}");
    Ok(())
}

/// `psql`, and how it gets the same entries.
#[derive(Debug)]
pub(super) struct Psql<'a> {
    pub(super) program: &'a Path,
    pub(super) url: &'a SecretString,
    /// All that an entry is made of.
    pub(super) select: String,
}

impl<'a> Psql<'a> {
    /// For the oldest so many entries.
    pub(super) async fn new(
        program: &'a Path,
        database: &'a Database,
        log: &Log,
        entries: i64,
    ) -> anyhow::Result<Self> {
        let mut owner = database.connect().await?;
        let until = log.recorded_at(&mut owner, entries).await?;
        let (columns, tenant_id) = (COLUMNS.join(", "), log.tenant_id);
        let select = format!(
            "select {columns} from audit_log where tenant_id = '{tenant_id}' \
             and recorded_at <= '{until}' and seq <= {entries}"
        );
        Ok(Self { program, url: &database.url, select })
    }

    /// Copies them to where they are thrown away.
    pub(super) async fn copy(&self, in_order: bool) -> anyhow::Result<()> {
        let order = if in_order { " order by recorded_at, seq" } else { "" };
        let status = Command::new(self.program)
            .arg(self.url.expose_secret())
            .arg("--command")
            .arg(format!("copy ({}{order}) to stdout", self.select))
            .env_clear()
            .env("PGOPTIONS", format!("-c role={ROLE}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await?;
        ensure!(status.success(), "psql failed ({status})");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check_end;

    #[test]
    fn an_export_without_its_end_is_an_error() {
        let whole = b"}\n\r\n0\r\nx-export-rows: 12\r\nx-export-sha256: 00\r\n\r\n";
        assert!(check_end(whole, 12).is_ok());
        assert!(check_end(whole, 13).is_err());
        assert!(check_end(b"}\n\r\n", 12).is_err());
    }
}
