//! The service's tests: one binary, a fresh database for each test, real parts throughout.
#![expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]

mod bad_input;
mod bodies;
mod chunks;
mod clock;
mod defects;
mod emit_sample;
mod expiry;
mod export_client;
mod export_cuts;
mod exports;
mod guilty;
mod hostile;
mod idempotency;
mod isolation;
mod lists;
mod matrix;
mod model;
mod order;
mod outage;
mod pages;
mod paging;
mod problems;
mod profiles;
mod reading;
mod reads;
mod sessions;
mod settings;
mod statistics;
mod support;
mod tenants;
mod walks;
mod writing;
