//! How long to go on trying, and how long to wait before the next try.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::fault::Fault;

/// The first wait; each after it doubles.
const DELAY_MIN: Duration = Duration::from_millis(200);

/// The longest wait that nobody asked for.
const DELAY_MAX: Duration = Duration::from_secs(10);

/// Ends when nothing has got on for too long.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    got_on_at: Instant,
    delay: Duration,
    /// Before anything got on, an address is more likely wrong than gone for a moment.
    has_got_on: bool,
}

impl Patience {
    /// Starts now.
    pub fn new(limit: Duration) -> Self {
        Self { limit, got_on_at: Instant::now(), delay: DELAY_MIN, has_got_on: false }
    }

    /// Something got on: begin anew.
    pub fn got_on(&mut self) {
        self.got_on_at = Instant::now();
        self.delay = DELAY_MIN;
        self.has_got_on = true;
    }

    /// How long a silence may last before it is taken for a break.
    pub fn silence_max(&self) -> Duration {
        // Half, so that there is time for another try.
        self.limit / 2
    }

    /// Waits before the next try, or gives the fault back when there is none.
    pub async fn wait(&mut self, fault: Fault) -> Result<Fault, Fault> {
        let wrong_address = matches!(fault, Fault::Unreachable { .. }) && !self.has_got_on;
        let worth_it = fault.may_pass() && !wrong_address;
        let delay = self.delay.max(fault.retry_after().unwrap_or_default());
        if !worth_it || self.got_on_at.elapsed() + delay > self.limit {
            return Err(fault);
        }
        sleep(jittered(delay)).await;
        self.delay = (self.delay * 2).min(DELAY_MAX);
        Ok(fault)
    }
}

/// Up to a quarter longer, so that clients that broke together do not come back together.
fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(rand::random_range(1.0..1.25))
}
