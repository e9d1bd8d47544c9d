//! Settings of the indices that `migrate` and the months to come make.

use std::time::Duration;

use clap::Args;
use search::Shape;

/// What an index is like; counts for months that begin after it was set.
#[derive(Debug, Clone, Args)]
pub struct ShapeArgs {
    /// Shards of a month's index
    #[arg(long, env = "AUDIT_SEARCH_SHARDS", default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub search_shards: u32,
    /// Copies of each shard; unset: one as soon as there is a second node
    #[arg(long, env = "AUDIT_SEARCH_REPLICAS", value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=10))]
    pub search_replicas: Option<u32>,
    /// Milliseconds until a document is found
    #[arg(long, env = "AUDIT_SEARCH_REFRESH_MS", default_value_t = 1_000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub search_refresh_ms: u64,
}

impl ShapeArgs {
    /// As the index takes it.
    pub fn shape(&self) -> Shape {
        Shape {
            shards: self.search_shards,
            replicas: self.search_replicas,
            refresh: Duration::from_millis(self.search_refresh_ms),
        }
    }
}
