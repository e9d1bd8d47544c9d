//! The way from the log to the index through the queue.

use std::sync::Arc;

use domain::TenantId;

use super::RepairError;
use super::bisect::Range;
use super::mender::Resend;
use super::watch::Backlog;
use crate::queue::EntryQueue;
use crate::relay::{self, ResendError};
use crate::store::Store;
use crate::store::indexing::Log;

/// See the module.
#[derive(Debug)]
pub struct Queued<Q> {
    /// The logs.
    pub store: Store,
    /// The queue.
    pub queue: Arc<Q>,
    /// What one send holds at most.
    pub send_bytes_max: usize,
}

impl<Q: EntryQueue> Resend for Queued<Q> {
    async fn resend(&self, tenant_id: TenantId, range: Range) -> Result<i64, RepairError> {
        relay::resend(&self.store, &self.queue, self.send_bytes_max, tenant_id, range)
            .await
            .map_err(|error| match error {
                ResendError::Queue(trouble) => RepairError::Queue(trouble),
                ResendError::Database(error) => RepairError::Store(error),
            })
    }

    async fn backlog(&self) -> Backlog {
        match self.queue.backlog().await {
            Ok((waiting, taken)) => Backlog::Known { waiting, taken },
            // Whoever may send need not be allowed to ask.
            Err(_) => Backlog::Unknown,
        }
    }

    fn sent_seq(&self, log: &Log) -> Option<i64> {
        Some(log.relayed_seq)
    }
}
