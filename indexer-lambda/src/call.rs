//! The span of a call: in the trace of the first message that says where it comes from, with links to
//! those of the others.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use traces::{Kind, Span, TraceContext, Traces};

/// The attribute that says in which span a message was sent.
const TRACEPARENT: &str = "traceparent";

/// Begins the span of a call; without any message that is traced, there is none.
pub fn begin(traces: &Traces, event: &SqsEvent) -> Span {
    if !traces.is_on() {
        return Span::default();
    }
    let mut behind: Vec<TraceContext> = Vec::new();
    for context in event.records.iter().filter_map(context) {
        if !behind.contains(&context) {
            behind.push(context);
        }
    }
    traces.follow("index", Kind::Consumer, behind)
}

fn context(message: &SqsMessage) -> Option<TraceContext> {
    let attribute = message.message_attributes.get(TRACEPARENT)?;
    TraceContext::parse(attribute.string_value.as_deref()?)
}

/// Says how the call ended.
pub fn end(mut span: Span, event: &SqsEvent, answer: &SqsBatchResponse) {
    span.count("messaging.batch.message_count", event.records.len());
    let failed = answer.batch_item_failures.len();
    if failed > 0 {
        span.count("audit.messages.failed", failed);
        span.fail("messages_go_back");
    }
}
