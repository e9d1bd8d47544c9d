//! The routes. Modules mirror URLs; a handler is: who → parse → one call → answer.

mod fallback;
pub mod health;
pub mod logs;
pub mod tenants;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::{Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, any, on};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};
use tower_http::decompression::RequestDecompressionLayer;

use crate::app::App;
use crate::identity::caller::require_proof;
use crate::linger::linger;
use crate::request_log::log_request;

/// Where the service's own routes begin.
pub const BASE: &str = "/api/v1";

/// Answers below this size are not worth compressing.
const COMPRESSED_BYTES_MIN: u64 = 1_024;

/// Routes and the list of them, so that tests can walk all.
struct Routes {
    router: Router<App>,
    listed: Vec<(Method, &'static str)>,
}

impl Routes {
    fn new() -> Self {
        Self { router: Router::new(), listed: Vec::new() }
    }

    fn add<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = match method {
            Method::GET => MethodFilter::GET,
            Method::POST => MethodFilter::POST,
            Method::PATCH => MethodFilter::PATCH,
            Method::DELETE => MethodFilter::DELETE,
            ref other => unreachable!("no route has the method {other}"),
        };
        self.router = self.router.route(path, on(filter, handler));
        self.listed.push((method, path));
        self
    }
}

/// Everything below the base: nothing here is reached without a proof of identity.
fn base() -> Routes {
    Routes::new()
        .add(Method::POST, "/logs", logs::record)
        .add(Method::POST, "/logs/bulk", logs::bulk::record)
        .add(Method::GET, "/logs/{id}", logs::entry::get)
        .add(Method::GET, "/tenants", tenants::list)
        .add(Method::POST, "/tenants", tenants::create)
        .add(Method::GET, "/tenants/self", tenants::get_own)
        .add(Method::PATCH, "/tenants/self", tenants::change_own)
        .add(Method::GET, "/tenants/{id}", tenants::get)
        .add(Method::PATCH, "/tenants/{id}", tenants::change)
}

/// Every route below the base, as method and path.
pub fn listed() -> Vec<(Method, &'static str)> {
    base().listed
}

/// The whole service.
pub fn router(app: App) -> Router {
    around(base().router, app)
}

/// What stands around the routes below the base, whichever they are: the benchmark has its own.
pub fn around(base: Router<App>, app: App) -> Router {
    let proof = from_fn_with_state(app.clone(), require_proof);
    let base = base
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .layer(proof.clone());
    Router::new()
        .route("/healthz", on(MethodFilter::GET, health::healthz))
        .route("/readyz", on(MethodFilter::GET, health::readyz))
        .nest(BASE, base)
        // What `nest` leaves out: the base with a slash alone is below the base, too.
        .route("/api/v1/", any(fallback::not_found).layer(proof))
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        // Bodies have limits of their own, by route.
        .layer(DefaultBodyLimit::disable())
        .layer(compression())
        .layer(CatchPanicLayer::custom(fallback::panicked))
        .layer(from_fn(linger))
        .layer(from_fn(log_request))
        .with_state(app)
}

/// An answer with a strong `ETag` goes out as it is, or the tag would name two forms of it.
fn compression() -> CompressionLayer<impl tower_http::compression::Predicate> {
    let untagged =
        |_: axum::http::StatusCode,
         _: axum::http::Version,
         headers: &axum::http::HeaderMap,
         _: &axum::http::Extensions| !headers.contains_key(header::ETAG);
    CompressionLayer::new().compress_when(SizeAbove::new(COMPRESSED_BYTES_MIN).and(untagged))
}
