//! `audit-log verify-index`: every log held against the index, and mended if asked.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use thiserror::Error;
use tokio::time::Instant;

use crate::client::progress::Progress;
use crate::config::VerifyIndexArgs;
use crate::repair::RepairError;
use crate::repair::direct::Direct;
use crate::repair::mender::Mender;
use crate::repair::strangers::Stranger;
use crate::repair::verify::{NAMED_MAX, Report, Verifier};
use crate::store::indexing::{self, Log};

use super::index_parts::{Parts, parts};

/// Logs that expired under the look at them are looked at so often.
const TRIES_MAX: u32 = 3;

/// The index is not the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Differs {
    /// And was left so, or could not be mended.
    #[error("the index differs from the log")]
    Still,
    /// And was mended.
    #[error("the index differed from the log and was repaired")]
    Repaired,
}

/// Verifies, and repairs if asked.
pub async fn run(args: &VerifyIndexArgs) -> anyhow::Result<()> {
    let Parts { store, index } = parts(&args.database, &args.search).await?;
    let way = Direct { store: store.clone(), index: index.clone() };
    let verifier = Verifier {
        mender: Mender { store, index, way },
        settling: Duration::from_secs(args.settling_s),
        wait_until: Instant::now() + Duration::from_secs(args.wait_s),
        repair: args.repair,
    };
    let report = verify(&verifier, args).await?;
    let mut out = std::io::stdout();
    if args.json {
        serde_json::to_writer(&out, &report)?;
        writeln!(out)?;
    } else {
        out.write_all(text(&report).as_bytes())?;
    }
    if report.is_equal() {
        return Ok(());
    }
    Err(if report.is_repaired() { Differs::Repaired } else { Differs::Still }.into())
}

async fn verify(verifier: &Verifier, args: &VerifyIndexArgs) -> anyhow::Result<Report> {
    let db = &verifier.mender.store.worker;
    let mut report = Report::default();
    let mut progress = Progress::new("verifying");
    let mut done = 0;
    if let Some(tenant_id) = args.tenant {
        let log = indexing::log(db, tenant_id).await?.context("there is no such tenant")?;
        progress.set_len(log.len().unsigned_abs());
        verify_one(verifier, log, &mut report, &mut |entries| {
            done += entries;
            progress.set(done);
        })
        .await?;
        return Ok(report);
    }
    progress.set_len(indexing::entries(db).await?.unsigned_abs());
    let mut after = None;
    loop {
        let logs = indexing::logs(db, after).await?;
        let Some(last) = logs.last().map(|log| log.tenant_id) else { break };
        for log in logs {
            verify_one(verifier, log, &mut report, &mut |entries| {
                done += entries;
                progress.set(done);
            })
            .await?;
        }
        after = Some(last);
    }
    verifier.strangers(&mut report).await.context("documents of unknown tenants")?;
    Ok(report)
}

/// Verifies one log as it is now.
async fn verify_one(
    verifier: &Verifier,
    mut log: Log,
    report: &mut Report,
    passed: &mut impl FnMut(u64),
) -> anyhow::Result<()> {
    for _ in 0..TRIES_MAX {
        match verifier.verify(&log, report, &mut *passed).await {
            Err(RepairError::Moved) => {
                let db = &verifier.mender.store.worker;
                log = indexing::log(db, log.tenant_id).await?.context("a tenant has gone")?;
            }
            ended => return ended.with_context(|| format!("tenant {}", log.tenant_id)),
        }
    }
    Err(RepairError::Moved).with_context(|| format!("tenant {}", log.tenant_id))
}

fn text(report: &Report) -> String {
    use std::fmt::Write as _;
    let mut lines = String::new();
    for (what, findings) in [("missing", &report.missing), ("foreign", &report.foreign)] {
        for named in &findings.named {
            // A string takes all that is written to it.
            let _ = writeln!(lines, "{what} {} {} {}", named.tenant_id, named.seq, named.id);
        }
        if findings.count > findings.named.len() as u64 {
            let _ = writeln!(lines, "{what}: the first {NAMED_MAX} of {}", findings.count);
        }
    }
    for Stranger { tenant_id, documents } in &report.strangers.named {
        let tenant_id = tenant_id.as_deref().unwrap_or("none");
        let _ = writeln!(lines, "unknown tenant {tenant_id} {documents} documents");
    }
    if report.strangers.tenants > report.strangers.named.len() as u64 {
        let _ = writeln!(lines, "unknown tenants: the first {NAMED_MAX}");
    }
    lines + &summary(report)
}

fn summary(report: &Report) -> String {
    let Report { logs, entries, pending, expired, repaired, unrepaired, .. } = report;
    format!(
        "{logs} logs, {entries} entries: {} missing, {} foreign, {} of unknown tenants, {pending} \
         pending, {expired} expired documents, {repaired} repaired, {unrepaired} left\n",
        report.missing.count, report.foreign.count, report.strangers.count,
    )
}
