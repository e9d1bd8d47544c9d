//! One wide event a request, and the request's id.
//!
//! Never an entry's content, a secret or an address.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::Response;
use domain::TenantId;
use traces::{Kind, Span, TraceContext, Traces};
use tracing::{Level, event};
use uuid::Uuid;

use crate::error::ProblemNote;
use crate::metrics::{self, Metrics};
use crate::rates::Allowance;
use crate::routes;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static(traces::TRACEPARENT);

/// Methods that have a meaning everywhere.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

/// Longest request id that is taken over.
const REQUEST_ID_LEN_MAX: usize = 256;

/// What handlers add to their request's event; an extension of the request.
#[derive(Debug, Clone)]
pub struct Facts(Arc<FactsInner>);

#[derive(Debug)]
struct FactsInner {
    request_id: HeaderValue,
    request_id_given: bool,
    route: OnceLock<MatchedPath>,
    tenant_id: OnceLock<TenantId>,
    entries: AtomicUsize,
    allowance: OnceLock<Allowance>,
}

impl Facts {
    fn of(request: &Request) -> Self {
        let given = given_request_id(request);
        let request_id_given = given.is_some();
        let request_id = given.unwrap_or_else(|| {
            let made = Uuid::new_v4().to_string();
            HeaderValue::from_str(&made).unwrap_or(HeaderValue::from_static("-"))
        });
        Self(Arc::new(FactsInner {
            request_id,
            request_id_given,
            route: OnceLock::new(),
            tenant_id: OnceLock::new(),
            entries: AtomicUsize::new(0),
            allowance: OnceLock::new(),
        }))
    }

    /// Which route answers, as the router names it.
    pub fn set_route(&self, route: MatchedPath) {
        let _ = self.0.route.set(route);
    }

    /// Whose log the request is about.
    pub fn set_tenant(&self, tenant_id: TenantId) {
        let _ = self.0.tenant_id.set(tenant_id);
    }

    /// How much more of this the tenant may do.
    pub fn set_allowance(&self, allowance: Allowance) {
        let _ = self.0.allowance.set(allowance);
    }

    /// How many entries it wrote or read.
    pub fn set_entries(&self, entries: usize) {
        self.0.entries.store(entries, Ordering::Relaxed);
    }

    /// The id that the caller gave the request.
    pub fn given_request_id(&self) -> Option<&str> {
        self.0.request_id.to_str().ok().filter(|_| self.0.request_id_given)
    }
}

/// A single, visible, not too long one; anything else is replaced by our own.
fn given_request_id(request: &Request) -> Option<HeaderValue> {
    let mut values = request.headers().get_all(REQUEST_ID).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let fits = (1..=REQUEST_ID_LEN_MAX).contains(&value.len())
        && value.as_bytes().iter().all(u8::is_ascii_graphic);
    fits.then(|| value.clone())
}

/// One request's event, from its beginning to its end.
pub(crate) struct RequestLog {
    facts: Facts,
    method: Method,
    /// Where that is the route, and nobody has to prove anything.
    probe: Option<&'static str>,
    started: Instant,
    span: Span,
}

impl RequestLog {
    /// Makes the facts, for handlers to add to.
    pub(crate) fn begin(request: &mut Request, traces: &Traces) -> Self {
        let facts = Facts::of(request);
        request.extensions_mut().insert(facts.clone());
        let probe = routes::PROBES.into_iter().find(|path| *path == request.uri().path());
        let span = span(request, traces, probe.is_some());
        Self { facts, method: request.method().clone(), probe, started: Instant::now(), span }
    }

    /// The request's span, for what is done on its behalf.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        self.span.context()
    }

    /// Logs the event, counts it, and returns the request's id to the caller, and how it stands with
    /// limits.
    pub(crate) fn end(self, response: &mut Response, metrics: &Metrics) {
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, self.facts.0.request_id.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // What has no word of its own is told to one caller, at one moment.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        if let Some(allowance) = self.facts.0.allowance.get() {
            allowance.tell(headers);
        }
        let route = self.facts.0.route.get().map(MatchedPath::as_str).or(self.probe);
        log(&self, route.unwrap_or_default(), response);
        let counted = route.unwrap_or(metrics::OTHER);
        let (requests, status) = (&metrics.requests, response.status().as_u16());
        requests.answered(counted, &self.method, status, self.started.elapsed());
        if let Some(note) = response.extensions().get::<ProblemNote>() {
            requests.refused(note.code);
        }
        tell(self.span, &self.method, route, response);
    }
}

/// A span of a request, in the trace of who sent it. Probes have none.
fn span(request: &Request, traces: &Traces, is_probe: bool) -> Span {
    if is_probe || !traces.is_on() {
        return Span::default();
    }
    let mut given = request.headers().get_all(TRACEPARENT).iter();
    let parent = match (given.next(), given.next()) {
        (Some(only), None) => only.to_str().ok().and_then(TraceContext::parse),
        _ => None,
    };
    traces.begin("request", Kind::Server, parent)
}

/// Says how the request went.
fn tell(mut span: Span, method: &Method, route: Option<&str>, response: &Response) {
    if !span.is_told() {
        return;
    }
    // Any other is a word of the sender's.
    let method = if METHODS.contains(method) { method.as_str() } else { "_OTHER" };
    span.note("http.request.method", method.to_owned());
    match route {
        Some(route) => {
            span.rename(format!("{method} {route}"));
            span.note("http.route", route.to_owned());
        }
        None => span.rename(method.to_owned()),
    }
    let status = response.status().as_u16();
    span.note("http.response.status_code", i64::from(status));
    if let Some(note) = response.extensions().get::<ProblemNote>() {
        span.note("error.type", note.code);
        if status >= 500 {
            span.fail(note.code);
        }
    }
}

fn log(log: &RequestLog, route: &str, response: &Response) {
    let RequestLog { facts, method, started, .. } = log;
    let trace_id = log.span.context().map(|context| context.trace_id());
    let status = response.status().as_u16();
    let note = response.extensions().get::<ProblemNote>();
    let problem = note.map(|note| note.code);
    let cause = note.and_then(|note| note.cause.as_deref());
    let tenant_id = facts.0.tenant_id.get().map(ToString::to_string);
    macro_rules! wide_event {
        ($level:expr) => {
            event!(
                $level,
                request.id = facts.0.request_id.to_str().unwrap_or_default(),
                http.method = method.as_str(),
                http.route = route,
                http.status = status,
                duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
                tenant.id = tenant_id,
                trace.id = trace_id,
                entries = facts.0.entries.load(Ordering::Relaxed),
                problem.code = problem,
                problem.cause = cause,
                "request"
            )
        };
    }
    match status {
        500 => wide_event!(Level::ERROR),
        501.. => wide_event!(Level::WARN),
        _ => wide_event!(Level::INFO),
    }
}
