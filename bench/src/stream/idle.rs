//! Thousands who watch logs where nothing happens: what each costs.

use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::wire::Wire;
use crate::cpu::{self, Meter};
use crate::database::service_tenants;
use crate::goals::Goal;
use crate::report::Report;
use crate::server::Server;
use crate::table::thousands;

use super::subject::Subject;

/// How long the service may take to settle before anything is measured.
const SETTLE: Duration = Duration::from_secs(3);

/// Nothing to do is hardly anything done: so much of one processor.
const CPU_GOAL: f64 = 0.02;

/// What was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    subscribers: usize,
    bytes_each: f64,
    /// Parts of one processor.
    service: f64,
    postgres: f64,
}

/// Lets so many watch, and looks for so long.
pub(super) async fn measure(
    service: &Server,
    meter: Meter,
    subscribers: usize,
    lasts: Duration,
) -> anyhow::Result<Idle> {
    let pid = service.pid().context("the service has ended")?;
    sleep(SETTLE).await;
    let before = cpu::memory(pid).context("/proc does not show the memory")?;
    let mut watching = JoinSet::new();
    for (_, tenant_id) in (0..subscribers).zip(service_tenants().into_iter().cycle()) {
        let mut wire = Wire::subscribe(service.address, tenant_id, "").await?;
        watching.spawn(async move {
            loop {
                wire.next().await?;
            }
            #[expect(unreachable_code, reason = "it says what the block gives")]
            anyhow::Ok(())
        });
    }
    sleep(SETTLE).await;
    let after = cpu::memory(pid).context("/proc does not show the memory")?;
    let ((), _, shares) = cpu::timed(meter, async {
        sleep(lasts).await;
        Ok(())
    })
    .await?;
    anyhow::ensure!(
        watching.try_join_next().is_none(),
        "a stream has ended while nothing was said"
    );
    let processors = std::thread::available_parallelism()?.get() as f64;
    let shares = shares.context("/proc does not show who has the processors")?;
    Ok(Idle {
        subscribers,
        bytes_each: after.saturating_sub(before) as f64 / subscribers as f64,
        service: processors * shares.server,
        postgres: processors * shares.postgres,
    })
}

impl Idle {
    pub(super) fn tell(self, report: &mut Report<'_, Subject>) {
        let Self { subscribers, bytes_each, service, postgres } = self;
        let of = thousands(subscribers as f64);
        let each = format!("{:.1} KiB", bytes_each / 1_024.0);
        report.add_fact(
            &format!("memory of the service for each of {of} idle subscribers"),
            &each,
            "",
        );
        let percent = |part: f64| format!("{:.1} % of a processor", 100.0 * part);
        let what = "CPU of the service at rest, with them";
        report.judge_fact(what, &percent(service), service, Goal::AtMost(CPU_GOAL));
        report.add_fact("CPU of PostgreSQL meanwhile", &percent(postgres), "");
    }
}
