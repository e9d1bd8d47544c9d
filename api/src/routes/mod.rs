//! The routes. Modules mirror URLs; a handler is: who → parse → one call → answer.

pub mod documents;
mod fallback;
mod front;
pub mod health;
pub mod logs;
pub mod tenants;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::app::App;
use crate::board;
use crate::documents::{DOCUMENT, REDOC, SWAGGER};

/// Where the service's own routes begin.
pub const BASE: &str = "/api/v1";

/// Routes that a prober asks, outside of the base.
pub const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Routes and the list of them, so that tests can walk all.
struct Routes {
    router: Router<App>,
    listed: Vec<(Method, &'static str)>,
}

impl Routes {
    fn new() -> Self {
        Self { router: Router::new(), listed: Vec::new() }
    }

    /// Adds a route below the base.
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
        self.router = self.router.route(&format!("{BASE}{path}"), on(filter, handler));
        self.listed.push((method, path));
        self
    }
}

/// Everything below the base: nothing here is reached without a proof of identity.
fn base() -> Routes {
    Routes::new()
        .add(Method::POST, "/logs", logs::record)
        .add(Method::GET, "/logs", logs::list::list)
        .add(Method::POST, "/logs/bulk", logs::bulk::record)
        .add(Method::DELETE, "/logs/cleanup", logs::cleanup::clean_up)
        .add(Method::GET, "/logs/expiries", logs::expiries::list)
        .add(Method::GET, "/logs/export", logs::export::export)
        .add(Method::GET, "/logs/search", logs::search::search)
        .add(Method::GET, "/logs/stats", logs::stats::get)
        .add(Method::GET, "/logs/board", logs::board::page)
        .add(Method::GET, "/logs/board/session", logs::board::session)
        .add(Method::GET, "/logs/stream", logs::stream::open)
        .add(Method::POST, "/logs/stream/ticket", logs::stream::issue_ticket)
        .add(Method::GET, "/logs/{id}", logs::entry::get)
        .add(Method::GET, "/tenants", tenants::list)
        .add(Method::POST, "/tenants", tenants::create)
        .add(Method::GET, "/tenants/self", tenants::get_own)
        .add(Method::PATCH, "/tenants/self", tenants::change_own)
        .add(Method::GET, "/tenants/{id}", tenants::get)
        .add(Method::PATCH, "/tenants/{id}", tenants::change)
}

/// Every route below the base that needs a role, as method and path.
pub fn listed() -> Vec<(Method, &'static str)> {
    base().listed
}

/// What nobody has to prove anything for, and the board's files.
fn open() -> Vec<(String, MethodRouter<App>)> {
    let get = MethodFilter::GET;
    let file = "/{version}/{file}";
    let mut routes = vec![
        (PROBES[0].to_owned(), on(get, health::healthz)),
        (PROBES[1].to_owned(), on(get, health::readyz)),
        (format!("{BASE}{}{file}", board::PATH), on(get, logs::board::file)),
    ];
    for base in ["", BASE] {
        routes.extend([
            (format!("{base}{DOCUMENT}"), on(get, documents::document)),
            (format!("{base}{SWAGGER}"), on(get, documents::swagger)),
            (format!("{base}{SWAGGER}{file}"), on(get, documents::file)),
            (format!("{base}{REDOC}"), on(get, documents::redoc)),
        ]);
    }
    routes
}

/// Every route of the service, as method and whole path.
pub fn all() -> Vec<(Method, String)> {
    let below = listed().into_iter().map(|(method, path)| (method, format!("{BASE}{path}")));
    below.chain(open().into_iter().map(|(path, _)| (Method::GET, path))).collect()
}

/// The whole service.
pub fn router(app: App) -> Router {
    around(base().router, app)
}

/// What stands around the routes below the base, whichever they are: the benchmark has its own.
///
/// A single layer, because each costs a request several allocations and copies of itself; and
/// outside of the routes, so that a refusal shows nothing of them, not even in `Allow`.
pub fn around(base: Router<App>, app: App) -> Router {
    let open = open().into_iter();
    let routes = open
        .fold(Router::new(), |router, (path, route)| router.route(&path, route))
        .merge(base)
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .with_state(app.clone());
    Router::new().fallback_service(routes).layer(from_fn_with_state(app, front::serve))
}
