//! Loads in an open loop: requests at fixed times, whatever becomes of those before.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use domain::TenantId;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::http::{Connection, Request};
use crate::load::{Sample, percentile};
use crate::search::steady::{Pace, us_since};

/// Seconds in a row that are a while: one that is slow later has reasons of its own.
const NORMAL_FOR: u64 = 3;

/// What is asked, how often, and by how many connections in turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) address: SocketAddr,
    pub(super) a_second: u32,
    pub(super) connections: u32,
    pub(super) lasts: Duration,
    /// Whether answers may be 429 or 503.
    pub(super) may_be_refused: bool,
}

/// One answer.
#[derive(Debug, Clone, Copy)]
struct Answer {
    due: Instant,
    us: u32,
    was_done: bool,
}

impl Answer {
    fn came(&self) -> Instant {
        self.due + Duration::from_micros(self.us.into())
    }
}

/// What became of a load.
#[derive(Debug)]
pub(super) struct Seen {
    answers: Vec<Answer>,
    begun: Instant,
    lasts: Duration,
}

impl Load {
    /// Sends requests; connection for connection what `request` makes of its number.
    pub(super) async fn run(self, request: impl Fn(u32) -> Vec<Request>) -> anyhow::Result<Seen> {
        let mut clients = Vec::new();
        for number in 0..self.connections {
            clients.push((Connection::open(self.address).await?, request(number)));
        }
        let pace = Pace::new(self.a_second, self.connections);
        let mut asking = JoinSet::new();
        for (number, (connection, requests)) in (0..).zip(clients) {
            asking.spawn(self.ask(pace, number, connection, requests));
        }
        let mut seen = Seen { answers: Vec::new(), begun: pace.begun(), lasts: self.lasts };
        while let Some(done) = asking.join_next().await {
            seen.answers.extend(done??);
        }
        Ok(seen)
    }

    async fn ask(
        self,
        pace: Pace,
        number: u32,
        mut connection: Connection,
        requests: Vec<Request>,
    ) -> anyhow::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for (due, request) in pace.turns(number).zip(requests.iter().cycle()) {
            let ends = pace.begun() + self.lasts;
            // Who is late because answers are is not late for ever.
            if due >= ends || Instant::now() >= ends {
                break;
            }
            sleep_until(due.into()).await;
            let status = connection.exchange(request).await?;
            let was_done = matches!(status, 200 | 201);
            ensure!(
                was_done || self.may_be_refused && is_refusal(status, &connection),
                "neither done nor refused as it should be:\n{}",
                connection.shown()
            );
            answers.push(Answer { due, us: us_since(due), was_done });
        }
        Ok(answers)
    }
}

fn is_refusal(status: u16, connection: &Connection) -> bool {
    matches!(status, 429 | 503) && connection.has_header("retry-after")
}

impl Seen {
    /// How many requests were refused, and how many there were.
    pub(super) fn refused(&self) -> (usize, usize) {
        let refused = self.answers.iter().filter(|answer| !answer.was_done).count();
        (refused, self.answers.len())
    }

    /// What was done, so many entries a request, from when it was due. What was done after the end
    /// makes no rate: a queue that is worked off then is no goodput.
    pub(super) fn sample(&self, entries_each: u64) -> Sample {
        let mut latencies_us = self.latencies_us(|_| true);
        latencies_us.sort_unstable();
        let in_time = self.latencies_us(|answer| answer.came() < self.begun + self.lasts).len();
        let entries = in_time as u64 * entries_each;
        Sample {
            rate: Some(entries as f64 / self.lasts.as_secs_f64()),
            p50_ms: percentile(&latencies_us, 50),
            p99_ms: percentile(&latencies_us, 99),
            acknowledged: entries,
            ..Sample::default()
        }
    }

    /// After how many seconds it was normal for a while: p99 was so many milliseconds at most.
    /// `None`: never.
    pub(super) fn is_normal_after(&self, p99_ms: f64) -> Option<u64> {
        let is_normal = |second: u64| {
            let from = self.begun + Duration::from_secs(second);
            let until = from + Duration::from_secs(1);
            let mut of_second = self.latencies_us(|answer| (from..until).contains(&answer.due));
            of_second.sort_unstable();
            percentile(&of_second, 99).is_some_and(|slow| slow <= p99_ms)
        };
        let seconds = self.lasts.as_secs();
        let a_while = seconds.min(NORMAL_FOR);
        (0..=seconds - a_while).find(|first| (*first..first + a_while).all(is_normal))
    }

    fn latencies_us(&self, is_among: impl Fn(&Answer) -> bool) -> Vec<u32> {
        let done = self.answers.iter().filter(|answer| answer.was_done && is_among(answer));
        done.map(|answer| answer.us).collect()
    }
}

/// Single entries and pages of one tenant, in turn.
pub(super) fn quiet(tenant_id: TenantId, number: u32) -> Vec<Request> {
    let entry = crate::entries::json(number.into());
    vec![
        Request::post("/logs", tenant_id, false, &entry),
        Request::get("/logs?limit=10", tenant_id),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Answer, Seen};

    #[test]
    fn what_is_done_after_the_end_or_refused_makes_no_rate() {
        let begun = Instant::now();
        let answer = |due_ms, us, was_done| Answer {
            due: begun + Duration::from_millis(due_ms),
            us,
            was_done,
        };
        let answers =
            vec![answer(0, 1_000, true), answer(0, 1_000, false), answer(900, 200_000, true)];
        let seen = Seen { answers, begun, lasts: Duration::from_secs(1) };
        let sample = seen.sample(100);
        assert_eq!((sample.rate, sample.p99_ms), (Some(100.0), Some(200.0)));
        assert_eq!(seen.refused(), (1, 3));
    }

    #[test]
    fn it_is_normal_again_when_three_seconds_in_a_row_are() {
        let begun = Instant::now();
        let normal_after = |slow: &[u64]| {
            let answer = |second| Answer {
                due: begun + Duration::from_secs(second),
                us: if slow.contains(&second) { 50_000 } else { 1_000 },
                was_done: true,
            };
            let answers = (0..8).map(answer).collect();
            Seen { answers, begun, lasts: Duration::from_secs(8) }.is_normal_after(10.0)
        };
        assert_eq!(normal_after(&[]), Some(0));
        assert_eq!(normal_after(&[0, 2]), Some(3));
        assert_eq!(normal_after(&[7]), Some(0));
        assert_eq!(normal_after(&[2, 5]), None);
    }
}
