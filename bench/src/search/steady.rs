//! The open loop's clock: requests at fixed times, however long the answers take.

use std::time::{Duration, Instant};

/// So many requests a second, by connections that take turns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    begun: Instant,
    every: Duration,
    connections: u32,
}

/// Time for connections to be opened.
const LEAD: Duration = Duration::from_millis(200);

impl Pace {
    /// Begins in a moment.
    pub(crate) fn new(a_second: u32, connections: u32) -> Self {
        let every = Duration::from_secs(1) / a_second;
        Self { begun: Instant::now() + LEAD, every, connections }
    }

    pub(crate) fn connections(self) -> u32 {
        self.connections
    }

    pub(crate) fn begun(self) -> Instant {
        self.begun
    }

    /// When the requests of a connection are due.
    pub(crate) fn turns(self, connection: u32) -> impl Iterator<Item = Instant> {
        let numbers = (connection..u32::MAX).step_by(self.connections as usize);
        numbers.map(move |number| self.begun + self.every * number)
    }
}

/// How long ago that was, as latencies are noted.
pub(crate) fn us_since(due: Instant) -> u32 {
    u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;

    #[test]
    fn connections_take_turns() {
        let pace = Pace::new(1_000, 2);
        let second: Vec<_> = pace.turns(1).take(2).map(|due| due - pace.begun()).collect();
        assert_eq!(second, [Duration::from_millis(1), Duration::from_millis(3)]);
    }
}
