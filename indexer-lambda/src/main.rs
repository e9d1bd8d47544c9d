//! The function's program, which AWS calls `bootstrap`.

use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::sqs::SqsEvent;
use indexer_lambda::{Indexer, config};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use search::Index;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What of an invocation's time is kept for its answer.
const MARGIN: Duration = Duration::from_secs(1);

/// One thread: an invocation waits far more than it works.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let filter = EnvFilter::try_new(config::log_level())?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(filter)
        .init();
    let indexer = Indexer::new(Index::new(&config::from_env().await?)?);
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| {
        let indexer = indexer.clone();
        async move {
            let deadline = deadline(event.context.deadline());
            Ok::<_, Error>(indexer.handle(&event.payload, deadline).await)
        }
    }))
    .await
}

/// When to have stopped.
fn deadline(end: SystemTime) -> Instant {
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub(MARGIN)
}
