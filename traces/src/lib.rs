//! Spans for an operator's collector, over OTLP: off unless somebody says where that is.
//!
//! There are few of them, each made where its work is done: a request, a batch of the writer, a pass
//! of the relay, a call of the Lambda. Work for several others has the first of them as its parent
//! and links to the rest, so that one request alone is one trace from end to end. A span says how
//! much and how it ended, never what was in an entry, nor anything in the words of a sender.
//!
//! Nobody waits for the collector: spans that are done go into a bounded outbox, and what has no room
//! there, or does not arrive, is dropped and counted.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")
)]

mod collector;
mod context;
mod outbox;
mod sender;
mod span;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::time::timeout;

pub use self::collector::Collector;
pub use self::context::{TraceContext, current, within};
pub use self::span::{Kind, Span};

use self::outbox::Outbox;
use self::sender::Sender;

/// The environment variable that everybody's programs take the collector's address from.
pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The same, for what is sent along as a proof.
pub const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// What a request's header, and a message's attribute, that say in which span it was sent are called.
pub const TRACEPARENT: &str = "traceparent";

/// Other work that one span names.
pub const LINKS_MAX: usize = 64;

/// What became of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The collector has them.
    Sent,
    /// There was no room for them: it takes fewer than there are, or is away.
    NoRoom,
    /// It was asked to take them and did not answer, or not in time.
    Lost,
    /// It does not want them.
    Refused,
}

/// Who counts what became of how many.
pub type Count = Arc<dyn Fn(Fate, u64) + Send + Sync>;

/// Where spans go; cheap to clone. By default nowhere, and making one costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    outbox: Outbox,
    tracer: SdkTracer,
}

impl Traces {
    /// Sends spans of this program to a collector, by a task of the runtime that this must be called
    /// in. The usual variables of OpenTelemetry for samplers and resources count as well.
    pub fn start(
        collector: Collector,
        program: &'static str,
        version: &'static str,
        count: &Count,
    ) -> anyhow::Result<Self> {
        let version = KeyValue::new("service.version", version);
        let resource = Resource::builder().with_service_name(program).with_attribute(version);
        let resource = resource.build();
        let outbox = Outbox::start(Sender::new(collector, &resource)?, count);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(outbox.clone())
            .with_max_links_per_span(u32::try_from(LINKS_MAX)?)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer(program);
        Ok(Self(Some(Arc::new(Inner { outbox, tracer }))))
    }

    /// Whether spans go anywhere.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a span in somebody's trace, or without one a trace of its own.
    pub fn begin(&self, name: &'static str, kind: Kind, parent: Option<TraceContext>) -> Span {
        match &self.0 {
            Some(inner) => Span::begin(&inner.tracer, name, kind, parent),
            None => Span::default(),
        }
    }

    /// Begins a span of work for others: the first is its parent, it links to the rest, once to each.
    /// There is none where nobody wants to see it.
    pub fn follow(
        &self,
        name: &'static str,
        kind: Kind,
        behind: impl IntoIterator<Item = TraceContext>,
    ) -> Span {
        let Some(inner) = &self.0 else { return Span::default() };
        let mut known: Vec<TraceContext> = Vec::new();
        for context in behind.into_iter().filter(TraceContext::is_sampled) {
            if known.len() > LINKS_MAX {
                break;
            }
            if !known.contains(&context) {
                known.push(context);
            }
        }
        if known.is_empty() {
            return Span::default();
        }
        Span::begin(&inner.tracer, name, kind, known)
    }

    /// Sends what is done, for as long as that may take.
    pub async fn flush(&self, patience: Duration) {
        let Some(inner) = &self.0 else { return };
        if timeout(patience, inner.outbox.flush()).await.is_err() {
            tracing::debug!("not all spans could be sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use super::*;

    /// Connections are made and nobody ever answers.
    #[tokio::test(flavor = "current_thread")]
    async fn who_ends_spans_and_who_stops_do_not_wait_for_a_collector() {
        const MORE: u64 = 500;
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let no_room = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&no_room);
        let count: Count = Arc::new(move |fate, spans| {
            assert_eq!(fate, Fate::NoRoom);
            counted.fetch_add(spans, Ordering::Relaxed);
        });
        let collector = Collector::new(&endpoint, "").unwrap();
        let traces = Traces::start(collector, "test", "0", &count).unwrap();
        // On this one thread nobody takes any of them out meanwhile.
        for _ in 0..outbox::WAITING_MAX as u64 + MORE {
            drop(traces.begin("test", Kind::Internal, None));
        }
        assert_eq!(no_room.load(Ordering::Relaxed), MORE);
        let begun = Instant::now();
        traces.flush(Duration::from_millis(200)).await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
    }

    #[tokio::test]
    async fn without_a_collector_nothing_is_made() {
        let traces = Traces::default();
        let context =
            TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let span = traces.begin("test", Kind::Server, context.clone());
        assert!(!traces.is_on() && !span.is_told() && span.context().is_none());
        assert_eq!(traces.follow("test", Kind::Internal, context).context(), None);
        traces.flush(Duration::ZERO).await;
    }
}
