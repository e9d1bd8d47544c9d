//! What the writer wrote: how much at a time, how fast, and what went wrong.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::made::{Maker, SECONDS};
use crate::writer::Fault;

/// From one entry to a full batch.
const ENTRIES: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0];

/// From one small entry to a full batch.
const BYTES: [f64; 8] = [1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 4e6, 16e6];

/// See the module.
#[derive(Debug)]
pub struct Writing {
    seconds: Histogram,
    batch_entries: Histogram,
    batch_bytes: Histogram,
    entries: IntCounter,
    faults: IntCounterVec,
    /// Entries about reads that are in the log now.
    reads: IntCounter,
}

impl Writing {
    pub(super) fn new(maker: &Maker) -> Self {
        let faults = maker.counters(
            "audit_append_faults_total",
            "Calls of append() that failed, by what it was; a `lost` one was settled or told as outcome_unknown. \
             docs/runbooks/commit-time.md.",
            &["fault"],
        );
        for fault in Fault::ALL {
            faults.with_label_values(&[fault.as_str()]);
        }
        Self {
            seconds: maker.histogram(
                "audit_append_seconds",
                "Time of a call of append() with its COMMIT. When it grows, PostgreSQL's disk is slow or a head is held.",
                &SECONDS,
            ),
            batch_entries: maker.histogram(
                "audit_append_batch_entries",
                "Entries in a call of append(). Near 1,000: one replica writes as much as it can.",
                &ENTRIES,
            ),
            batch_bytes: maker.histogram(
                "audit_append_batch_bytes",
                "Bytes of the entries in a call of append().",
                &BYTES,
            ),
            entries: maker.counter(
                "audit_appended_entries_total",
                "Entries committed by this replica, its own included.",
            ),
            faults,
            reads: maker.counter(
                "audit_reads_recorded_total",
                "Entries log.read about who has read what, committed by this replica.",
            ),
        }
    }

    /// Counts a call that was made, however it ended.
    pub fn called(&self, entries: usize, bytes: usize, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        self.batch_entries.observe(float(entries));
        self.batch_bytes.observe(float(bytes));
    }

    /// Counts entries that are committed.
    pub fn committed(&self, entries: usize) {
        self.entries.inc_by(entries as u64);
    }

    /// Counts a call that failed.
    pub(crate) fn failed(&self, fault: Fault) {
        self.faults.with_label_values(&[fault.as_str()]).inc();
    }

    /// Counts an entry about reads.
    pub fn read_recorded(&self) {
        self.reads.inc();
    }
}

fn float(number: usize) -> f64 {
    super::made::float(super::made::signed(number))
}
