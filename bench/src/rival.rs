//! (a) and (b): the service's own parts put together without its writer.
//!
//! The same layers, extractors, check and answer, on as many threads, with the same log. What
//! differs is one line: nothing is stored, or each request does its own INSERT.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::admission::Admission;
use api::app::{App, Parts};
use api::body::{Admitted, OneEntry};
use api::config::{LogFormat, LoggingArgs};
use api::error::ApiError;
use api::export::slots::Exports;
use api::idempotency::IdempotencyKey;
use api::identity::caller::Writer;
use api::identity::{Authenticator, GatewaySecrets};
use api::query::Parameters;
use api::rates::{RateLimits, Rates};
use api::relay::Bell;
use api::request_log::Facts;
use api::retention::Retention;
use api::routes::{self, BASE, logs};
use api::store::{Store, preflight};
use api::tenants::Tenants;
use api::writer::LogWriter;
use api::{logging, store};
use axum::response::Response;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use axum::{Extension, Router};
use domain::{CheckContext, EntryDraft, Timestamp};
use secrecy::SecretString;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::args::DatabaseArgs;
use crate::database::{self, ROLE};
use crate::http::GATEWAY_SECRET;
use crate::insert::{insert, places};

/// Connections of (b). On two cores, 16 to 128 differ by less than two runs of the same do.
const CONNECTIONS: u32 = 32;

/// What becomes of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keeper {
    Nothing,
    Insert,
}

/// Serves until standard input ends, that is, until the benchmark does.
///
/// Its first line on standard output is its address, or what went wrong: standard error is the
/// log, which nobody reads.
pub(crate) fn run(args: &DatabaseArgs, keeper: Keeper) -> anyhow::Result<()> {
    let _guard =
        logging::start(&LoggingArgs { log_format: LogFormat::Json, log_level: "info".to_owned() })?;
    // As in the service's own main.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let said = match serve(&args.database_url, keeper).await {
            Ok(address) => address.to_string(),
            Err(error) => format!("{error:#}"),
        };
        say(&said)?;
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
            .await??;
        Ok(())
    })
}

fn say(line: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}")
}

/// Starts to serve.
async fn serve(url: &SecretString, keeper: Keeper) -> anyhow::Result<SocketAddr> {
    let pool = match keeper {
        Keeper::Nothing => None,
        Keeper::Insert => Some(pool(url).await?),
    };
    // A closure and no layer: nothing that the service's own handler does not have.
    let record = move |caller: Writer,
                       facts: Extension<Facts>,
                       key: IdempotencyKey,
                       parameters: Parameters,
                       body: Admitted<OneEntry>| {
        record(pool.clone(), caller, facts, key, parameters, body)
    };
    let base = Router::new().route(&format!("{BASE}/logs"), post(record));
    let router = routes::around(base, app(url).await?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, service).into_future());
    Ok(address)
}

async fn pool(url: &SecretString) -> anyhow::Result<PgPool> {
    let pool = PgPoolOptions::new()
        .min_connections(CONNECTIONS)
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(30))
        // No round trip more than the INSERT itself.
        .test_before_acquire(false)
        .connect_with(store::connect_options(url)?.options([("role", ROLE)]))
        .await?;
    Ok(pool)
}

/// The parts of `audit-log serve`, with a writer that is never called.
async fn app(url: &SecretString) -> anyhow::Result<App> {
    let urls = database::urls(url);
    let store = Store::new(&urls, 8)?;
    let profile = preflight::inspect(&urls, &store).await?.profile;
    let called = Arc::new(Notify::new());
    let (writer, _) = LogWriter::start(
        store.writer_options.clone(),
        store.worker_options.clone(),
        called,
        Bell::default(),
        api::streaming::Streams::default(),
        api::metrics::Metrics::default(),
        traces::Traces::default(),
    );
    let secrets = GatewaySecrets::new(&[SecretString::from(GATEWAY_SECRET)]);
    Ok(App::new(Parts {
        writer,
        tenants: Tenants::new(store.clone(), false, 7),
        store,
        profile,
        authenticator: Authenticator::Gateway(secrets),
        admission: Arc::new(Admission::new(256 << 20)),
        rates: Rates::new(RateLimits::default()),
        retention: Retention { days_min: 7, grace_h: 24 },
        exports: Exports::default(),
        searches: api::searching::Searches::new(None),
        reads: api::reads::Reads::default(),
        streams: api::streaming::Streams::default(),
        metrics: api::metrics::Metrics::default(),
        traces: traces::Traces::default(),
    }))
}

/// `logs::record`, up to the writer and from there on.
async fn record(
    pool: Option<PgPool>,
    caller: Writer,
    Extension(facts): Extension<Facts>,
    key: IdempotencyKey,
    parameters: Parameters,
    body: Admitted<OneEntry>,
) -> Result<Response, ApiError> {
    parameters.allow(&[])?;
    let draft = EntryDraft::read(body.text()?)?;
    key.of(caller.defaults.recorded_by.as_str(), &body.bytes)?;
    let context = CheckContext {
        now: Timestamp::now(),
        caller: &caller.defaults,
        masking: &caller.tenant.masking,
    };
    let entry = draft.check(&context).map_err(ApiError::invalid)?;
    let place = places(1).map_err(ApiError::internal)?;
    if let Some(pool) = &pool {
        insert(pool, caller.tenant_id(), place, &entry).await?;
    }
    facts.set_entries(1);
    Ok(logs::created(&domain::Entry::new(caller.tenant_id(), place, entry)))
}
