//! A page of hits, read only when every shard has answered in time.

use serde::Deserialize;

use crate::Fault;

/// What OpenSearch answers to a search whose hits are all that is asked for.
#[derive(Deserialize)]
pub(crate) struct Page<H> {
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    hits: Option<Hits<H>>,
}

#[derive(Deserialize)]
struct Shards {
    failed: u64,
}

#[derive(Deserialize)]
struct Hits<H> {
    hits: Option<Vec<H>>,
}

impl<H> Page<H> {
    /// The hits, if that is a whole page.
    pub(crate) fn hits(self) -> Result<Vec<H>, Fault> {
        if self.timed_out {
            return Err(Fault::TimedOut);
        }
        if self.shards.failed > 0 {
            let reason = "some shards did not answer".to_owned();
            return Err(Fault::Unavailable { status: 200, reason });
        }
        Ok(self.hits.and_then(|hits| hits.hits).unwrap_or_default())
    }
}
