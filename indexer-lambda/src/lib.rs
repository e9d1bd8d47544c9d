//! Takes batches of entries from SQS into OpenSearch.
//!
//! It says of a message that it is done only when each of its entries is known to be in the index. All
//! else goes back to the queue, message by message. It knows no index by name: that is `search`.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")
)]

pub mod call;
pub mod config;
mod indexer;
mod load;
mod pauses;

pub use crate::indexer::Indexer;
