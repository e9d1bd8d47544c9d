//! What tests share: databases of their own, the service in this process, verbs to call it.

pub(crate) mod app;
pub(crate) mod cluster;
pub(crate) mod collector;
pub(crate) mod command;
pub(crate) mod connection;
pub(crate) mod database;
pub(crate) mod deployed;
pub(crate) mod events;
pub(crate) mod exporter;
pub(crate) mod exposition;
pub(crate) mod fan_out;
pub(crate) mod history;
pub(crate) mod index;
pub(crate) mod log;
pub(crate) mod old_log;
pub(crate) mod parts;
pub(crate) mod past;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod queue;
pub(crate) mod said;
pub(crate) mod schema;
pub(crate) mod seeds;
pub(crate) mod service;
pub(crate) mod socket;
pub(crate) mod spec;
pub(crate) mod streamer;
pub(crate) mod switch;
pub(crate) mod timescale;
pub(crate) mod way;
pub(crate) mod wishes;

use std::time::{Duration, Instant};

/// Waits until something is so; fails the test when it is not so in time.
pub(crate) async fn eventually<F, Fut>(what: &str, within: Duration, mut is_so: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let deadline = Instant::now() + within;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
