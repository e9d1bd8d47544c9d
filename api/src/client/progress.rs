//! A bar on a terminal, for work that takes a while.

use std::fmt::Write;
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// What is done sooner needs no bar.
const SHOWN_AFTER: Duration = Duration::from_secs(2);

/// How often the bar is drawn, in a second.
const DRAWS_PER_SECOND: u8 = 5;

const TEMPLATE: &str = "{msg} {wide_bar} {human_pos}/{human_len} {rate}/s {eta}";

/// How far something has come; on standard error, and only where somebody is looking.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    started_at: Instant,
    /// Whether it has been decided that there is a bar, or none.
    shown: bool,
}

impl Progress {
    /// Of nothing yet.
    pub fn new(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or(ProgressStyle::default_bar());
        bar.set_style(style.with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
            // A bar that cannot be drawn stops nothing.
            let _ = write!(text, "{:.0}", state.per_sec());
        }));
        bar.set_message(what);
        Self { bar, started_at: Instant::now(), shown: false }
    }

    /// The same without a bar: what is written goes to the same terminal.
    #[must_use]
    pub fn without_bar(mut self) -> Self {
        self.shown = true;
        self
    }

    /// How much there is to do.
    pub fn set_len(&self, len: u64) {
        self.bar.set_length(len);
    }

    /// How much is done.
    pub fn set(&mut self, position: u64) {
        self.bar.set_position(position);
        if !self.shown && self.started_at.elapsed() >= SHOWN_AFTER {
            self.shown = true;
            if stderr().is_terminal() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
            }
        }
    }

    /// A line for people, above the bar if there is one.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
