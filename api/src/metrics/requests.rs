//! What came in over HTTP: by route, method and class of status, and why it was refused.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::Method;
use domain::ProblemCode;
use prometheus::{Histogram, IntCounter};

use super::made::Maker;
use crate::routes;

/// Where no handler below the base answered: no proof, no such route or method, a file of the board,
/// the documents.
pub const OTHER: &str = "other";

/// Classes of statuses, by their first digit.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// See the module.
#[derive(Debug)]
pub struct Requests {
    /// Methods of a route, few enough to be looked through.
    endpoints: HashMap<String, Vec<Endpoint>>,
    other: Endpoint,
    /// Every code that there is: they are told as 0 before they first happen, or the first would not
    /// be seen as a rise.
    refusals: HashMap<&'static str, IntCounter>,
    tickets_redeemed: IntCounter,
}

/// A method of a route.
#[derive(Debug)]
struct Endpoint {
    method: Method,
    by_class: [IntCounter; CLASSES.len()],
    seconds: Histogram,
}

impl Requests {
    pub(super) fn new(maker: &Maker) -> Self {
        let requests = maker.counters(
            "audit_http_requests_total",
            "Requests answered, by route, method and class of status; route `other` is what was refused before \
             any handler saw it, and the documents. Look at the share of 5xx.",
            &["route", "method", "status"],
        );
        let seconds = maker.histograms(
            "audit_http_request_seconds",
            "Time from a request's head to its answer's head, by route and method: of an export or a stream, \
             until it begins. When it grows, look at audit_append_seconds, the pools and PostgreSQL.",
            &["route", "method"],
        );
        let endpoint = |route: &str, method: Method| {
            let count = |class| requests.with_label_values(&[route, method.as_str(), class]);
            Endpoint {
                by_class: CLASSES.map(count),
                seconds: seconds.with_label_values(&[route, method.as_str()]),
                method: method.clone(),
            }
        };
        let mut endpoints: HashMap<String, Vec<Endpoint>> = HashMap::new();
        for (method, path) in routes::listed() {
            let route = format!("{}{path}", routes::BASE);
            let made = endpoint(&route, method);
            endpoints.entry(route).or_default().push(made);
        }
        for probe in routes::PROBES {
            endpoints.insert(probe.to_owned(), vec![endpoint(probe, Method::GET)]);
        }
        let any = Method::from_bytes(OTHER.as_bytes()).unwrap_or_default();
        let counted = maker.counters(
            "audit_http_refusals_total",
            "Requests refused, by the stable code of the problem. docs/runbooks/refusals.md says which are yours.",
            &["code"],
        );
        let refusals = ProblemCode::ALL.map(ProblemCode::as_str);
        let refusals = refusals.map(|code| (code, counted.with_label_values(&[code]))).into();
        let tickets_redeemed = maker.counter(
            "audit_stream_tickets_redeemed_total",
            "Tickets that opened a stream. Far fewer than issued: browsers cannot connect.",
        );
        Self { other: endpoint(OTHER, any), endpoints, refusals, tickets_redeemed }
    }

    /// Counts a request that is answered.
    pub fn answered(&self, route: &str, method: &Method, status: u16, took: Duration) {
        let methods = self.endpoints.get(route).map(Vec::as_slice).unwrap_or_default();
        let endpoint = methods.iter().find(|endpoint| endpoint.method == *method);
        let endpoint = endpoint.unwrap_or(&self.other);
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        endpoint.by_class[class].inc();
        endpoint.seconds.observe(took.as_secs_f64());
    }

    /// Counts why one was refused.
    pub fn refused(&self, code: &'static str) {
        if let Some(counter) = self.refusals.get(code) {
            counter.inc();
        }
    }

    /// Counts a ticket that was good.
    pub fn ticket_redeemed(&self) {
        self.tickets_redeemed.inc();
    }
}
