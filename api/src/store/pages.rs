//! Pages of a log: bounded work each, in entries, bytes and time.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use domain::{Filter, LogOwner, Order, Place, Seq, TenantId};
use sqlx::PgConnection;

use super::bounds;
use super::range::{self, From, Lost, Range};
use super::walk::{Allowance, Step, Walk};

/// Entries that one statement of a page looks at.
const LOOKED_AT_MAX: i64 = 20_000;

/// JSON on a page, unless a single entry has more.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// How long a page is gathered before it goes out as it is.
const PAGE_TIME_MAX: Duration = Duration::from_millis(300);

/// How often a page is begun anew because entries expired underneath.
const TRIES_MAX: usize = 3;

/// What a page is to hold.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'f> {
    /// Whose log, for the entries' JSON.
    pub owner: &'f LogOwner,
    /// Which entries.
    pub filter: &'f Filter,
    /// Where it begins.
    pub from: From,
    /// Entries at most.
    pub limit: usize,
}

/// Some entries, and where to go on.
#[derive(Debug)]
pub struct Page {
    /// The entries' JSON, with commas between.
    pub data: Vec<u8>,
    /// How many there are.
    pub count: usize,
    /// The last place looked at, when there is more behind it.
    pub next: Option<Place>,
    /// The head that the read ends at.
    pub until: Option<Place>,
    /// The first number that has not expired.
    pub floor_seq: i64,
    /// The number of the last entry looked at, by this page or one before.
    pub scanned_to: Option<i64>,
}

/// Reads a page; what expires meanwhile is either on it whole or not at all.
pub async fn read(
    db: &mut PgConnection,
    tenant_id: TenantId,
    wanted: Wanted<'_>,
) -> sqlx::Result<Result<Page, Lost>> {
    let mut floors = Vec::with_capacity(TRIES_MAX);
    for _ in 0..TRIES_MAX {
        let range = match range::find(&mut *db, tenant_id, wanted.filter, wanted.from).await? {
            Ok(range) => range,
            Err(lost) => return Ok(Err(lost)),
        };
        floors.push(range.bounds.floor_seq);
        let (page, last) = gather(&mut *db, tenant_id, wanted, &range).await?;
        // A walk upwards ends at the entry that the first page has seen as the head, or at
        // another one with its number.
        let same_number = |until: &Place| last.is_some_and(|last| last.seq == until.seq);
        if wanted.from.until.filter(same_number).is_some_and(|until| Some(until) != last) {
            return Ok(Err(Lost::HistoryChanged));
        }
        if let Some(page) = page {
            return Ok(Ok(page));
        }
    }
    match wanted.from.until {
        _ if floors.first() != floors.last() => Ok(Err(Lost::Overtaken)),
        // Where it should be at its time, there is none: the end has been undone.
        Some(_) => Ok(Err(Lost::HistoryChanged)),
        None => Err(sqlx::Error::Protocol("entries of a log keep vanishing".to_owned())),
    }
}

/// The page, and the last entry that was looked at; no page when the floor has moved into it.
async fn gather(
    db: &mut PgConnection,
    tenant_id: TenantId,
    wanted: Wanted<'_>,
    range: &Range,
) -> sqlx::Result<(Option<Page>, Option<Place>)> {
    let begun = Instant::now();
    let mut walk = Walk::new(tenant_id, wanted.filter, wanted.from.order, range);
    let (mut data, mut count) = (Vec::new(), 0);
    while !walk.is_done() && begun.elapsed() < PAGE_TIME_MAX {
        let given = i64::try_from(wanted.limit - count).unwrap_or(i64::MAX);
        let allowance = Allowance { looked_at: LOOKED_AT_MAX, given };
        let step = walk.step(&mut *db, allowance, |entry| {
            let begins_at = data.len();
            if count > 0 {
                data.push(b',');
            }
            entry.write_json(wanted.owner, &mut data);
            if data.len() > PAGE_BYTES_MAX && count > 0 {
                data.truncate(begins_at);
                return ControlFlow::Break(());
            }
            count += 1;
            ControlFlow::Continue(())
        });
        match step.await? {
            Step::Window if count < wanted.limit => {}
            Step::Window | Step::Full => break,
            Step::Moved => return Ok((None, None)),
        }
    }
    let floor_seq = bounds::get(&mut *db, tenant_id).await?.floor_seq;
    let lowest = match wanted.from.order {
        Order::Asc => Some(range.first.seq),
        Order::Desc => walk.last().map(|last| last.seq.get()),
    };
    if floor_seq > range.bounds.floor_seq && lowest.is_some_and(|lowest| lowest < floor_seq) {
        return Ok((None, None));
    }
    let looked_at = walk.last().or(wanted.from.after);
    let page = Page {
        data,
        count,
        next: walk.last().filter(|_| !walk.is_done()),
        until: range.until,
        floor_seq: range.bounds.floor_seq,
        scanned_to: looked_at.map(|place| place.seq).map(Seq::get),
    };
    Ok((Some(page), walk.last()))
}
