//! The service's tests: one binary, a fresh database for each test, real parts throughout.
#![expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]

mod outage;
mod support;
mod writing;
