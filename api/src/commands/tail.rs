//! `audit-log tail`: follows a log on a terminal, or into a pipe.

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use anyhow::Context as _;
use jiff::tz::TimeZone;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::client::filters;
use crate::client::tail::{Form, Look, Notebook, Order, follow};
use crate::config::{TailArgs, WrongSettings};

/// Follows until it is told to stop.
pub async fn run(args: &TailArgs) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    follow(&args.service, order(args)?, stop).await
}

fn order(args: &TailArgs) -> anyhow::Result<Order> {
    let mut query = filters::parameters(&args.filters).context(WrongSettings)?;
    query.extend(args.q.clone().map(|q| ("q".to_owned(), q)));
    query.extend(args.include_self.then(|| ("include_self".to_owned(), "true".to_owned())));
    let notebook = args.cursor_file.clone().map(Notebook::open).transpose()?;
    let kept = notebook.as_ref().and_then(Notebook::cursor).filter(|_| !args.since_now);
    let cursor = kept.map(str::to_owned).or_else(|| args.cursor.clone());
    let patience = Duration::from_secs(args.patience_s);
    Ok(Order { query, cursor, notebook, form: form(args), max: args.max, patience })
}

fn form(args: &TailArgs) -> Form {
    match (args.json, stdout().is_terminal()) {
        (true, true) => Form::JsonForTerminal,
        (true, false) => Form::Json,
        (false, _) => Form::Line(Look { colors: args.colors(), zone: TimeZone::system() }),
    }
}

/// Cancelled by Ctrl-C, or as services are stopped.
fn stop_signal() -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        told.cancel();
    });
    Ok(stop)
}
