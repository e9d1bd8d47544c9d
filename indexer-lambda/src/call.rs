//! The span of a call: in the trace of the first message that says where it comes from, with links to
//! those of the others.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use traces::{Kind, Span, TRACEPARENT, TraceContext, Traces};

/// Begins the span of a call; without any message that is traced, there is none.
pub fn begin(traces: &Traces, event: &SqsEvent) -> Span {
    traces.follow("index", Kind::Consumer, event.records.iter().filter_map(context))
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
