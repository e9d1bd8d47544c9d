//! Parcels on their way to the queue: a few at a time, tried again where it helps, and what became
//! of each message.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::packing::Parcel;
use crate::queue::{EntryQueue, Refusal};

/// Sends at a time.
const IN_FLIGHT_MAX: usize = 4;

/// Tries of a send.
const TRIES_MAX: u32 = 3;

/// How long the second try waits, give or take a half; the third twice that.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How long a send may take with all its tries.
pub(super) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(8);

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The queue has it.
    Sent,
    /// The queue does not have it, or does not say so.
    Lost,
    /// The queue will never have it.
    Refused,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Courier<Q> {
    queue: Arc<Q>,
    traceparent: Option<Arc<str>>,
    in_flight: JoinSet<(usize, Delivery)>,
    fates: Vec<Fate>,
    /// The last reason why something was not sent.
    trouble: Option<String>,
    /// Whether a whole send has failed.
    is_away: bool,
}

/// What became of all that was sent.
#[derive(Debug)]
pub(super) struct Journey {
    /// Of each message.
    pub(super) fates: Vec<Fate>,
    /// The last reason why a try failed, if one did.
    pub(super) trouble: Option<String>,
    /// Whether a whole send has failed.
    pub(super) is_away: bool,
}

/// A parcel's end.
#[derive(Debug)]
struct Delivery {
    fates: Vec<Fate>,
    trouble: Option<String>,
}

impl<Q: EntryQueue> Courier<Q> {
    pub(super) fn new(queue: Arc<Q>) -> Self {
        let in_flight = JoinSet::new();
        let fates = Vec::new();
        Self { queue, traceparent: None, in_flight, fates, trouble: None, is_away: false }
    }

    /// Messages say which span they were sent in.
    pub(super) fn traced(self, traceparent: Option<String>) -> Self {
        Self { traceparent: traceparent.map(Arc::from), ..self }
    }

    /// Sends a parcel, as soon as few enough are on their way.
    pub(super) async fn take(&mut self, parcel: Parcel) {
        while self.in_flight.len() >= IN_FLIGHT_MAX {
            self.settle_one().await;
        }
        let messages = parcel.first + parcel.messages.len();
        self.fates.resize(messages.max(self.fates.len()), Fate::Lost);
        // Each further send would take as long to fail.
        if self.is_away {
            return;
        }
        let (queue, trace) = (Arc::clone(&self.queue), self.traceparent.clone());
        self.in_flight.spawn(async move {
            (parcel.first, deliver(&*queue, &parcel, trace.as_deref()).await)
        });
    }

    /// Whether it is no use to send more for now.
    pub(super) fn is_away(&self) -> bool {
        self.is_away
    }

    /// Waits for all that is on its way.
    pub(super) async fn finish(mut self) -> Journey {
        while !self.in_flight.is_empty() {
            self.settle_one().await;
        }
        Journey { fates: self.fates, trouble: self.trouble, is_away: self.is_away }
    }

    async fn settle_one(&mut self) {
        let Some(ended) = self.in_flight.join_next().await else { return };
        match ended {
            Ok((first, delivery)) => {
                self.is_away |= delivery.fates.iter().all(|fate| *fate == Fate::Lost);
                self.trouble = delivery.trouble.or(self.trouble.take());
                self.fates[first..first + delivery.fates.len()].copy_from_slice(&delivery.fates);
            }
            // Its messages stay lost.
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }
}

/// Sends what of a parcel is not sent yet, until all is or there is no point.
async fn deliver(queue: &impl EntryQueue, parcel: &Parcel, trace: Option<&str>) -> Delivery {
    let deadline = Instant::now() + DELIVERY_TIMEOUT;
    let mut delivery = Delivery { fates: vec![Fate::Lost; parcel.messages.len()], trouble: None };
    for tried in 0..TRIES_MAX {
        if tried > 0 {
            let pause = TRY_AGAIN_AFTER * (1 << (tried - 1));
            sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
        }
        let trying = delivery.try_again(queue, parcel, trace);
        if timeout_at(deadline, trying).await.is_err() {
            delivery.trouble = Some("no answer in time".to_owned());
            break;
        }
        if !delivery.fates.contains(&Fate::Lost) {
            break;
        }
    }
    delivery
}

impl Delivery {
    async fn try_again(&mut self, queue: &impl EntryQueue, parcel: &Parcel, trace: Option<&str>) {
        let left: Vec<usize> =
            (0..self.fates.len()).filter(|index| self.fates[*index] == Fate::Lost).collect();
        let messages: Vec<&str> =
            left.iter().map(|index| parcel.messages[*index].as_str()).collect();
        match queue.send(&messages, trace).await {
            Ok(outcomes) => {
                for (index, outcome) in left.into_iter().zip(outcomes) {
                    self.fates[index] = self.fate(outcome);
                }
            }
            Err(fault) => self.trouble = Some(fault.to_string()),
        }
    }

    fn fate(&mut self, outcome: Result<(), Refusal>) -> Fate {
        let Err(refusal) = outcome else { return Fate::Sent };
        self.trouble = Some(refusal.to_string());
        if refusal.for_good { Fate::Refused } else { Fate::Lost }
    }
}
