//! A collector of OpenTelemetry: takes spans over HTTP, as protobuf, and keeps them, or does not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::post;
use axum::{Router, extract};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
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
    state: Arc<State>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    spans: Mutex<Vec<Sent>>,
    /// What came along last.
    headers: Mutex<HeaderMap>,
    /// What it answers, if not that it has taken all.
    answer: Mutex<Option<Refusing>>,
}

/// How a collector does not take spans.
#[derive(Debug, Clone)]
pub(crate) enum Refusing {
    /// None of them, with this status.
    All(u16),
    /// None of them: somebody at this address may.
    Elsewhere(String),
    /// So many of each request.
    Some(i64),
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
        let state = Arc::new(State::default());
        let router = Router::new().route("/v1/traces", post(answer)).with_state(Arc::clone(&state));
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, state, serving }
    }

    /// From now on.
    pub(crate) fn refuse(&self, answer: Option<Refusing>) {
        *self.state.answer.lock().unwrap() = answer;
    }

    /// What came along with the last spans.
    pub(crate) fn headers(&self) -> HeaderMap {
        self.state.headers.lock().unwrap().clone()
    }

    /// What came so far.
    pub(crate) fn spans(&self) -> Vec<Sent> {
        self.state.spans.lock().unwrap().clone()
    }

    /// Those of a trace, by program and name.
    pub(crate) fn of_trace(&self, trace: &str) -> Vec<Sent> {
        self.spans().into_iter().filter(|span| span.trace == trace).collect()
    }
}

async fn answer(
    extract::State(state): extract::State<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    *state.headers.lock().unwrap() = headers;
    let refusing = state.answer.lock().unwrap().clone();
    let rejected_spans = match refusing {
        Some(Refusing::All(status)) => {
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        Some(Refusing::Elsewhere(url)) => {
            return Redirect::temporary(&format!("{url}/v1/traces")).into_response();
        }
        Some(Refusing::Some(number)) => number,
        None => 0,
    };
    take(ExportTraceServiceRequest::decode(body).unwrap(), &mut state.spans.lock().unwrap());
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: String::new() };
    let said = ExportTraceServiceResponse { partial_success: Some(partial) };
    said.encode_to_vec().into_response()
}

fn take(request: ExportTraceServiceRequest, spans: &mut Vec<Sent>) {
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
            spans.push(sent);
        }
    }
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
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
