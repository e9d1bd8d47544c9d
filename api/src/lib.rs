//! The audit log service: what the binary `audit-log` is made of.
//!
//! Entries come in through [`routes`], pass [`admission`] and the check in `domain`, are written
//! by the [`writer`] and kept by the [`store`]. Handlers hold no SQL; the store holds no HTTP.

pub mod admission;
pub mod app;
pub mod assets;
pub mod board;
pub mod body;
pub mod client;
pub mod commands;
pub mod config;
pub mod counter;
pub mod cursors;
pub mod documents;
pub mod error;
pub mod expiry;
pub mod export;
pub mod idempotency;
pub mod identity;
pub mod linger;
pub mod logging;
pub mod metrics;
pub mod openapi;
pub mod own;
pub mod poke;
pub mod query;
pub mod queue;
pub mod rates;
pub mod reads;
pub mod reindex;
pub mod relay;
pub mod repair;
pub mod request_log;
pub mod retention;
pub mod routes;
pub mod searching;
pub mod serving;
pub mod store;
pub mod streaming;
pub mod tenant_patch;
pub mod tenants;
pub mod worker;
pub mod writer;
