//! A stop waits for requests, and for nobody who asks nothing.

use std::time::{Duration, Instant};

use super::{HEALTHZ, ask, connect};
use crate::support::app::TestApp;
use crate::support::database::TestDb;

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_silent_connections() {
    let app = TestApp::start_with(TestDb::new().await, &[]).await;
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(connect(&app.base).await);
        let mut asked = connect(&app.base).await;
        ask(&mut asked, HEALTHZ).await.unwrap();
        idle.push(asked);
    }
    let begun = Instant::now();
    app.stop().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
