//! What clients have sent, and what they were told of it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use serde_json::Value;
use uuid::Uuid;

use super::stage::TENANTS;

/// A request with a key, and its first answer.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) tenant: usize,
    pub(super) path: &'static str,
    pub(super) key: String,
    pub(super) body: Value,
    pub(super) answer: Value,
}

/// Markers stand in one entry each.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) sent: HashSet<String>,
    /// Acknowledged, by id: whose it is, and its marker.
    pub(super) acknowledged: HashMap<Uuid, (usize, String)>,
    /// Sent once, and the answer said that nothing was written.
    pub(super) denied: HashSet<String>,
    pub(super) kept: Vec<Kept>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    book: Mutex<Book>,
    heads: [AtomicI64; TENANTS],
    pub(super) requests: AtomicUsize,
}

impl Ledger {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// An answer said that this entry is stored; once more is no surprise.
    pub(super) fn acknowledge(&self, tenant: usize, id: &Value, marker: &str) {
        let id: Uuid = id.as_str().and_then(|id| id.parse().ok()).expect("an answer names ids");
        let entry = (tenant, marker.to_owned());
        let before = self.book().acknowledged.insert(id, entry.clone());
        assert!(
            before.is_none() || before == Some(entry),
            "{id} was given to {before:?} and to {marker}"
        );
    }

    /// An answer said that the log reaches at least to here.
    pub(super) fn reached(&self, tenant: usize, seq: &Value) {
        let seq = seq.as_i64().expect("an answer names numbers");
        self.heads[tenant].fetch_max(seq, Ordering::SeqCst);
    }

    /// The last number that was acknowledged by now.
    pub(super) fn head(&self, tenant: usize) -> i64 {
        self.heads[tenant].load(Ordering::SeqCst)
    }
}
