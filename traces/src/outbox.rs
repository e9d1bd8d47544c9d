//! Spans that are done, until they are sent. There is room for a number of them; who ends a span
//! never waits, and what has no room is dropped and counted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span as SdkSpan, SpanData, SpanProcessor};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::sender::Sender;
use super::{Count, Fate};

/// Spans that wait.
pub(crate) const WAITING_MAX: usize = 2_048;

/// Spans that are sent at once.
pub(crate) const SENT_MAX: usize = 512;

/// How long a span waits for others to be sent with.
const SEND_AFTER: Duration = Duration::from_secs(1);

/// The end that takes.
#[derive(Clone)]
pub(crate) struct Outbox {
    into: mpsc::Sender<Item>,
    count: Count,
}

enum Item {
    Span(Box<SpanData>),
    /// Somebody waits until what came before is sent.
    Flush(oneshot::Sender<()>),
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("room", &self.into.capacity()).finish_non_exhaustive()
    }
}

impl Outbox {
    /// One that a task of this runtime empties until nobody can fill it any more.
    pub(crate) fn start(sender: Sender, count: &Count) -> Self {
        let (into, items) = mpsc::channel(WAITING_MAX);
        let emptying = Emptying { items, sender, count: Arc::clone(count) };
        tokio::spawn(emptying.run());
        Self { into, count: Arc::clone(count) }
    }

    /// Waits until all that is in it now was sent, or could not be.
    pub(crate) async fn flush(&self) {
        let (told, sent) = oneshot::channel();
        if self.into.send(Item::Flush(told)).await.is_ok() {
            let _ = sent.await;
        }
    }
}

impl SpanProcessor for Outbox {
    fn on_start(&self, _span: &mut SdkSpan, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if let Err(TrySendError::Full(_)) = self.into.try_send(Item::Span(Box::new(span))) {
            (self.count)(Fate::NoRoom, 1);
        }
    }

    // Both would have to block a thread: see `Traces::flush`.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The end that gives.
struct Emptying {
    items: mpsc::Receiver<Item>,
    sender: Sender,
    count: Count,
}

impl Emptying {
    async fn run(mut self) {
        while let Some(first) = self.items.recv().await {
            let mut spans = Vec::new();
            let waiting = self.gather(first, &mut spans).await;
            self.send(spans).await;
            if let Some(waiting) = waiting {
                let _ = waiting.send(());
            }
        }
    }

    /// Takes what comes, until it is enough or late enough, or somebody waits for it.
    async fn gather(
        &mut self,
        first: Item,
        spans: &mut Vec<SpanData>,
    ) -> Option<oneshot::Sender<()>> {
        let deadline = Instant::now() + SEND_AFTER;
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Span(span) => spans.push(*span),
                Item::Flush(waiting) => return Some(waiting),
            }
            if spans.len() == SENT_MAX {
                break;
            }
            next = timeout_at(deadline, self.items.recv()).await.unwrap_or_default();
        }
        None
    }

    async fn send(&mut self, spans: Vec<SpanData>) {
        if spans.is_empty() {
            return;
        }
        let all = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        match self.sender.send(spans).await {
            Ok(refused) => {
                let refused = refused.min(all);
                (self.count)(Fate::Sent, all - refused);
                (self.count)(Fate::Refused, refused);
            }
            Err(fate) => (self.count)(fate, all),
        }
    }
}
