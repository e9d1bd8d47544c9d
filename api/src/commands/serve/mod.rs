//! `audit-log serve`: starts the parts in their order and stops them in the other.

mod workers;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::TenantId;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use traces::Traces;
use tracing::{error, info, warn};
use uuid::Uuid;

use self::workers::Workers;
use crate::admission::Admission;
use crate::app::{App, Parts};
use crate::config::{AuthMode, DatabaseUrls, ServeArgs, WrongSettings};
use crate::export::slots::Exports;
use crate::identity::{Authenticator, GatewaySecrets, JwtVerifier};
use crate::metrics::{self, Look, Metrics};
use crate::rates::Rates;
use crate::reads::{self, Reads};
use crate::relay::Bell;
use crate::retention::Retention;
use crate::routes;
use crate::searching::Searches;
use crate::serving::Serving;
use crate::serving::tls::Tls;
use crate::store::migrations::Profile;
use crate::store::{Store, installation, preflight, tenants};
use crate::streaming::Streams;
use crate::tenants::{Tenants, default_settings};
use crate::writer::LogWriter;

/// The tenant of dev mode.
pub const DEV_TENANT: TenantId =
    TenantId::new(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001));

/// How long PostgreSQL may take to show itself at the start.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a stop waits for the last spans to be sent.
const TRACES_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections for reading that metrics have.
const LOOK_CONNECTIONS: u32 = 1;

/// A gateway's secret that is shorter is worth a warning.
const GATEWAY_SECRET_BYTES: usize = 16;

/// Runs the service until it is told to stop.
pub async fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!("cannot listen on {}: choose another address with AUDIT_LISTEN", args.listen)
    })?;
    raise_file_limit();
    serve(args, listener, stop_signal()?).await
}

/// As many connections as the system allows this process: many begin with 1,024 files, which a
/// thousand streams would use up.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(error = %error, "cannot raise the limit of open files");
    }
}

/// Runs the service on a listener until `stop` is done.
pub async fn serve(
    args: &ServeArgs,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    args.check_dev_bind().context(WrongSettings)?;
    let admin = admin_listener(args).await?;
    let metrics = Metrics::default();
    let traces = traces(args, &metrics)?;
    let urls = args.database.urls().context(WrongSettings)?;
    let tls = tls(args).await.context(WrongSettings)?;
    let store = Store::new(&urls, args.reader_connections).context(WrongSettings)?;
    let authenticator = authenticator(args).await.context(WrongSettings)?;
    let mut index = args.search.index().await.context(WrongSettings)?;
    let queue = workers::queue(&args.queue).await?;
    let inspecting = timeout(START_TIMEOUT, inspect(args, &urls, &store)).await;
    let profile = inspecting.context("PostgreSQL does not answer: is the URL right?")??;
    if let Some(unowned) = index.take() {
        index = Some(unowned.of_installation(&installation::id(&store.worker).await?));
    }
    if args.identity.auth == AuthMode::Dev {
        let settings = default_settings("dev".to_owned(), args.retention_min_days.into());
        tenants::create(&store.worker, DEV_TENANT, &settings).await?;
    }

    let streams = Streams::new(&args.stream, args.reader_connections);
    let upkeep_called = Arc::new(Notify::new());
    let bell = if queue.is_some() { Bell::heard() } else { Bell::default() };
    let mut workers = Workers::new(metrics.clone(), traces.clone());
    workers.start_upkeep(args, &store, profile, &upkeep_called);
    workers.start_relay(&urls, queue.clone(), bell.clone()).await?;
    workers.start_tailer(&urls, &streams)?;
    let has_index = index.is_some();
    // Its own connections: a scrape takes none from a handler, and waits for none.
    let look_store = Store::new(&urls, LOOK_CONNECTIONS).context(WrongSettings)?;
    let asked_queue = queue.as_ref().map(|(queue, _)| Arc::clone(queue));
    let look = Look::new(look_store, profile, asked_queue, has_index);
    if let Some(index) = index.clone() {
        workers.start_repair(&urls, queue, index, args.repair)?;
    }
    let index = index.map(|index| (index, Duration::from_millis(args.search.search_timeout_ms)));
    let (writer, mut writing) = LogWriter::start(
        store.writer_options.clone(),
        store.worker_options.clone(),
        upkeep_called,
        bell,
        streams.clone(),
        metrics.clone(),
        traces.clone(),
    );

    let app = App::new(Parts {
        writer: writer.clone(),
        tenants: Tenants::new(
            store.clone(),
            args.tenant_autocreate,
            args.retention_min_days.into(),
        ),
        store: store.in_turns(),
        profile,
        authenticator,
        admission: Arc::new(Admission::new(u64::from(args.admission_mib) << 20)),
        rates: Rates::new(args.rate_limits),
        retention: Retention {
            days_min: args.retention_min_days.into(),
            grace_h: args.retention_grace_h,
        },
        exports: Exports::default(),
        searches: Searches::new(index),
        reads: Reads::default(),
        streams,
        metrics,
        traces: traces.clone(),
    });
    let told = CancellationToken::new();
    let telling =
        admin.map(|admin| tokio::spawn(metrics::serve(admin, app.clone(), look, told.clone())));
    let reads_stop = CancellationToken::new();
    let reads = tokio::spawn(reads::write(app.clone(), reads_stop.clone()));
    if has_index {
        workers.start_searches(&app);
    }
    let address = listener.local_addr()?;
    let (auth, profile, tls_is_on) = (args.identity.auth, profile.as_str(), tls.is_some());
    info!(address = %address, tls = tls_is_on, auth = ?auth, profile, "serving");
    tokio::select! {
        () = accept(args, app, tls, listener, stop) => {}
        // It ends after everybody else. If not, it is better to be started anew than to let
        // requests wait for an answer that never comes.
        _ = &mut writing => anyhow::bail!("the log writer has ended: this is a defect"),
    }

    reads_stop.cancel();
    let _ = reads.await;
    // No request is left: what they queued is written, then the rest goes.
    writer.stop();
    if timeout(Duration::from_secs(args.stop_timeout_s), writing).await.is_err() {
        error!("queued entries could not be written in time; their callers have no 201");
    }
    workers.stop().await;
    traces.flush(TRACES_TIMEOUT).await;
    told.cancel();
    if let Some(telling) = telling {
        let _ = telling.await;
    }
    let closing = async { tokio::join!(store.reader.close(), store.worker.close()) };
    let _ = timeout(Duration::from_secs(2), closing).await;
    info!("stopped");
    Ok(())
}

/// Where spans go, if anywhere.
fn traces(args: &ServeArgs, metrics: &Metrics) -> anyhow::Result<Traces> {
    let collector = args.traces.collector().context(WrongSettings)?;
    let Some(collector) = collector else { return Ok(Traces::default()) };
    let metrics = metrics.clone();
    let count: traces::Count = Arc::new(move |fate, spans| metrics.spans.ended(fate, spans));
    Traces::start(collector, "audit-log", env!("CARGO_PKG_VERSION"), &count)
}

/// Where operators look, if they do.
async fn admin_listener(args: &ServeArgs) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = args.admin_listen else { return Ok(None) };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: choose another address with AUDIT_ADMIN_LISTEN")
    })?;
    info!(metrics.address = %listener.local_addr()?, "metrics are served");
    Ok(Some(listener))
}

/// Serves until `stop`, then lets requests under way end, for so long.
async fn accept(
    args: &ServeArgs,
    app: App,
    tls: Option<Tls>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let stopping = CancellationToken::new();
    let stop_begun = stopping.clone();
    let (streams, ending) = (app.streams.clone(), app.streams.clone());
    let graceful = async move {
        stop.await;
        info!("stopping: no new connections, requests under way end");
        stop_begun.cancel();
        // Now: those that are answers would keep the service from ending.
        tokio::spawn(async move { streams.end().await });
    };
    let files_max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let metrics = app.metrics.clone();
    let serving = Serving {
        router: routes::router(app),
        times: args.connections.times(),
        places: args.connections.places(files_max),
        tls,
        metrics,
    };
    let serving = async {
        serving.run(listener, graceful).await;
        // Nobody else waits for WebSockets.
        ending.end().await;
    };
    let too_late = async {
        stopping.cancelled().await;
        tokio::time::sleep(Duration::from_secs(args.stop_timeout_s)).await;
    };
    tokio::select! {
        () = serving => {}
        () = too_late => {
            warn!("requests were still under way when the time for stopping was over");
        }
    }
}

async fn tls(args: &ServeArgs) -> anyhow::Result<Option<Tls>> {
    match args.connections.tls_files()? {
        Some(files) => Tls::load(files).await.map(Some),
        None => Ok(None),
    }
}

async fn authenticator(args: &ServeArgs) -> anyhow::Result<Authenticator> {
    Ok(match args.identity.auth {
        AuthMode::Gateway => {
            let secrets = args.identity.gateway_secrets()?;
            if secrets.iter().any(|one| one.expose_secret().len() < GATEWAY_SECRET_BYTES) {
                warn!(
                    "AUDIT_GATEWAY_SECRET is short, and whoever guesses it is everybody: \
                     `openssl rand -hex 32` makes a good one"
                );
            }
            Authenticator::Gateway(GatewaySecrets::new(&secrets))
        }
        AuthMode::Jwt => Authenticator::Jwt(JwtVerifier::new(&args.identity.jwt).await?),
        AuthMode::Dev => {
            warn!("AUDIT_AUTH=dev: every caller is admin and operator");
            Authenticator::Dev(DEV_TENANT)
        }
    })
}

/// Looks at the database and refuses one that would break a promise.
async fn inspect(args: &ServeArgs, urls: &DatabaseUrls, store: &Store) -> anyhow::Result<Profile> {
    let found = preflight::inspect(urls, store).await?;
    if urls.shared {
        info!("AUDIT_DATABASE_URL serves for all: sessions step down to restricted roles");
    }
    if !found.unsafe_settings.is_empty() {
        let settings = found.unsafe_settings.join(", ");
        anyhow::ensure!(
            args.allow_unsafe_postgres,
            "this PostgreSQL may lose what it has committed ({settings}): set it right, or set \
             AUDIT_ALLOW_UNSAFE_POSTGRES=1 if the log may be lost"
        );
        warn!(settings, "serving although PostgreSQL may lose what it has committed");
    }
    Ok(found.profile)
}

/// Done when the process is told to stop.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
