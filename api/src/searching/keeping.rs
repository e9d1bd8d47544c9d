//! What goes on between searches: marks are written down, and an index that failed is tried.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::app::App;
use crate::store::index_marks;

/// How often.
const PERIOD: Duration = Duration::from_secs(5);

/// Keeps marks and looks after the index until it is stopped.
pub async fn keep(app: App, stop: CancellationToken) {
    let Some(indexed) = &app.searches.indexed else { return };
    loop {
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
