//! What one invocation has to bring into the index, and whose message each part is.

use std::collections::{BTreeSet, HashMap};

use aws_lambda_events::sqs::SqsMessage;
use domain::{InvalidMessage, LogOwner, QueuedEntry, TenantId, read_message};
use search::{Document, Outcome};
use tracing::{error, warn};

/// Entries of the batch that are not in the index yet.
pub(crate) struct Load<'e> {
    parts: Vec<Part<'e>>,
    owners: HashMap<TenantId, LogOwner>,
    /// Messages that go back, by their places in the batch.
    failed: BTreeSet<usize>,
    pub(crate) counts: Counts,
}

/// One entry and its document.
struct Part<'e> {
    message: usize,
    entry: QueuedEntry<'e>,
    document: Document,
    is_stub: bool,
}

/// What became of the entries.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) created: usize,
    pub(crate) already_there: usize,
    pub(crate) stubs: usize,
}

impl<'e> Load<'e> {
    /// Reads the messages. One that cannot be read goes back: it may be for a newer program.
    pub(crate) fn read(messages: &'e [SqsMessage]) -> Self {
        let mut load = Self {
            parts: Vec::new(),
            owners: HashMap::new(),
            failed: BTreeSet::new(),
            counts: Counts::default(),
        };
        for (at, message) in messages.iter().enumerate() {
            let body = message.body.as_deref().unwrap_or_default();
            match read_message(body) {
                Ok(entries) => load.add(at, entries),
                Err(invalid) => {
                    say_invalid(message, &invalid);
                    load.failed.insert(at);
                }
            }
        }
        load
    }

    fn add(&mut self, message: usize, entries: Vec<QueuedEntry<'e>>) {
        for entry in entries {
            let tenant_id = entry.tenant_id();
            let owner = self.owners.entry(tenant_id).or_insert_with(|| LogOwner::of(tenant_id));
            let document = Document::of(&entry.as_stored(), owner);
            self.parts.push(Part { message, entry, document, is_stub: false });
        }
    }

    /// How many entries are left.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Takes the next documents, no more than so many and so many bytes, but one in any case.
    pub(crate) fn take_piece(&mut self, len_max: usize, bytes_max: usize) -> Piece<'e> {
        let mut bytes = 0;
        let fitting = self.parts.iter().take(len_max).take_while(|part| {
            bytes += part.document.bytes();
            bytes <= bytes_max
        });
        let len = fitting.count().max(1).min(self.parts.len());
        Piece { parts: self.parts.drain(..len).collect() }
    }

    /// Puts back what is not in the index yet. Whether some of it has to wait.
    pub(crate) fn settle(&mut self, piece: Piece<'e>, outcomes: Vec<Outcome>) -> bool {
        let mut has_to_wait = false;
        for (mut part, outcome) in piece.parts.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Created if part.is_stub => self.counts.stubs += 1,
                Outcome::Created => self.counts.created += 1,
                Outcome::AlreadyThere => self.counts.already_there += 1,
                Outcome::Later { .. } => {
                    has_to_wait = true;
                    self.parts.push(part);
                }
                Outcome::Refused { status, reason } if part.is_stub => {
                    error!(entry.id = %part.entry.id(), status, reason, "a stub was refused");
                    self.failed.insert(part.message);
                }
                Outcome::Refused { status, reason } => {
                    warn!(entry.id = %part.entry.id(), status, reason, "indexed by its plain fields only");
                    self.make_stub(&mut part, &reason);
                    self.parts.push(part);
                }
            }
        }
        has_to_wait
    }

    fn make_stub(&self, part: &mut Part<'e>, reason: &str) {
        if let Some(owner) = self.owners.get(&part.entry.tenant_id()) {
            part.document = Document::stub(&part.entry.as_stored(), owner, reason);
            part.is_stub = true;
        }
    }

    /// All of a piece is still to be done.
    pub(crate) fn put_back(&mut self, piece: Piece<'e>) {
        self.parts.extend(piece.parts);
    }

    /// All of a piece goes back to the queue.
    pub(crate) fn give_up(&mut self, piece: &Piece<'e>) {
        self.failed.extend(piece.parts.iter().map(|part| part.message));
    }

    /// The messages that go back, in their order: those that failed, and those with entries left.
    pub(crate) fn finish(mut self) -> BTreeSet<usize> {
        self.failed.extend(self.parts.iter().map(|part| part.message));
        self.failed
    }
}

/// Documents of one request.
pub(crate) struct Piece<'e> {
    parts: Vec<Part<'e>>,
}

impl Piece<'_> {
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(crate) fn documents(&self) -> Vec<Document> {
        self.parts.iter().map(|part| part.document.clone()).collect()
    }
}

fn say_invalid(message: &SqsMessage, invalid: &InvalidMessage) {
    let id = message.message_id.as_deref().unwrap_or_default();
    error!(message.id = id, error = %invalid, "a message cannot be indexed");
}
