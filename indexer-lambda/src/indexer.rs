//! One invocation: a batch of messages in, the messages that failed out.

use std::time::{Duration, Instant};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use search::{BULK_LEN_MAX, Fault, Index};
use tracing::{error, info, warn};

use crate::load::{Load, Piece};
use crate::pauses::pause;

/// Of the bytes of one request to OpenSearch, unless one document alone has more.
const PIECE_BYTES_MAX: usize = 5 << 20;

/// One request. Shorter than an invocation, so that one that hangs is tried again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the whole rest is tried.
const ROUNDS_MAX: u32 = 20;

/// Brings batches into the index; cheap to clone.
#[derive(Debug, Clone)]
pub struct Indexer {
    index: Index,
    piece_bytes_max: usize,
    request_timeout: Duration,
}

impl Indexer {
    /// Into this index.
    pub fn new(index: Index) -> Self {
        Self { index, piece_bytes_max: PIECE_BYTES_MAX, request_timeout: REQUEST_TIMEOUT }
    }

    /// With smaller requests that end earlier.
    #[must_use]
    pub fn with_requests(self, piece_bytes_max: usize, request_timeout: Duration) -> Self {
        Self { piece_bytes_max, request_timeout, ..self }
    }

    /// Brings the batch in until the deadline. The messages in the answer have entries that may not
    /// be in the index; all others are done.
    pub async fn handle(&self, event: &SqsEvent, deadline: Instant) -> SqsBatchResponse {
        let begun = Instant::now();
        let mut load = Load::read(&event.records);
        let entries = load.len();
        let rounds = self.bring(&mut load, deadline).await;
        let (created, already_there, stubs) =
            (load.counts.created, load.counts.already_there, load.counts.stubs);
        let failed = load.finish();
        info!(
            messages = event.records.len(),
            messages_failed = failed.len(),
            entries,
            created,
            already_there,
            stubs,
            rounds,
            duration_ms = begun.elapsed().as_millis(),
            "batch"
        );
        let mut response = SqsBatchResponse::default();
        for at in failed {
            // Without an id Lambda takes all of the batch for failed, which is what is left to say.
            let id = event.records.get(at).and_then(|message| message.message_id.clone());
            response.add_failure(id.unwrap_or_default());
        }
        response
    }

    /// Tries until nothing is left or the time is over; says how often.
    async fn bring(&self, load: &mut Load<'_>, deadline: Instant) -> u32 {
        let mut round = 0;
        while load.len() > 0 && round < ROUNDS_MAX {
            round += 1;
            let stubs_only = self.round(load, deadline).await;
            if load.len() == 0 || stubs_only {
                continue;
            }
            let pause = pause(round);
            if Instant::now() + pause >= deadline {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        round
    }

    /// Sends everything that is left once. Whether nothing but documents to be replaced is left.
    async fn round(&self, load: &mut Load<'_>, deadline: Instant) -> bool {
        let mut left = load.len();
        let mut is_delayed = false;
        while left > 0 {
            let timeout = deadline.saturating_duration_since(Instant::now());
            if timeout.is_zero() {
                return false;
            }
            let piece = load.take_piece(left.min(BULK_LEN_MAX), self.piece_bytes_max);
            left -= piece.len();
            is_delayed |= self.send(load, piece, timeout.min(self.request_timeout)).await;
        }
        !is_delayed
    }

    /// Sends a piece once. Whether some of it has to wait.
    async fn send<'e>(&self, load: &mut Load<'e>, piece: Piece<'e>, timeout: Duration) -> bool {
        match self.index.bulk(&piece.documents(), timeout).await {
            Ok(outcomes) => load.settle(piece, outcomes),
            Err(fault) if fault.is_passing() => {
                warn!(error = %fault, source = source(&fault), "OpenSearch did not take a request");
                load.put_back(piece);
                true
            }
            Err(fault) => {
                error!(error = %fault, "OpenSearch will not take a request");
                load.give_up(&piece);
                false
            }
        }
    }
}

/// What is behind a fault: of the connection, without anything that was sent.
fn source(fault: &Fault) -> String {
    let source = std::error::Error::source(fault);
    source.map(ToString::to_string).unwrap_or_default()
}
