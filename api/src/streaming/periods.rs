//! What happens how often, and what is waited for how long.

use std::time::Duration;

/// See the fields.
#[derive(Debug, Clone)]
pub struct Periods {
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// Between two pings of a WebSocket.
    pub ping: Duration,
    /// A WebSocket that says nothing for so long, not even `pong`, is idle.
    pub idle: Duration,
    /// Between two looks whether the tenant is still there.
    pub check: Duration,
    /// A client that takes nothing for so long is too slow.
    pub patience: Duration,
    /// The same while others wait for memory that it holds.
    pub short_patience: Duration,
    /// How long a log that cannot be read is tried again.
    pub outage: Duration,
    /// How long a stream lives on the word of a gateway.
    pub max_age: Duration,
}

impl Periods {
    /// Those of the contract.
    pub fn new(max_age: Duration) -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            ping: Duration::from_secs(30),
            idle: Duration::from_mins(1),
            check: Duration::from_mins(1),
            patience: Duration::from_mins(1),
            short_patience: Duration::from_secs(2),
            outage: Duration::from_mins(1),
            max_age,
        }
    }

    /// The same in less time, for tests that cannot wait; the age is a setting of its own.
    #[must_use]
    pub fn divided_by(self, n: u32) -> Self {
        let n = n.max(1);
        Self {
            heartbeat: self.heartbeat / n,
            ping: self.ping / n,
            idle: self.idle / n,
            check: self.check / n,
            patience: self.patience / n,
            short_patience: self.short_patience / n,
            outage: self.outage / n,
            max_age: self.max_age,
        }
    }
}
