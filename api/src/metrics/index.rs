//! What the repair found when it counted the index against the logs. Only the replica that holds
//! its lock knows; the others leave these out.

use prometheus::IntCounter;

use super::made::{Known, Maker, float};

/// See the module.
#[derive(Debug)]
pub struct Index {
    compared: Known,
    lacking: Known,
    surplus: Known,
    mended: IntCounter,
    deleted: IntCounter,
}

/// What a round of the repair saw, over all logs that it looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Ranges of logs that were counted.
    pub compared: i64,
    /// Entries that must have arrived by now and had not.
    pub lacking: i64,
    /// Documents that should not be there.
    pub surplus: i64,
}

impl Seen {
    /// A range of a log, and how many documents of it there are.
    pub fn note(&mut self, (first_seq, last_seq): (i64, i64), documents: u64) {
        let entries = (last_seq - first_seq + 1).max(0);
        let surplus = i64::try_from(documents).unwrap_or(i64::MAX) - entries;
        self.compared += 1;
        self.lacking += (-surplus).max(0);
        self.surplus += surplus.max(0);
    }
}

impl Index {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            compared: maker.known(
                "audit_index_compared_logs",
                "Logs that the last round of the repair counted in the index: those that grew, hourly all. \
                 Told by the replica that repairs.",
            ),
            lacking: maker.known(
                "audit_index_lacking_entries",
                "Entries minus documents, of what must have arrived, in the logs of the last round; they are sent \
                 again by themselves. For long above 0: docs/runbooks/index-incomplete.md.",
            ),
            surplus: maker.known(
                "audit_index_surplus_documents",
                "Documents minus entries in the logs of the last round; they are deleted by themselves.",
            ),
            mended: maker.counter(
                "audit_index_mended_entries_total",
                "Entries that the repair has sent again. Rising for long: something keeps losing them.",
            ),
            deleted: maker.counter(
                "audit_index_deleted_documents_total",
                "Documents that the repair has deleted: foreign ones and those of expired entries.",
            ),
        }
    }

    /// What a round saw; `None` when another replica repairs.
    pub fn seen(&self, seen: Option<Seen>) {
        self.compared.set(seen.map(|seen| float(seen.compared)));
        self.lacking.set(seen.map(|seen| float(seen.lacking)));
        self.surplus.set(seen.map(|seen| float(seen.surplus)));
    }

    /// Counts what a round did.
    pub fn mended(&self, entries: u64, deleted: u64) {
        self.mended.inc_by(entries);
        self.deleted.inc_by(deleted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_in_one_log_is_not_made_good_by_another() {
        let mut seen = Seen::default();
        seen.note((1, 10), 10);
        seen.note((5, 8), 1);
        seen.note((1, 2), 4);
        // A range of nothing.
        seen.note((3, 2), 0);
        assert_eq!(seen, Seen { compared: 4, lacking: 3, surplus: 2 });
    }
}
