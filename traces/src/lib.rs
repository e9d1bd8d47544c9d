//! Spans for an operator's collector, over OTLP: off unless somebody says where that is.
//!
//! There are few of them, each made where its work is done: a request, a batch of the writer, a pass
//! of the relay, a call of the Lambda. Work for several others has the first of them as its parent
//! and links to the rest, so that one request alone is one trace from end to end. A span says how
//! much and how it ended, never what was in an entry.
//!
//! Nobody waits for the collector: spans that are done go into a bounded queue, and what has no room
//! there is dropped.

mod context;
mod sender;
mod span;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use url::Url;

pub use self::context::{TraceContext, current, within};
pub use self::span::{Kind, Span};

use self::sender::Sender;

/// The environment variable that everybody's programs take the collector's address from.
pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How long the collector may take for one request.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Other work that one span names.
pub const LINKS_MAX: usize = 64;

/// Where spans go; cheap to clone. By default nowhere, and making one costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Sends spans of this program to the collector at an address, which `v1/traces` is put behind.
    /// Must be called within a runtime. The other usual variables of OpenTelemetry count as well.
    pub fn start(endpoint: &Url, program: &'static str) -> anyhow::Result<Self> {
        // Addresses are told in errors and logs.
        ensure!(endpoint.password().is_none(), "holds a password: use OTEL_EXPORTER_OTLP_HEADERS");
        let address = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(Sender::new(SEND_TIMEOUT)?)
            .with_endpoint(address)
            .with_timeout(SEND_TIMEOUT)
            .build()
            .context("cannot send traces")?;
        let resource = Resource::builder().with_service_name(program).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).build())
            .with_max_links_per_span(u32::try_from(LINKS_MAX)?)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer(program);
        Ok(Self(Some(Arc::new(Inner { provider, tracer }))))
    }

    /// Whether spans go anywhere.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a span of work for others: the first is its parent, it links to the rest. Without any
    /// it begins a trace.
    pub fn begin(
        &self,
        name: &'static str,
        kind: Kind,
        behind: impl IntoIterator<Item = TraceContext>,
    ) -> Span {
        match &self.0 {
            Some(inner) => Span::begin(&inner.tracer, name, kind, behind),
            None => Span::default(),
        }
    }

    /// The same, but nothing where it is for nobody who is traced.
    pub fn follow(
        &self,
        name: &'static str,
        kind: Kind,
        behind: impl IntoIterator<Item = TraceContext>,
    ) -> Span {
        let mut behind = behind.into_iter().peekable();
        if behind.peek().is_none() { Span::default() } else { self.begin(name, kind, behind) }
    }

    /// Sends what is done, for as long as that may take.
    pub async fn flush(&self, patience: Duration) {
        let Some(inner) = self.0.clone() else { return };
        // It waits for another thread, which may need this runtime.
        let flushing = spawn_blocking(move || inner.provider.force_flush());
        if !matches!(timeout(patience, flushing).await, Ok(Ok(Ok(())))) {
            tracing::debug!("not all spans could be sent");
        }
    }
}
