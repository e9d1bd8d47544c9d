//! A collector of OpenTelemetry: takes spans over HTTP, as protobuf, and keeps them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A span as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) program: String,
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    /// Traces and spans that it links to.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) notes: HashMap<String, String>,
    pub(crate) has_failed: bool,
}

/// See the module.
pub(crate) struct Collector {
    pub(crate) url: String,
    spans: Arc<Mutex<Vec<Sent>>>,
    serving: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&spans));
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, spans, serving }
    }

    /// What came so far.
    pub(crate) fn spans(&self) -> Vec<Sent> {
        self.spans.lock().unwrap().clone()
    }

    /// Those of a trace, by program and name.
    pub(crate) fn of_trace(&self, trace: &str) -> Vec<Sent> {
        self.spans().into_iter().filter(|span| span.trace == trace).collect()
    }
}

async fn take(
    State(spans): State<Arc<Mutex<Vec<Sent>>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for of_program in request.resource_spans {
        let attributes = of_program.resource.unwrap().attributes;
        let program = texts(attributes).remove("service.name").unwrap();
        for span in of_program.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
            let links = span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id)));
            let sent = Sent {
                program: program.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                links: links.collect(),
                has_failed: span.status.is_some_and(|status| status.code == 2),
                notes: texts(span.attributes),
                name: span.name,
            };
            spans.lock().unwrap().push(sent);
        }
    }
    StatusCode::OK
}

fn texts(
    attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>,
) -> HashMap<String, String> {
    let text = |value| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pairs = attributes.into_iter();
    pairs.map(|pair| (pair.key, text(pair.value.and_then(|any| any.value)))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
