//! The crate against a real OpenSearch, whose address is in `AUDIT_TEST_SEARCH_URL`.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]

mod agreeing;
mod asking;
mod bringing;
mod generations;
mod owner;
#[path = "../../../domain/tests/search_cases/mod.rs"]
mod search_cases;
mod shards;
mod strays;
mod support;
