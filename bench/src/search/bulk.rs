//! The bare `_bulk`: documents that are ready made, by the least HTTP, two requests in flight.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use api::store::{Store, relay};
use domain::{LogOwner, MessageWriter, TenantId, write_queued};
use memchr::memmem;
use search::{Document, Index, Month, Shape};
use tokio::task::JoinSet;

use super::log::Logs;
use super::opensearch::OpenSearch;
use super::parts::Parts;
use crate::cpu::{Meter, timed};
use crate::http::Connection;
use crate::load::Sample;

/// Documents are made and kept in blocks of about this size.
const BLOCK_BYTES: usize = 1 << 20;

/// Blocks of a request that are tried.
const PIECES: [usize; 4] = [1, 2, 4, 8];

/// Requests at the same time.
const IN_FLIGHT: usize = 2;

/// One part in so many is what a size of pieces is tried with.
const TRIED: usize = 10;

/// Entries of one statement while documents are made.
const READ_ENTRIES: i64 = 5_000;

/// A message as the relay fills it, for whoever sends such.
const MESSAGE_BYTES: usize = 24 << 10;

/// How long all of them may take to be found.
const COUNT_TIMEOUT: Duration = Duration::from_mins(30);

/// The documents of all logs, for the indices of one prefix.
#[derive(Debug)]
pub(super) struct Documents {
    blocks: Vec<Vec<u8>>,
    pub(super) entries: i64,
    months: BTreeSet<Month>,
    /// What the same entries have in messages.
    pub(super) queued_bytes: u64,
    /// One such message, and how many entries it has.
    pub(super) message: (String, usize),
}

impl Documents {
    /// Reads the logs.
    pub(super) async fn make(store: &Store, logs: &Logs, index: &Index) -> anyhow::Result<Self> {
        let mut maker = Maker::new(index);
        for tenant_id in &logs.tenants {
            maker.read(store, *tenant_id).await?;
        }
        maker.finish()
    }

    /// Sends a part of them, or all, with the indices made anew, and waits until all can be found.
    pub(super) async fn send(
        self: &Arc<Self>,
        parts: &Parts,
        index: &Index,
        (part, of): (usize, usize),
        blocks_each: usize,
    ) -> anyhow::Result<()> {
        let blocks = self.blocks.len().div_ceil(of) * part;
        let next = Arc::new(AtomicUsize::new(0));
        let mut sending = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let connection = Connection::open(parts.search_address()?).await?;
            let (documents, next) = (Arc::clone(self), Arc::clone(&next));
            sending.spawn(send_pieces(documents, connection, next, blocks, blocks_each));
        }
        while let Some(done) = sending.join_next().await {
            done??;
        }
        if part == of {
            let mut look = OpenSearch::connect(parts.search_address()?, &index.searched()).await?;
            look.until_counted(self.entries, COUNT_TIMEOUT).await?;
        }
        Ok(())
    }

    /// The size of pieces that is fastest with a part of the documents.
    pub(super) async fn best_piece(
        self: &Arc<Self>,
        parts: &Parts,
        index: &Index,
    ) -> anyhow::Result<usize> {
        let mut tried = Vec::new();
        for blocks_each in PIECES {
            self.renew(index).await?;
            let sending = self.send(parts, index, (1, TRIED), blocks_each);
            let ((), elapsed, _) = timed(Meter::default(), sending).await?;
            eprintln!("bare _bulk by {blocks_each} MiB: {:.1} s", elapsed.as_secs_f64());
            tried.push((elapsed, blocks_each));
        }
        let best = tried.into_iter().min().context("no size of pieces")?;
        Ok(best.1)
    }

    /// All of them into new indices, measured.
    pub(super) async fn measure(
        self: &Arc<Self>,
        parts: &Parts,
        index: &Index,
        blocks_each: usize,
        meter: Meter,
    ) -> anyhow::Result<Sample> {
        self.renew(index).await?;
        let sending = self.send(parts, index, (1, 1), blocks_each);
        let ((), elapsed, cpu) = timed(meter, sending).await?;
        Ok(Sample { p50_ms: None, ..Sample::once(self.entries, (elapsed, cpu)) })
    }

    /// Empty indices for all months.
    pub(super) async fn renew(&self, index: &Index) -> anyhow::Result<()> {
        remove_all(index).await?;
        for month in &self.months {
            index.make_month(*month).await?;
        }
        Ok(())
    }
}

/// Nothing of a prefix is left but its template.
pub(super) async fn remove_all(index: &Index) -> anyhow::Result<()> {
    for state in index.indices().await? {
        index.delete_index(&state.name).await?;
    }
    index.set_up(Shape::default()).await?;
    Ok(())
}

async fn send_pieces(
    documents: Arc<Documents>,
    mut connection: Connection,
    next: Arc<AtomicUsize>,
    blocks: usize,
    blocks_each: usize,
) -> anyhow::Result<()> {
    loop {
        let from = next.fetch_add(blocks_each, Ordering::Relaxed);
        if from >= blocks {
            return Ok(());
        }
        let piece =
            &documents.blocks[from..blocks.min(from + blocks_each).min(documents.blocks.len())];
        let len: usize = piece.iter().map(Vec::len).sum();
        let head = format!(
            "POST /_bulk?filter_path=errors HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/x-ndjson\r\nContent-Length: {len}\r\n\r\n"
        );
        let mut request = vec![head.as_bytes()];
        request.extend(piece.iter().map(Vec::as_slice));
        let status = connection.exchange_parts(&request).await?;
        let is_done =
            status == 200 && memmem::find(connection.body(), b"\"errors\":false").is_some();
        ensure!(is_done, "a bare _bulk failed:\n{}", connection.shown());
    }
}

struct Maker<'i> {
    index: &'i Index,
    made: Documents,
    block: Vec<u8>,
    queued: Vec<u8>,
    message: Option<MessageWriter>,
}

impl<'i> Maker<'i> {
    fn new(index: &'i Index) -> Self {
        let made = Documents {
            blocks: Vec::new(),
            entries: 0,
            months: BTreeSet::new(),
            queued_bytes: 0,
            message: (String::new(), 0),
        };
        let message = Some(MessageWriter::new());
        Self { index, made, block: Vec::new(), queued: Vec::new(), message }
    }

    async fn read(&mut self, store: &Store, tenant_id: TenantId) -> anyhow::Result<()> {
        let owner = LogOwner::of(tenant_id);
        let mut next_seq = 1;
        loop {
            let mut documents = Vec::new();
            let range = (next_seq, i64::MAX);
            relay::read_range(store, tenant_id, range, READ_ENTRIES, |entry| {
                documents.push(Document::of(entry, &owner));
                self.queued.clear();
                write_queued(entry, &owner, &mut self.queued);
                self.note_queued();
                ControlFlow::Continue(())
            })
            .await?;
            let Some(last) = documents.last() else { return Ok(()) };
            next_seq = last.place().seq.get() + 1;
            self.add(&documents);
        }
    }

    fn add(&mut self, documents: &[Document]) {
        self.made.entries += documents.len() as i64;
        for document in documents {
            self.made.months.insert(document.month());
            self.block.extend(self.index.bulk_lines(std::slice::from_ref(document)));
            if self.block.len() >= BLOCK_BYTES {
                self.made.blocks.push(std::mem::take(&mut self.block));
            }
        }
    }

    fn note_queued(&mut self) {
        self.made.queued_bytes += self.queued.len() as u64 + 1;
        let Some(mut message) = self.message.take() else { return };
        if message.bytes_with(self.queued.len()) <= MESSAGE_BYTES {
            message.push(&self.queued);
            self.message = Some(message);
        } else {
            let entries = message.entries();
            self.made.message = (message.finish().unwrap_or_default(), entries);
        }
    }

    fn finish(mut self) -> anyhow::Result<Documents> {
        if !self.block.is_empty() {
            self.made.blocks.push(self.block);
        }
        ensure!(!self.made.message.0.is_empty(), "too few entries to fill a message");
        Ok(self.made)
    }
}
