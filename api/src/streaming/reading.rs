//! The log read for one stream, at its own pace: where it begins, and when the ring of the newest
//! entries does not reach back to where it stands.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use domain::{Place, TenantId};
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use super::Streams;
use super::course::{Course, Wanted};
use super::feed::Feed;
use super::frames::{Framer, Gap};
use crate::store::Store;
use crate::store::bounds::Bounds;
use crate::store::range::Lost;
use crate::store::streaming::{self, After};

/// Frames that one stream reads at a time, in KiB, unless a single one is larger.
const READ_KIB: u32 = 256;

/// Entries that one piece gives.
const ENTRIES_MAX: i64 = 256;

/// What comes next in the log.
#[derive(Debug)]
pub(super) struct Read {
    /// What the client gets, and where it stands then.
    pub(super) frames: Vec<(Place, Utf8Bytes)>,
    /// How far the log was looked at.
    pub(super) to: After,
    /// In which epoch of the feed the place was found in the log.
    pub(super) epoch: u64,
    /// The log's bounds.
    pub(super) bounds: Bounds,
    /// Given back when all is sent.
    _memory: Option<OwnedSemaphorePermit>,
}

/// A piece of the log, or a gap that was found before it.
#[derive(Debug)]
pub(super) enum Found {
    Read(Read),
    Gap(Gap),
}

impl Streams {
    /// Reads what comes after where a stream stands.
    pub(super) async fn read_on(
        &self,
        store: &Store,
        feed: &Feed,
        course: &mut Course,
    ) -> sqlx::Result<Found> {
        let memory = Arc::clone(&self.0.read_kib).acquire_many_owned(READ_KIB).await.ok();
        let _turn = self.turn().await;
        // Before the look into the log: what changes then is seen the next time.
        let epoch = feed.epoch();
        let (tenant_id, after) = (feed.tenant_id, course.after());
        let (wanted, made_by) = (&course.wanted, &feed.framer);
        let reading = store.read_past_turns(tenant_id, async |db| {
            let mut taking = Taking { wanted, framer: made_by, frames: Vec::new(), bytes: 0 };
            let filter = &wanted.selection.filter;
            let read = streaming::read(db, tenant_id, filter, after, ENTRIES_MAX, |entry| {
                taking.take(entry)
            });
            Ok((read.await?, taking.frames))
        });
        let (read, frames) = reading.await?;
        match read {
            Ok(piece) => {
                let (to, bounds) = (piece.to, piece.bounds);
                Ok(Found::Read(Read { frames, to, epoch, bounds, _memory: memory }))
            }
            Err(lost) => lose(store, tenant_id, course, lost).await.map(|(gap, _)| Found::Gap(gap)),
        }
    }

    /// Whether others wait for memory that slow readers hold.
    pub(super) fn is_short_of_memory(&self) -> bool {
        self.0.read_kib.available_permits() < READ_KIB as usize
    }

    /// Waits for a turn to read from the database.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.0.readers.acquire().await.ok()
    }

    /// Where a stream begins: at its cursor, or else behind the head.
    pub async fn begin(
        &self,
        store: &Store,
        tenant_id: TenantId,
        cursor: Option<After>,
    ) -> sqlx::Result<Beginning> {
        let _turn = self.turn().await;
        let Some(after) = cursor else {
            let bounds = store.read_past_turns(tenant_id, async |db| {
                crate::store::bounds::get(db, tenant_id).await
            });
            let bounds = bounds.await?;
            return Ok(Beginning { after: bounds.head, lost: None, bounds });
        };
        let looking = store
            .read_past_turns(tenant_id, async |db| streaming::look(db, tenant_id, after).await);
        match looking.await? {
            Ok(bounds) => Ok(Beginning { after, lost: None, bounds }),
            Err(lost) => {
                let mut course = Course::new(after, 0, Wanted::default());
                let (gap, bounds) = lose(store, tenant_id, &mut course, lost).await?;
                let lost = Some(LostPlace { place: after, gap });
                Ok(Beginning { after: course.after(), lost, bounds })
            }
        }
    }
}

/// Where a stream begins.
#[derive(Debug)]
pub struct Beginning {
    /// Behind this place.
    pub after: After,
    /// Its cursor, where that does not stand any more.
    pub lost: Option<LostPlace>,
    /// The log's bounds.
    pub bounds: Bounds,
}

/// A place that cannot be gone on from.
#[derive(Debug)]
pub struct LostPlace {
    /// Where the client stands.
    pub(super) place: After,
    /// What is not delivered between it and where the stream begins.
    pub(super) gap: Gap,
}

/// Goes on behind what was lost.
async fn lose(
    store: &Store,
    tenant_id: TenantId,
    course: &mut Course,
    lost: Lost,
) -> sqlx::Result<(Gap, Bounds)> {
    let look = |undone: Option<Place>| async move {
        store
            .read_past_turns(tenant_id, async |db| match undone {
                Some(undone) => streaming::before_restore(db, tenant_id, undone).await,
                None => crate::store::bounds::get(db, tenant_id).await.map(|bounds| (None, bounds)),
            })
            .await
    };
    match (lost, course.after()) {
        (Lost::Expired { oldest }, _) => {
            let gap = course.expire(oldest);
            Ok((gap, look(None).await?.1))
        }
        (Lost::HistoryChanged, Some(undone)) => {
            let (to, bounds) = look(Some(undone)).await?;
            Ok((course.undo(to), bounds))
        }
        (lost, _) => Err(sqlx::Error::Protocol(format!("a log's beginning is lost: {lost:?}"))),
    }
}

/// Frames of the entries that a stream wants, up to what it reads at a time.
struct Taking<'a> {
    wanted: &'a Wanted,
    framer: &'a Framer,
    frames: Vec<(Place, Utf8Bytes)>,
    bytes: usize,
}

impl Taking<'_> {
    fn take(&mut self, entry: &domain::StoredEntry<'_>) -> ControlFlow<()> {
        if self.bytes >= (READ_KIB as usize) << 10 {
            return ControlFlow::Break(());
        }
        if self.wanted.takes_filtered(entry) {
            let frame = self.framer.log(entry);
            self.bytes += frame.len();
            self.frames.push((entry.place, frame));
        }
        ControlFlow::Continue(())
    }
}
