//! The closed loop: every connection asks, waits for the answer, notes the time, asks again.

use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep_until;

use crate::cpu::{Meter, Shares};
use crate::table::dash;

/// The load of one connection.
pub(crate) trait Work: 'static {
    /// Asks once and waits; says how many entries were acknowledged or read.
    async fn once(&mut self) -> anyhow::Result<u64>;
}

/// How long a subject works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// First, without being measured.
    pub(crate) warm_up: Duration,
    /// Then, measured.
    pub(crate) measured: Duration,
}

/// What was seen of a subject in one round.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// Entries a second: acknowledged, or read.
    pub(crate) rate: Option<f64>,
    /// Half of the answers came within so many milliseconds.
    pub(crate) p50_ms: Option<f64>,
    /// All but a hundredth came within so many milliseconds.
    pub(crate) p99_ms: Option<f64>,
    /// Who had the processors.
    pub(crate) cpu: Option<Shares>,
    /// Entries acknowledged in each second that was measured.
    pub(crate) by_second: Vec<u64>,
    /// Entries acknowledged in all, also those that came before and after.
    pub(crate) acknowledged: u64,
    /// Entries that the service wrote in one transaction.
    pub(crate) batch: Option<f64>,
}

impl Sample {
    /// Of something that was done once.
    pub(crate) fn once(entries: i64, (elapsed, cpu): (Duration, Option<Shares>)) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self {
            rate: Some(entries as f64 / seconds),
            p50_ms: Some(1_000.0 * seconds),
            cpu,
            ..Self::default()
        }
    }

    /// Shows on standard error how it goes.
    pub(crate) fn say(&self, what: &str) {
        let show = |number: Option<f64>, digits| {
            number.map_or_else(dash, |number| format!("{number:.digits$}"))
        };
        eprintln!(
            "{what} {:>9} entries/s, p50 {} ms, p99 {} ms",
            show(self.rate, 0),
            show(self.p50_ms, 2),
            show(self.p99_ms, 2)
        );
    }
}

/// The answers that count are those that come within.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
}

#[derive(Debug, Default)]
struct Tally {
    latencies_us: Vec<u32>,
    by_second: Vec<u64>,
    acknowledged: u64,
}

/// Lets all workers work at once, and fails when one of them does.
pub(crate) async fn measure(
    workers: Vec<impl Work>,
    plan: Plan,
    meter: Meter,
) -> anyhow::Result<Sample> {
    let from = Instant::now() + plan.warm_up;
    let window = Window { from, until: from + plan.measured };
    let local = LocalSet::new();
    let mut working = JoinSet::new();
    for worker in workers {
        working.spawn_local_on(work(worker, window), &local);
    }
    let gathering = async {
        let mut tally = Tally::default();
        while let Some(done) = working.join_next().await {
            tally.add(done??);
        }
        anyhow::Ok(tally)
    };
    let metering = async {
        sleep_until(window.from.into()).await;
        let before = meter.read().await;
        sleep_until(window.until.into()).await;
        let after = meter.read().await;
        Ok(before.zip(after).map(|(before, after)| before.until(after)))
    };
    let (tally, cpu) = local.run_until(async { tokio::try_join!(gathering, metering) }).await?;
    Ok(tally.sample(plan.measured, cpu))
}

async fn work(mut worker: impl Work, window: Window) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut asked = Instant::now();
    while asked < window.until {
        let acknowledged = worker.once().await?;
        let answered = Instant::now();
        tally.note(window, asked, answered, acknowledged);
        asked = answered;
    }
    Ok(tally)
}

impl Tally {
    fn note(&mut self, window: Window, asked: Instant, answered: Instant, acknowledged: u64) {
        self.acknowledged += acknowledged;
        if answered < window.from || answered >= window.until {
            return;
        }
        let latency = (answered - asked).as_micros();
        self.latencies_us.push(u32::try_from(latency).unwrap_or(u32::MAX));
        self.add_to_second((answered - window.from).as_secs() as usize, acknowledged);
    }

    fn add_to_second(&mut self, second: usize, acknowledged: u64) {
        if self.by_second.len() <= second {
            self.by_second.resize(second + 1, 0);
        }
        self.by_second[second] += acknowledged;
    }

    fn add(&mut self, other: Self) {
        self.latencies_us.extend(other.latencies_us);
        for (second, acknowledged) in other.by_second.into_iter().enumerate() {
            self.add_to_second(second, acknowledged);
        }
        self.acknowledged += other.acknowledged;
    }

    fn sample(mut self, measured: Duration, cpu: Option<Shares>) -> Sample {
        self.latencies_us.sort_unstable();
        Sample {
            rate: Some(self.by_second.iter().sum::<u64>() as f64 / measured.as_secs_f64()),
            p50_ms: self.percentile(50),
            p99_ms: self.percentile(99),
            cpu,
            by_second: self.by_second,
            acknowledged: self.acknowledged,
            batch: None,
        }
    }

    fn percentile(&self, percent: usize) -> Option<f64> {
        percentile(&self.latencies_us, percent)
    }
}

/// Of sorted latencies in microseconds, in milliseconds.
pub(crate) fn percentile(latencies_us: &[u32], percent: usize) -> Option<f64> {
    let rank = (latencies_us.len() * percent).div_ceil(100);
    let us = latencies_us.get(rank.checked_sub(1)?)?;
    Some(f64::from(*us) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn a_percentile_is_the_least_that_covers_its_part() {
        let latencies_us = (1..=200).map(|ms| ms * 1_000).collect();
        let tally = Tally { latencies_us, ..Tally::default() };
        assert_eq!(tally.percentile(50), Some(100.0));
        assert_eq!(tally.percentile(99), Some(198.0));
        assert_eq!(Tally::default().percentile(99), None);
    }
}
