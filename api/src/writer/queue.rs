//! What waits to be written: a queue for each tenant, served in turns.
//!
//! Turns, because a tenant with ten thousand waiting requests must not stand before one with a
//! single one; within a tenant the order of arrival stays.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{ENTRIES_MAX, NewEntry, TenantId};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use traces::TraceContext;

use super::{AppendError, Appended, Request};
use crate::admission::Permit;
use crate::store::append::{Outcome, RequestRow};
use crate::streaming::Fresh;

/// Entries in a batch; one request alone never has more.
const BATCH_ENTRIES_MAX: usize = ENTRIES_MAX;

/// Bytes in a batch, unless a single request has more.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// How long a tenant whose head was held goes in batches of its own.
const APART: Duration = Duration::from_secs(5);

/// A request and who waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) request: Request,
    /// What its entries weigh.
    bytes: usize,
    queued_at: Instant,
    /// The span that it is written on behalf of.
    trace: Option<TraceContext>,
    pub(super) reply: oneshot::Sender<Result<Appended, AppendError>>,
    /// Its share of the memory, held until it is answered even if nobody waits any more.
    _permit: Arc<Permit>,
}

impl Pending {
    pub(super) fn new(
        request: Request,
        reply: oneshot::Sender<Result<Appended, AppendError>>,
        permit: Arc<Permit>,
    ) -> Self {
        let bytes = request.entries.iter().map(NewEntry::weight).sum();
        let trace = traces::current().filter(TraceContext::is_sampled);
        let queued_at = Instant::now();
        Self { request, bytes, queued_at, trace, reply, _permit: permit }
    }

    /// As `append` takes it.
    pub(super) fn row(&self) -> RequestRow<'_> {
        let request = &self.request;
        RequestRow {
            tenant_id: request.tenant_id,
            settings_version: request.settings_version,
            recorded_by: request.recorded_by.as_str(),
            key: request.key.as_ref().map(|key| (key.text.as_str(), &key.fingerprint[..])),
            refused: request.refused.as_deref(),
            entries: &request.entries,
            bytes: self.bytes,
        }
    }

    /// Answers with what became of it; `None` is a replay whose first answer was lost.
    pub(super) fn answer(self, outcome: Option<Outcome>) {
        let answer = match outcome {
            Some(Outcome::Written(written)) => {
                let Request { entries, refused, .. } = self.request;
                Ok(Appended { written, count: entries.len(), refused, entries: Some(entries) })
            }
            Some(Outcome::Replayed { written, entries, refused }) => {
                Ok(Appended { written, count: entries, refused, entries: None })
            }
            Some(Outcome::KeyReused) => Err(AppendError::KeyReused),
            Some(Outcome::HeadHeld) => Err(AppendError::LogBusy),
            Some(Outcome::ClockBehindHead) => Err(AppendError::ClockSkew),
            Some(Outcome::SettingsChanged) => Err(AppendError::SettingsChanged),
            Some(Outcome::UnknownTenant) => Err(AppendError::UnknownTenant),
            None => Err(AppendError::Unavailable),
        };
        // Nobody there any more: the client hung up, which changes nothing.
        let _ = self.reply.send(answer);
    }
}

/// Requests that are written together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) requests: Vec<Pending>,
    /// Whether to pass over heads that somebody holds.
    pub(super) skip_held: bool,
    /// Whether it was sent before, to a database that lost it for certain.
    pub(super) is_second_try: bool,
}

impl Batch {
    /// Two batches, to find the request at fault; the first is to be popped first.
    pub(super) fn halve(mut self) -> [Self; 2] {
        let second = self.requests.split_off(self.requests.len() / 2);
        let second = Self { requests: second, ..self };
        [second, self]
    }

    /// Whose requests they are.
    pub(super) fn tenants(&self) -> impl Iterator<Item = TenantId> {
        self.requests.iter().map(|pending| pending.request.tenant_id)
    }

    /// The spans that it is written on behalf of.
    pub(super) fn traces(&self) -> impl Iterator<Item = TraceContext> {
        self.requests.iter().filter_map(|pending| pending.trace.clone())
    }

    /// The tenants that are written to on behalf of one.
    pub(super) fn traced(&self) -> impl Iterator<Item = TenantId> {
        let requests = self.requests.iter().filter(|pending| pending.trace.is_some());
        requests.map(|pending| pending.request.tenant_id)
    }

    /// How many entries it has.
    pub(super) fn entries(&self) -> usize {
        self.requests.iter().map(|pending| pending.request.entries.len()).sum()
    }

    /// What of it was written just now.
    pub(super) fn fresh<'a>(&'a self, outcomes: &'a [Outcome]) -> impl Iterator<Item = Fresh<'a>> {
        self.requests.iter().zip(outcomes).filter_map(|(Pending { request, .. }, outcome)| {
            let Outcome::Written(written) = *outcome else { return None };
            Some(Fresh { tenant_id: request.tenant_id, entries: &request.entries, written })
        })
    }

    /// What its entries have.
    pub(super) fn bytes(&self) -> usize {
        self.requests.iter().map(|pending| pending.bytes).sum()
    }

    /// Answers all of it with the same error.
    pub(super) fn fail(self, error: AppendError) {
        for pending in self.requests {
            let _ = pending.reply.send(Err(error));
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    by_tenant: HashMap<TenantId, VecDeque<Pending>>,
    /// Tenants with something waiting, the next in turn first.
    turns: VecDeque<TenantId>,
    /// Tenants whose head was held, until when.
    apart: HashMap<TenantId, Instant>,
    last_was_apart: bool,
    closed: bool,
}

impl Queue {
    /// Queues a request; false once the queue is closed.
    pub(super) fn push(&self, pending: Pending) -> bool {
        let mut waiting = self.lock();
        if waiting.closed {
            return false;
        }
        let tenant_id = pending.request.tenant_id;
        let requests = waiting.by_tenant.entry(tenant_id).or_default();
        requests.push_back(pending);
        if requests.len() == 1 {
            waiting.turns.push_back(tenant_id);
        }
        drop(waiting);
        self.came.notify_one();
        true
    }

    /// How many requests wait.
    pub(super) fn len(&self) -> usize {
        self.lock().by_tenant.values().map(VecDeque::len).sum()
    }

    /// Since when this tenant's next request waits.
    pub(super) fn waits_since(&self, tenant_id: TenantId) -> Option<Instant> {
        let waiting = self.lock();
        waiting.by_tenant.get(&tenant_id)?.front().map(|next| next.queued_at)
    }

    /// Refuses what comes from now on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_one();
    }

    /// Waits for something to write. `None` once the queue is closed and empty.
    pub(super) async fn take(&self) -> Option<Batch> {
        loop {
            {
                let mut waiting = self.lock();
                if let Some(batch) = waiting.take(Instant::now()) {
                    return Some(batch);
                }
                if waiting.closed {
                    return None;
                }
            }
            self.came.notified().await;
        }
    }

    /// Keeps a tenant whose head is held out of everybody else's batches for a while.
    pub(super) fn set_apart(&self, tenant_id: TenantId) {
        self.lock().apart.insert(tenant_id, Instant::now() + APART);
    }

    /// Its head could be had: lets the tenant back in.
    pub(super) fn take_back(&self, tenant_id: TenantId) {
        self.lock().apart.remove(&tenant_id);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// The next batch: of tenants in good order, or, every other time, of those set apart.
    fn take(&mut self, now: Instant) -> Option<Batch> {
        if self.turns.is_empty() {
            return None;
        }
        self.apart.retain(|_, until| *until > now);
        let apart_next = !self.apart.is_empty() && !self.last_was_apart;
        for apart in [apart_next, !apart_next] {
            let requests = self.gather(apart);
            if !requests.is_empty() {
                self.last_was_apart = apart;
                return Some(Batch { requests, skip_held: apart, is_second_try: false });
            }
        }
        None
    }

    /// Takes one request of each tenant in turn until the batch is full.
    fn gather(&mut self, apart: bool) -> Vec<Pending> {
        let mut batch = Gathered::default();
        let mut passed_over = VecDeque::new();
        while let Some(tenant_id) = self.turns.pop_front() {
            let Some(requests) = self.by_tenant.get_mut(&tenant_id) else { continue };
            let Some(next) = requests.front() else { continue };
            if self.apart.contains_key(&tenant_id) != apart || batch.holds_key_of(next) {
                passed_over.push_back(tenant_id);
                continue;
            }
            if !batch.has_room_for(next) {
                passed_over.push_back(tenant_id);
                break;
            }
            if let Some(pending) = requests.pop_front() {
                batch.push(pending);
            }
            if requests.is_empty() {
                self.by_tenant.remove(&tenant_id);
            } else {
                self.turns.push_back(tenant_id);
            }
        }
        // Who was passed over is first the next time.
        passed_over.append(&mut self.turns);
        self.turns = passed_over;
        batch.requests
    }
}

#[derive(Default)]
struct Gathered {
    requests: Vec<Pending>,
    entries: usize,
    bytes: usize,
    keys: HashSet<(TenantId, String)>,
}

impl Gathered {
    fn has_room_for(&self, next: &Pending) -> bool {
        self.requests.is_empty()
            || (self.entries + next.request.entries.len() <= BATCH_ENTRIES_MAX
                && self.bytes + next.bytes <= BATCH_BYTES_MAX)
    }

    /// A key is in a batch once; the second request with it waits for the first one's answer.
    fn holds_key_of(&self, next: &Pending) -> bool {
        let Some(key) = &next.request.key else { return false };
        !self.keys.is_empty() && self.keys.contains(&(next.request.tenant_id, key.text.clone()))
    }

    fn push(&mut self, pending: Pending) {
        self.entries += pending.request.entries.len();
        self.bytes += pending.bytes;
        if let Some(key) = &pending.request.key {
            self.keys.insert((pending.request.tenant_id, key.text.clone()));
        }
        self.requests.push(pending);
    }
}
