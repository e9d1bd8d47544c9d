//! The function's program, which AWS calls `bootstrap`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::sqs::SqsEvent;
use indexer_lambda::{Indexer, call, config};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use search::Index;
use traces::Traces;
use tracing::warn;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What of an invocation's time is kept for its answer.
const MARGIN: Duration = Duration::from_secs(1);

/// What its spans say it is.
const PROGRAM: &str = "audit-log-indexer";

/// How long an invocation waits for its span to be sent: part of the margin.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

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
    let traces = traces().unwrap_or_else(|error| {
        // The index is worth more than its traces.
        warn!(error = format!("{error:#}"), "calls are not traced");
        Traces::default()
    });
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| {
        let (indexer, traces) = (indexer.clone(), traces.clone());
        async move {
            let deadline = deadline(event.context.deadline());
            let span = call::begin(&traces, &event.payload);
            let answer = indexer.handle(&event.payload, deadline).await;
            call::end(span, &event.payload, &answer);
            // Between two calls the function is frozen.
            traces.flush(FLUSH_TIMEOUT).await;
            Ok::<_, Error>(answer)
        }
    }))
    .await
}

/// Where spans go, if anywhere. What became of them nobody could read here.
fn traces() -> anyhow::Result<Traces> {
    let Some(collector) = config::collector()? else { return Ok(Traces::default()) };
    let count: traces::Count = Arc::new(|_, _| {});
    Traces::start(collector, PROGRAM, env!("CARGO_PKG_VERSION"), &count)
}

/// When to have stopped.
fn deadline(end: SystemTime) -> Instant {
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub(MARGIN)
}
