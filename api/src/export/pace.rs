//! How large chunks are: as the reader takes them.
//!
//! Large ones for a fast reader, whom each statement would hold up; small ones for a slow reader,
//! for whom a large one would be read in one go, beside others who want an answer now, and then
//! lie in memory for seconds.

use std::time::Duration;

/// What a chunk is made to have for a fast reader; one statement fills it.
pub(super) const BYTES_MAX: usize = 8 << 20;

/// For the slowest.
const BYTES_MIN: usize = 256 << 10;

/// A reader who takes longer for a chunk gets smaller ones.
const PATIENCE: Duration = Duration::from_millis(250);

/// So many chunks must be taken quickly before they grow: the first megabytes go into the buffers
/// of two systems, however slow the reader is.
const QUICK_MIN: u32 = 4;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    bytes: usize,
    /// Chunks of this size that were taken quickly.
    quick: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes: BYTES_MIN, quick: 0 }
    }
}

impl Pace {
    /// Heeds how long the reader had us wait with the next chunk.
    pub(super) fn adapt(&mut self, waited: Duration) {
        if waited > PATIENCE {
            *self = Self { bytes: (self.bytes / 2).max(BYTES_MIN), quick: 0 };
        } else if self.quick + 1 < QUICK_MIN {
            self.quick += 1;
        } else {
            *self = Self { bytes: (self.bytes * 2).min(BYTES_MAX), quick: 0 };
        }
    }

    /// What the next chunk is made to have.
    pub(super) fn bytes(self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_for_a_fast_reader_and_shrink_for_a_slow_one() {
        let mut pace = Pace::default();
        for _ in 0..5 * QUICK_MIN {
            assert!(pace.bytes() < BYTES_MAX);
            pace.adapt(Duration::from_millis(1));
        }
        assert_eq!(pace.bytes(), BYTES_MAX);
        pace.adapt(Duration::from_millis(1));
        assert_eq!(pace.bytes(), BYTES_MAX);
        for _ in 0..5 {
            pace.adapt(Duration::from_secs(4));
        }
        assert_eq!(pace.bytes(), BYTES_MIN);
        pace.adapt(Duration::from_secs(4));
        assert_eq!(pace.bytes(), BYTES_MIN);
    }
}
