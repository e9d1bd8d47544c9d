//! What goes on between searches: marks are written down, an index that failed is tried, and whose
//! it is is looked at.

use std::time::Duration;

use search::Fault;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::index::Indexed;
use crate::app::App;
use crate::store::index_marks;

/// How often.
const PERIOD: Duration = Duration::from_secs(5);

/// Every so many times it is looked at whose the index is.
const OWNER_EVERY: usize = 12;

/// Keeps marks and looks after the index until it is stopped.
pub async fn keep(app: App, stop: CancellationToken) {
    let Some(indexed) = &app.searches.indexed else { return };
    for times in (0..OWNER_EVERY).cycle() {
        if times == 0 {
            keep_to_ours(indexed).await;
        }
        indexed.probe().await;
        let moved = indexed.marks.take_moved();
        // What is not written is counted again by whoever needs it.
        if !moved.is_empty()
            && let Err(error) = index_marks::set(&app.store.worker, &moved).await
        {
            warn!(error = %error, "marks of the search index could not be kept");
        }
        if stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_none() {
            return;
        }
    }
}

/// Takes what is nobody's for this installation, and keeps searches from what is another's.
async fn keep_to_ours(indexed: &Indexed) {
    match indexed.index.claim().await {
        Ok(()) => {
            if indexed.breaker.bar(false) {
                info!("the search index is this installation's: searches use it");
            }
        }
        Err(fault @ Fault::Foreign { .. }) => {
            if !indexed.breaker.bar(true) {
                error!(
                    error = %fault,
                    "the search index is not used, the log answers: set AUDIT_SEARCH_PREFIX to \
                     names of this installation's own"
                );
            }
        }
        // It is told of when it is searched.
        Err(_) => {}
    }
}
