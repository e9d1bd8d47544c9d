//! One span, from its beginning to where it is dropped.

use opentelemetry::trace::{Link, Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};

use super::TraceContext;

/// Where a span stands towards others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It answers somebody.
    Server,
    /// It works inside of the program.
    Internal,
    /// It hands something on that is done later.
    Producer,
    /// It does what was handed on.
    Consumer,
}

impl Kind {
    fn of_sdk(self) -> SpanKind {
        match self {
            Self::Server => SpanKind::Server,
            Self::Internal => SpanKind::Internal,
            Self::Producer => SpanKind::Producer,
            Self::Consumer => SpanKind::Consumer,
        }
    }
}

/// Ends when it is dropped. By default it is none, and costs nothing.
#[derive(Debug, Default)]
pub struct Span(Option<SdkSpan>);

impl Span {
    pub(crate) fn begin(
        tracer: &SdkTracer,
        name: &'static str,
        kind: Kind,
        behind: impl IntoIterator<Item = TraceContext>,
    ) -> Self {
        let mut behind = behind.into_iter();
        let parent = behind.next();
        let links: Vec<Link> = behind.map(|other| Link::with_context(other.0)).collect();
        let builder = tracer.span_builder(name).with_kind(kind.of_sdk()).with_links(links);
        let context = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent.0),
            None => Context::new(),
        };
        Self(Some(tracer.build_with_context(builder, &context)))
    }

    /// How others name it; `None` where there is none.
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().map(|span| TraceContext(span.span_context().clone()))
    }

    /// Says something of it. Words of ours and numbers only: a collector is another system.
    pub fn note(&mut self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Whether anybody will see it.
    pub fn is_told(&self) -> bool {
        self.0.as_ref().is_some_and(SdkSpan::is_recording)
    }

    /// Says how many.
    pub fn count(&mut self, key: &'static str, number: usize) {
        self.note(key, i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// Names it better than at its beginning.
    pub fn rename(&mut self, name: String) {
        if let Some(span) = &mut self.0 {
            span.update_name(name);
        }
    }

    /// It has failed, for a reason in a word.
    pub fn fail(&mut self, why: &'static str) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(why));
        }
    }
}
