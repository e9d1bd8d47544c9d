//! `/metrics` on an address of its own, for operators alone: it tells how much everybody does.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{Look, Metrics};
use crate::app::App;

/// Scrapes at a time; a Prometheus, its twin and somebody who looks by hand.
const SCRAPES_MAX: usize = 4;

/// How long a scrape may take; what it asks is bounded more tightly.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Scraped {
    app: App,
    look: Look,
    turns: Semaphore,
}

/// Serves until it is stopped.
pub async fn serve(listener: TcpListener, app: App, look: Look, stop: CancellationToken) {
    let scraped = Scraped { app, look, turns: Semaphore::new(SCRAPES_MAX) };
    let router = Router::new().route("/metrics", get(metrics)).with_state(Arc::new(scraped));
    let serving = axum::serve(listener, router).into_future();
    if let Some(Err(error)) = stop.run_until_cancelled(serving).await {
        error!(error = %error, "metrics are not served any more");
    }
}

async fn metrics(State(scraped): State<Arc<Scraped>>) -> Response {
    let Ok(_turn) = scraped.turns.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many scrapes at a time\n").into_response();
    };
    let metrics: &Metrics = &scraped.app.metrics;
    match timeout(SCRAPE_TIMEOUT, metrics.scrape(&scraped.app, &scraped.look)).await {
        Ok(text) => ([(CONTENT_TYPE, super::CONTENT_TYPE)], text).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not in time\n").into_response(),
    }
}
