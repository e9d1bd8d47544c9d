//! Exports: all of a log, or what a filter takes of it, as one stream of any length.
//!
//! The past does not change, so there is no snapshot: the range is read as a chain of short
//! statements, each to its end before anything of it is sent. A slow reader holds no statement
//! open, and no more than two chunks in memory.

mod digest;
pub mod encoding;
mod pace;
pub mod slots;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use domain::{
    Action, CallerDefaults, JsonText, LogOwner, NewEntry, Order, ResourceId, Selection,
    StoredEntry, TenantId,
};
use http_body::Frame;
use http_body_util::StreamBody;
use serde::Serialize;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{info, warn};
use uuid::Uuid;

use self::digest::Digest;
use self::encoding::{Encoder, Format, Totals};
use self::pace::Pace;
use self::slots::Slot;
use crate::app::App;
use crate::error::ApiError;
use crate::own;
use crate::store::bounds;
use crate::store::range::Range;
use crate::store::walk::{Allowance, Step, Walk};

/// Entries that one statement looks at.
const LOOKED_AT_MAX: i64 = 50_000;

/// What a chunk never has more than, but for a single entry.
const CHUNK_BYTES_MAX: usize = pace::BYTES_MAX + (1 << 20);

/// Entries of the first statement, before their size is known.
const FIRST_ROWS: i64 = 256;

/// Entries of a statement of which a query takes some.
const MATCHED_ROWS: i64 = 2_048;

/// How long a reader may take for a chunk before it is taken for gone.
const STALLED: Duration = Duration::from_mins(1);

/// How long ago a chunk is sent that a filter has not filled: a reader must see that we live.
const CHUNK_TIME: Duration = Duration::from_secs(1);

const EXPORT_BEGUN: Action = Action::from_static("export.begun");
const EXPORT_COMPLETED: Action = Action::from_static("export.completed");

/// The trailers of an export, for who asks for them; the names of [`Totals`] with a prefix.
pub const TRAILERS: [HeaderName; 4] = [
    HeaderName::from_static("x-export-rows"),
    HeaderName::from_static("x-export-first-seq"),
    HeaderName::from_static("x-export-last-seq"),
    HeaderName::from_static("x-export-sha256"),
];

/// An export that was let in and has not begun.
#[derive(Debug)]
pub struct Export {
    /// Names it in headers and in the log.
    pub id: Uuid,
    /// Whose log.
    pub tenant_id: TenantId,
    /// Who asked for it.
    pub by: CallerDefaults,
    /// Which entries.
    pub selection: Selection,
    /// Of which part of the log.
    pub range: Range,
    /// As what.
    pub format: Format,
    /// Entries at most.
    pub entries_max: Option<i64>,
    /// Its share of what runs at a time.
    pub slot: Slot,
}

/// Why an export ended before its end. The reader sees a broken stream.
#[derive(Debug, Error)]
enum Cut {
    #[error("the reader is gone")]
    ReaderGone,
    #[error("the reader took nothing for {} s", STALLED.as_secs())]
    Stalled,
    #[error("entries of the range have expired")]
    Expired,
    #[error("the service is stopping")]
    Stopping,
    #[error("the end could not be recorded")]
    Unrecorded,
    #[error("the hash could not be made: {0}")]
    Hash(#[from] tokio::task::JoinError),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

type Chunks = mpsc::Sender<Result<Frame<Bytes>, Cut>>;

/// What the log says of an export's beginning.
#[derive(Serialize)]
struct Begun<'a> {
    format: &'static str,
    filter: &'a Selection,
    first_seq: i64,
    last_seq: i64,
}

impl Export {
    /// Records that it begins, and starts it; with trailers at its end if they are wanted.
    pub async fn start(self, app: App, trailers: bool) -> Result<Body, ApiError> {
        let begun = Begun {
            format: self.format.as_str(),
            filter: &self.selection,
            first_seq: self.range.first.seq,
            last_seq: self.range.last.seq,
        };
        let metadata = JsonText::of(&begun).map_err(ApiError::internal)?;
        own::record(&app, self.tenant_id, self.entry(EXPORT_BEGUN, metadata)).await?;
        // One chunk waits to be taken while the next is made.
        let (chunks, mut taken) = mpsc::channel(1);
        tokio::spawn(self.run(app, chunks, trailers));
        let stream = futures_util::stream::poll_fn(move |context| taken.poll_recv(context));
        Ok(Body::new(StreamBody::new(stream)))
    }

    fn entry(&self, action: Action, metadata: JsonText) -> NewEntry {
        NewEntry {
            resource_id: ResourceId::parse(self.id.to_string()).ok(),
            metadata: Some(metadata),
            ..NewEntry::own(&self.by, action)
        }
    }

    async fn run(self, app: App, chunks: Chunks, trailers: bool) {
        let begun = Instant::now();
        let ran = self.send_all(&app, &chunks, trailers).await;
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (export, tenant) = (self.id, self.tenant_id);
        match ran {
            Ok(rows) => {
                info!(export.id = %export, tenant.id = %tenant, rows, duration_ms, "exported");
            }
            Err(cut) => {
                warn!(export.id = %export, tenant.id = %tenant, error = %cut, duration_ms, "export cut");
                // The body ends in an error, so that nobody takes it for whole.
                let _ = chunks.send(Err(cut)).await;
            }
        }
    }

    async fn send_all(&self, app: &App, chunks: &Chunks, trailers: bool) -> Result<u64, Cut> {
        let mut encoder = Encoder::new(self.format, LogOwner::of(self.tenant_id));
        let mut walk = Walk::new(self.tenant_id, &self.selection.filter, Order::Asc, &self.range);
        let (mut pace, mut digest) = (Pace::default(), Digest::default());
        while !walk.is_done() && self.rows_left(&encoder) > 0 {
            // First the room, then the chunk: two in memory, never three.
            let waiting = Instant::now();
            let room = room(chunks).await?;
            pace.adapt(waiting.elapsed());
            self.fill(app, chunks, &mut walk, &mut encoder, pace).await?;
            let chunk = Bytes::from(encoder.take());
            digest.add(chunk.clone()).await?;
            room.send(Ok(Frame::data(chunk)));
        }
        let room = room(chunks).await?;
        let last = Bytes::from(encoder.end());
        digest.add(last.clone()).await?;
        let totals = Totals {
            rows: encoder.rows(),
            first_seq: self.range.first.seq,
            // Up to here was looked at: all of the range, or what `max_entries` let through.
            last_seq: walk.next_seq() - 1,
            sha256: digest.finish().await?,
        };
        let end = totals.end_record(self.format);
        room.send(Ok(Frame::data([last, end.into()].concat().into())));
        // Room again: the last byte was taken.
        let room = self::room(chunks).await?;
        self.record_end(app, &totals).await?;
        if trailers {
            room.send(Ok(Frame::trailers(as_headers(&totals))));
        }
        Ok(totals.rows)
    }

    /// Reads until the chunk is full, or time is up and there is something in it.
    async fn fill(
        &self,
        app: &App,
        chunks: &Chunks,
        walk: &mut Walk<'_>,
        encoder: &mut Encoder,
        pace: Pace,
    ) -> Result<(), Cut> {
        let begun = Instant::now();
        while !walk.is_done()
            && self.rows_left(encoder) > 0
            && encoder.chunk_bytes() < pace.bytes() / 2
            && (begun.elapsed() < CHUNK_TIME || encoder.chunk_bytes() == 0)
        {
            if chunks.is_closed() {
                return Err(Cut::ReaderGone);
            }
            let _reading = app.exports.reading().await.ok_or(Cut::Stopping)?;
            self.statement(app, walk, encoder, pace).await?;
        }
        Ok(())
    }

    /// One statement, and a look whether all it went over is still above the floor.
    async fn statement(
        &self,
        app: &App,
        walk: &mut Walk<'_>,
        encoder: &mut Encoder,
        pace: Pace,
    ) -> Result<(), Cut> {
        let first_seq = walk.next_seq();
        let allowance = Allowance {
            looked_at: LOOKED_AT_MAX,
            // How many of them match is not known before they are here.
            given: match self.selection.query() {
                Some(_) => MATCHED_ROWS,
                None => rows_of(encoder, pace).min(self.rows_left(encoder)),
            },
        };
        let reading = app.store.read_past_turns(self.tenant_id, async |db| {
            let take = |entry: &StoredEntry<'_>| {
                if encoder.chunk_bytes() > CHUNK_BYTES_MAX || self.rows_left(encoder) == 0 {
                    return ControlFlow::Break(());
                }
                if self.selection.query().is_none_or(|query| query.matches(entry)) {
                    encoder.add(entry);
                }
                ControlFlow::Continue(())
            };
            let step = if self.selection.filter.is_empty() {
                walk.step_by_copy(&mut *db, allowance.given, take).await?
            } else {
                walk.step(&mut *db, allowance, take).await?
            };
            Ok((step, bounds::get(&mut *db, self.tenant_id).await?.floor_seq))
        });
        match reading.await? {
            (Step::Window | Step::Full, floor_seq) if floor_seq <= first_seq => Ok(()),
            _ => Err(Cut::Expired),
        }
    }

    fn rows_left(&self, encoder: &Encoder) -> i64 {
        let rows = i64::try_from(encoder.rows()).unwrap_or(i64::MAX);
        self.entries_max.map_or(i64::MAX, |most| most - rows)
    }

    async fn record_end(&self, app: &App, totals: &Totals) -> Result<(), Cut> {
        let metadata = JsonText::of(totals).map_err(|_| Cut::Unrecorded)?;
        let recording = own::record(app, self.tenant_id, self.entry(EXPORT_COMPLETED, metadata));
        recording.await.map_err(|_| Cut::Unrecorded)
    }
}

/// Waits until the reader has taken a chunk.
async fn room(chunks: &Chunks) -> Result<mpsc::Permit<'_, Result<Frame<Bytes>, Cut>>, Cut> {
    match timeout(STALLED, chunks.reserve()).await {
        Ok(Ok(room)) => Ok(room),
        Ok(Err(_)) => Err(Cut::ReaderGone),
        Err(_) => Err(Cut::Stalled),
    }
}

/// As many entries as fill a chunk, by the mean size so far.
fn rows_of(encoder: &Encoder, pace: Pace) -> i64 {
    encoder.mean_bytes().map_or(FIRST_ROWS, |mean| {
        i64::try_from(pace.bytes() / mean.max(1)).unwrap_or(FIRST_ROWS).clamp(1, LOOKED_AT_MAX)
    })
}

fn as_headers(totals: &Totals) -> HeaderMap {
    let values = [
        totals.rows.to_string(),
        totals.first_seq.to_string(),
        totals.last_seq.to_string(),
        totals.sha256.clone(),
    ];
    let values =
        values.map(|text| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("")));
    TRAILERS.into_iter().zip(values).collect()
}
