//! `audit-log emit-sample`: believable entries through the public API.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use domain::Timestamp;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use crate::client::fault::Fault;
use crate::client::patience::Patience;
use crate::client::progress::Progress;
use crate::client::sample::{Calendar, Sample, SampleEntry};
use crate::client::service::Service;
use crate::config::EmitSampleArgs;

/// Entries in one request, of the 1,000 that the service takes.
const BATCH_ENTRIES_MAX: u64 = 500;

/// With a rate, this many requests a second rather than larger ones.
const REQUESTS_PER_SECOND: u32 = 4;

/// Makes entries, has them recorded, says where they are.
pub async fn run(args: &EmitSampleArgs) -> anyhow::Result<()> {
    let service = Service::new(&args.service)?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let calendar = args.days.map(|days| Calendar::new(Timestamp::now(), days, args.count));
    let sender = Sender {
        service,
        // Another run with the same seed is another set of entries.
        run: format!("sample-{seed:016x}-{:016x}", rand::random::<u64>()),
        patience: Patience::new(Duration::from_secs(args.patience_s)),
        progress: Progress::new("recording"),
    };
    let started_at = Instant::now();
    let recorded = sender.send_all(Sample::new(seed, calendar), args.count, args.rate).await?;
    let seconds = started_at.elapsed().as_secs_f64();
    writeln!(io::stdout(), "{}, in {seconds:.1} s, from seed {seed}", recorded.said())
        .context("cannot write to standard output")
}

/// What the service answers, for one entry and for many.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Many { first_seq: u64, last_seq: u64, accepted: u64 },
    One { seq: u64 },
}

/// What has been recorded so far.
#[derive(Debug, Default)]
struct Recorded {
    entries: u64,
    first_seq: Option<u64>,
    last_seq: u64,
}

impl Recorded {
    fn add(&mut self, answer: &Answer) {
        let (first, last, accepted) = match *answer {
            Answer::Many { first_seq, last_seq, accepted } => (first_seq, last_seq, accepted),
            Answer::One { seq } => (seq, seq, 1),
        };
        self.entries += accepted;
        self.first_seq.get_or_insert(first);
        self.last_seq = last;
    }

    fn said(&self) -> String {
        match (self.entries, self.first_seq) {
            (1, Some(seq)) => format!("recorded 1 entry, seq {seq}"),
            (entries, Some(first)) => {
                format!("recorded {entries} entries, seq {first} to {}", self.last_seq)
            }
            (_, None) => "recorded nothing".to_owned(),
        }
    }
}

struct Sender {
    service: Service,
    run: String,
    patience: Patience,
    progress: Progress,
}

impl Sender {
    async fn send_all(
        mut self,
        mut sample: Sample,
        count: u64,
        rate: Option<u32>,
    ) -> anyhow::Result<Recorded> {
        let mut recorded = Recorded::default();
        let batch_max = rate.map_or(BATCH_ENTRIES_MAX, |rate| {
            u64::from(rate.div_ceil(REQUESTS_PER_SECOND)).min(BATCH_ENTRIES_MAX)
        });
        self.progress.set_len(count);
        let started_at = Instant::now();
        for batch in 0.. {
            let left = count - recorded.entries;
            if left == 0 {
                break;
            }
            if let Some(rate) = rate {
                let due = Duration::from_secs(recorded.entries) / rate;
                sleep_until(started_at + due).await;
            }
            let len = usize::try_from(left.min(batch_max)).unwrap_or(1);
            let entries: Vec<_> = sample.by_ref().take(len).collect();
            let answer = self
                .send(&entries, batch)
                .await
                .with_context(|| format!("after {} of {count} entries", recorded.entries))?;
            recorded.add(&answer);
            self.progress.set(recorded.entries);
        }
        self.progress.end();
        Ok(recorded)
    }

    /// Sends these entries until they are recorded; the key makes it safe to send them again.
    async fn send(&mut self, entries: &[SampleEntry], batch: u64) -> anyhow::Result<Answer> {
        let (path, body) = match entries {
            [one] => ("/logs", serde_json::to_vec(one)?),
            many => ("/logs/bulk", serde_json::to_vec(many)?),
        };
        let key = format!("{}-{batch}", self.run);
        loop {
            match self.try_once(path, &key, body.clone()).await {
                Ok(answer) => {
                    self.patience.got_on();
                    return Ok(answer);
                }
                Err(fault) => {
                    let fault = self.patience.wait(fault).await?;
                    self.progress.say(&format!("{fault}; sending again"));
                }
            }
        }
    }

    async fn try_once(&self, path: &str, key: &str, body: Vec<u8>) -> Result<Answer, Fault> {
        let request = self
            .service
            .post(path)
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .body(body);
        let answer = self.service.send(request).await?;
        answer.json().await.map_err(|error| Fault::of("the service", error))
    }
}
