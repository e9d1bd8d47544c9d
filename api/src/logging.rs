//! Where log lines go: standard error, JSON for machines, text for people.

use std::io::{BufWriter, IsTerminal as _};

use anyhow::Context as _;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::{LogFormat, LoggingArgs, WrongSettings};

/// Lines that wait to be written; beyond it a slow terminal loses lines, not requests.
const LINES_WAITING_MAX: usize = 65_536;

/// Lines written at once while more are waiting; the last is never held back.
const LINES_BUFFER_BYTES: usize = 32 << 10;

/// Which lines are written.
fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    // A lone word would name a module, of which there is none: nothing at all would be written.
    let is_known = level.contains(['=', ',', ':']) || level.parse::<LevelFilter>().is_ok();
    let filter = EnvFilter::try_new(level).ok().filter(|_| is_known);
    filter.with_context(|| {
        format!(
            "AUDIT_LOG_LEVEL: cannot read {level:?}: use error, warn, info, debug, trace or off, \
             or module=level with commas between"
        )
    })
}

/// Starts logging; what is still waiting is written when the guard is dropped.
pub fn start(args: &LoggingArgs) -> anyhow::Result<WorkerGuard> {
    let filter = filter(&args.log_level).context(WrongSettings)?;
    let terminal = std::io::stderr().is_terminal();
    let (lines, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_WAITING_MAX)
        .lossy(true)
        .finish(BufWriter::with_capacity(LINES_BUFFER_BYTES, std::io::stderr()));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    let text = match args.log_format {
        LogFormat::Auto => terminal,
        LogFormat::Json => false,
        LogFormat::Text => true,
    };
    if text {
        subscriber.with_ansi(terminal).with_target(false).init();
    } else {
        subscriber.json().flatten_event(true).with_current_span(false).init();
    }
    std::panic::set_hook(Box::new(|panic| {
        // The place alone: a panic's text may quote what was being worked on.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
    Ok(guard)
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn a_word_that_is_no_level_does_not_silence_the_log() {
        for level in ["info", "WARN", "off", "info,sqlx=warn", "api::relay=debug"] {
            assert!(filter(level).is_ok(), "{level}");
        }
        for level in ["loud", "infos", "inf o"] {
            let error = filter(level).expect_err(level).to_string();
            assert!(error.contains("use error, warn"), "{error}");
        }
    }
}
