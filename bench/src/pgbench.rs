//! `pgbench`: an INSERT a commit from C, without HTTP or any service.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::TenantId;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::cpu::Meter;
use crate::database::{ROLE, TENANTS};
use crate::insert::places;
use crate::load::Sample;
use crate::row::{self, COLUMNS, Value};
use crate::{entries, load};

/// Where its clients connect and prepare their statement.
const WARM_UP: Duration = Duration::from_secs(1);

/// Runs so many clients, each to a connection of its own.
pub(crate) async fn measure(
    program: &Path,
    url: &SecretString,
    tenants: [TenantId; TENANTS],
    clients: usize,
    measured: Duration,
    meter: Meter,
) -> anyhow::Result<Sample> {
    let Script { text, variables } = script(tenants)?;
    // Its report of a second comes late or not at all when it is the last.
    let seconds = (WARM_UP + measured).as_secs() + 1;
    let mut child = Command::new(program)
        .args(["--no-vacuum", "--protocol=prepared", "--file=-", "--progress=1", "--jobs=2"])
        .arg(format!("--client={clients}"))
        .arg(format!("--time={seconds}"))
        .args(variables.iter().map(|variable| format!("--define={variable}")))
        .arg(url.expose_secret())
        .env_clear()
        .env("PGOPTIONS", format!("-c role={ROLE}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("pgbench has no standard input")?;
    stdin.write_all(text.as_bytes()).await?;
    drop(stdin);
    let meter = Meter { load: child.id(), ..meter };
    let (output, cpu) = tokio::try_join!(wait(child), async {
        sleep(WARM_UP).await;
        let before = meter.read().await;
        sleep(measured).await;
        let after = meter.read().await;
        Ok(before.zip(after).map(|(before, after)| before.until(after)))
    })?;
    let rate = rate(&output).with_context(|| format!("pgbench said:\n{output}"))?;
    Ok(load::Sample { rate: Some(rate), cpu, ..Sample::default() })
}

async fn wait(child: Child) -> anyhow::Result<String> {
    let output = child.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "pgbench failed:\n{said}");
    Ok(said)
}

/// Of the seconds after the first: `progress: 2.0 s, 5012.3 tps, lat …`.
fn rate(output: &str) -> Option<f64> {
    let mut lines = output.lines().filter_map(|line| {
        let (at, rest) = line.strip_prefix("progress: ")?.split_once(" s, ")?;
        let (rate, _) = rest.split_once(" tps")?;
        Some((at.parse::<f64>().ok()?, rate.parse::<f64>().ok()?))
    });
    let (first, _) = lines.next()?;
    let (mut last, mut entries) = (first, 0.0);
    for (at, rate) in lines {
        entries += rate * (at - last);
        last = at;
    }
    (last > first).then(|| entries / (last - first))
}

struct Script {
    text: String,
    /// `name=value`.
    variables: Vec<String>,
}

/// The same row as everywhere, its values sent as parameters; its place is made by the server.
fn script(tenants: [TenantId; TENANTS]) -> anyhow::Result<Script> {
    let entry = entries::checked(0)?;
    let mut variables = Vec::new();
    let mut list = String::new();
    for (column, value) in COLUMNS.into_iter().zip(row::values(tenants[0], places(1)?, &entry)) {
        let mut parameter = |value: &str| {
            variables.push(format!("{column}={value}"));
            format!(":{column}")
        };
        let value = match value {
            Value::Tenant(first) => tenant_of_client(first),
            Value::At(_) => "now()".to_owned(),
            Value::Seq(_) => ":seq".to_owned(),
            Value::Severity(rank) => parameter(&rank.to_string()),
            Value::Text(Some(text)) => parameter(&text),
            Value::Json(Some(text)) => parameter(text),
            Value::Text(None) | Value::Json(None) => "null".to_owned(),
        };
        let comma = if list.is_empty() { "" } else { ", " };
        write!(list, "{comma}{value}")?;
    }
    let text = format!(
        "\\set tenant :client_id % {TENANTS}\n\
         \\set seq random({}, {})\n\
         insert into audit_log ({}) values ({list});\n",
        1_i64 << 39,
        (1_i64 << 40) - 1,
        COLUMNS.join(", "),
    );
    Ok(Script { text, variables })
}

/// The tenants' ids differ in their last digit alone.
fn tenant_of_client(first: TenantId) -> String {
    let first = first.to_string();
    let (prefix, _) = first.split_at(first.len() - 1);
    format!("('{prefix}' || :tenant::text)::uuid")
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn the_first_second_does_not_count_and_long_seconds_count_for_more() {
        let output = "pgbench (15.4)\n\
            progress: 1.0 s, 10.0 tps, lat 1.0 ms stddev 0.1, 0 failed\n\
            progress: 2.0 s, 100.0 tps, lat 1.0 ms stddev 0.1, 0 failed\n\
            progress: 5.0 s, 200.0 tps, lat 1.0 ms stddev 0.1, 0 failed\n";
        assert_eq!(rate(output), Some(175.0));
        assert_eq!(rate("progress: 1.0 s, 10.0 tps, lat 1.0 ms"), None);
        assert_eq!(rate("pgbench: error: connection failed"), None);
    }
}
