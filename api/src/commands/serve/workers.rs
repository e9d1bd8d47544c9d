//! What works beside the requests: upkeep, expiry, counting, the way to the index and its repair.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use search::Index;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use traces::Traces;
use tracing::{error, warn};

use crate::app::App;
use crate::config::{DatabaseUrls, QueueArgs, RepairArgs, ServeArgs, WrongSettings};
use crate::counter::Counter;
use crate::expiry::Expiry;
use crate::metrics::{Metrics, Worker};
use crate::queue::SqsQueue;
use crate::relay::{Bell, Relay, STOP_TIMEOUT};
use crate::repair::Repair;
use crate::repair::direct::Direct;
use crate::repair::mender::Mender;
use crate::repair::queued::Queued;
use crate::searching;
use crate::store::migrations::Profile;
use crate::store::{self, Store};
use crate::streaming::Streams;
use crate::streaming::tailer::{self, Tailer};
use crate::worker::Upkeep;

/// Connections for reading that the relay has.
const RELAY_CONNECTIONS: u32 = 1;

/// Connections for reading that the comparison with the index has.
const REPAIR_CONNECTIONS: u32 = 1;

/// How long one rests that has panicked.
const PANIC_PAUSE: Duration = Duration::from_secs(5);

/// Tasks that run until they are stopped.
#[derive(Debug)]
pub(super) struct Workers {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    metrics: Metrics,
    traces: Traces,
}

impl Workers {
    /// None yet.
    pub(super) fn new(metrics: Metrics, traces: Traces) -> Self {
        Self { tasks: JoinSet::new(), stop: CancellationToken::new(), metrics, traces }
    }

    /// Keeps partitions, retention and counts.
    pub(super) fn start_upkeep(
        &mut self,
        args: &ServeArgs,
        store: &Store,
        profile: Profile,
        called: &Arc<Notify>,
    ) {
        let (options, partition_days) = (store.worker_options.clone(), args.partition_days);
        let called = Arc::clone(called);
        let metrics = self.begin(Worker::Upkeep);
        self.keep("upkeep", move |stop| {
            let (options, called) = (options.clone(), Arc::clone(&called));
            Upkeep { options, profile, partition_days, called }.run(stop, metrics.clone())
        });
        let (options, days_min) = (store.worker_options.clone(), args.retention_min_days.into());
        let metrics = self.begin(Worker::Expiry);
        self.keep("expiry", move |stop| {
            Expiry { options: options.clone(), profile, days_min }.run(stop, metrics.clone())
        });
        let (db, metrics) = (store.worker.clone(), self.begin(Worker::Counter));
        self.keep("counter", move |stop| Counter { db: db.clone() }.run(stop, metrics.clone()));
    }

    /// Sends entries to the queue, where there is one; else nothing waits for being sent.
    pub(super) async fn start_relay(
        &mut self,
        urls: &DatabaseUrls,
        queue: Option<Queue>,
        bell: Bell,
    ) -> anyhow::Result<()> {
        // A store of its own: the relay takes no connection from a handler, and waits for none.
        let store = Store::new(urls, RELAY_CONNECTIONS).context(WrongSettings)?;
        let Some((queue, send_bytes_max)) = queue else {
            store::relay::hold_expiry(&store.worker, false).await?;
            store.worker.close().await;
            return Ok(());
        };
        let (metrics, traces) = (self.begin(Worker::Relay), self.traces.clone());
        self.keep("relay", move |stop| {
            Relay::new(store.clone(), Arc::clone(&queue), send_bytes_max, bell.clone())
                .counted(metrics.clone())
                .traced(traces.clone())
                .run(stop)
        });
        Ok(())
    }

    /// Reads for those who watch logs.
    pub(super) fn start_tailer(
        &mut self,
        urls: &DatabaseUrls,
        streams: &Streams,
    ) -> anyhow::Result<()> {
        let store = Store::new(urls, tailer::CONNECTIONS).context(WrongSettings)?;
        let streams = streams.clone();
        self.keep("tailer", move |stop| {
            Tailer { store: store.clone(), streams: streams.clone() }.run(stop)
        });
        Ok(())
    }

    /// Compares the index with the log; what it lacks goes through the queue, or
    /// straight into it.
    pub(super) fn start_repair(
        &mut self,
        urls: &DatabaseUrls,
        queue: Option<Queue>,
        index: Index,
        period: RepairArgs,
    ) -> anyhow::Result<()> {
        let store = Store::new(urls, REPAIR_CONNECTIONS).context(WrongSettings)?;
        let metrics = self.begin(Worker::Repair);
        if let Some((queue, send_bytes_max)) = queue {
            self.keep("repair", move |stop| {
                let (store, index) = (store.clone(), index.clone());
                let way =
                    Queued { store: store.clone(), queue: Arc::clone(&queue), send_bytes_max };
                let mender = Mender { store, index, way };
                Repair::new(mender, period).counted(metrics.clone()).run(stop)
            });
        } else {
            self.keep("repair", move |stop| {
                let (store, index) = (store.clone(), index.clone());
                let way = Direct { store: store.clone(), index: index.clone() };
                let mender = Mender { store, index, way };
                Repair::new(mender, period).counted(metrics.clone()).run(stop)
            });
        }
        Ok(())
    }

    /// Keeps marks of the index.
    pub(super) fn start_searches(&mut self, app: &App) {
        let app = app.clone();
        self.keep("searches", move |stop| searching::keep(app.clone(), stop));
    }

    /// Where a worker that begins now tells how it gets on.
    fn begin(&self, worker: Worker) -> Metrics {
        self.metrics.rounds.begun(worker);
        self.metrics.clone()
    }

    /// Keeps one at work: should it panic, it begins anew, since requests go on as well.
    fn keep<F>(
        &mut self,
        name: &'static str,
        begin: impl Fn(CancellationToken) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            while tokio::spawn(begin(stop.clone())).await.is_err() {
                error!(worker = name, "a worker has panicked: this is a defect; it begins anew");
                if stop.run_until_cancelled(sleep(PANIC_PAUSE)).await.is_none() {
                    return;
                }
            }
        });
    }

    /// Stops all of them; what they have begun is finished first, if that does not take long.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOP_TIMEOUT, all).await.is_err() {
            warn!("a worker did not end in time; what it was at is done again");
        }
    }
}

/// The queue and what one send holds at most, in bytes.
pub(super) type Queue = (Arc<SqsQueue>, usize);

/// The queue, where there is one.
pub(super) async fn queue(args: &QueueArgs) -> anyhow::Result<Option<Queue>> {
    let Some(url) = args.url().context(WrongSettings)? else { return Ok(None) };
    let queue = SqsQueue::new(url).await.context(WrongSettings)?;
    Ok(Some((Arc::new(queue), usize::try_from(args.queue_send_kib)? << 10)))
}
