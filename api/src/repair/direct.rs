//! Entries written into the index without a queue: where there is none, and for commands.

use std::ops::ControlFlow;
use std::time::Duration;

use domain::{LogOwner, Place, StoredEntry, TenantId};
use search::{Document, Fault, Index, IndexName, Outcome};
use tokio::time::sleep;

use super::RepairError;
use super::bisect::Range;
use super::log_side::Entries;
use super::mender::Resend;
use super::watch::Backlog;
use crate::store::Store;
use crate::store::indexing::Log;

/// Bytes of documents that are sent at once, one document more or less.
const BULK_BYTES_MAX: usize = 5 << 20;

/// Documents that are sent at once.
const BULK_LEN_MAX: usize = 5_000;

/// How long OpenSearch may take for them.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Tries of documents that OpenSearch had no time for.
const TRIES_MAX: u32 = 5;

/// How long the second try waits; each further one twice as long.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Where documents go.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// To the index of their month.
    Months,
    /// Into this one, whatever aliases it has.
    Index(&'a IndexName),
}

/// The way from the log to the index that has no queue in between.
#[derive(Debug, Clone)]
pub struct Direct {
    /// The logs.
    pub store: Store,
    /// The index.
    pub index: Index,
}

impl Resend for Direct {
    async fn resend(&self, tenant_id: TenantId, range: Range) -> Result<i64, RepairError> {
        self.write(tenant_id, range, Target::Months, |_| ()).await
    }

    async fn backlog(&self) -> Backlog {
        Backlog::NONE
    }

    fn sent_seq(&self, _log: &Log) -> Option<i64> {
        None
    }
}

impl Direct {
    /// Writes all entries of a range over what is there. Returns how many; `passed` hears of them
    /// while it goes on.
    pub async fn write(
        &self,
        tenant_id: TenantId,
        range: Range,
        target: Target<'_>,
        mut passed: impl FnMut(u64),
    ) -> Result<i64, RepairError> {
        let owner = LogOwner::of(tenant_id);
        let mut entries = Entries::new(&self.store, tenant_id, range);
        let mut written = 0;
        loop {
            let mut batch = Batch::default();
            let more = entries.next(|entry| batch.take(entry, &owner)).await?;
            let len = batch.documents.len();
            for (place, reason) in self.send(batch.documents, target).await? {
                let stub = self.stub(tenant_id, place, &reason).await?;
                if let Some((_, reason)) = self.send(stub, target).await?.pop() {
                    return Err(refused(reason));
                }
            }
            written += i64::try_from(len).unwrap_or(i64::MAX);
            passed(len as u64);
            if !more {
                return Ok(written);
            }
        }
    }

    /// Sends documents until each is there or refused. Gives those that were, and why.
    async fn send(
        &self,
        mut documents: Vec<Document>,
        target: Target<'_>,
    ) -> Result<Vec<(Place, String)>, RepairError> {
        let mut refused = Vec::new();
        let mut trouble = Fault::TimedOut;
        for tried in 0..TRIES_MAX {
            if documents.is_empty() {
                return Ok(refused);
            }
            if tried > 0 {
                sleep(TRY_AGAIN_AFTER * (1 << (tried - 1))).await;
            }
            let outcomes = match self.bulk(&documents, target).await {
                Ok(outcomes) => outcomes,
                Err(fault) if fault.is_passing() => {
                    trouble = fault;
                    continue;
                }
                Err(fault) => return Err(fault.into()),
            };
            let mut left = Vec::new();
            for (document, outcome) in documents.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Created | Outcome::AlreadyThere => {}
                    Outcome::Refused { reason, .. } => refused.push((document.place(), reason)),
                    Outcome::Later { status, reason } => {
                        trouble = Fault::Unavailable { status, reason };
                        left.push(document);
                    }
                }
            }
            documents = left;
        }
        if documents.is_empty() { Ok(refused) } else { Err(trouble.into()) }
    }

    async fn bulk(&self, documents: &[Document], to: Target<'_>) -> Result<Vec<Outcome>, Fault> {
        match to {
            Target::Months => self.index.rewrite(documents, TIMEOUT).await,
            Target::Index(name) => self.index.bulk_into(name, documents, TIMEOUT).await,
        }
    }

    /// What stands in for a document that was refused.
    async fn stub(
        &self,
        tenant_id: TenantId,
        place: Place,
        reason: &str,
    ) -> Result<Vec<Document>, RepairError> {
        let (owner, seq) = (LogOwner::of(tenant_id), place.seq.get());
        let mut stub = Vec::new();
        let mut entries = Entries::new(&self.store, tenant_id, (seq, seq));
        entries
            .next(|entry| {
                stub.push(Document::stub(entry, &owner, reason));
                ControlFlow::Continue(())
            })
            .await?;
        Ok(stub)
    }
}

fn refused(reason: String) -> RepairError {
    RepairError::Index(Fault::Refused { status: 400, reason })
}

/// Documents to be sent together.
#[derive(Debug, Default)]
struct Batch {
    documents: Vec<Document>,
    bytes: usize,
}

impl Batch {
    fn take(&mut self, entry: &StoredEntry<'_>, owner: &LogOwner) -> ControlFlow<()> {
        if self.bytes >= BULK_BYTES_MAX || self.documents.len() >= BULK_LEN_MAX {
            return ControlFlow::Break(());
        }
        let document = Document::of(entry, owner);
        self.bytes += document.bytes();
        self.documents.push(document);
        ControlFlow::Continue(())
    }
}
