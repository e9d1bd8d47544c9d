//! The function's handler against a real OpenSearch, whose address is in `AUDIT_TEST_SEARCH_URL`, and
//! behind a front that breaks what a real one does not break on command.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]

mod batches;
mod faults;
mod front;
mod strange;
mod support;
