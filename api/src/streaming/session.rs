//! One stream from its first frame to its last.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{Utf8Bytes, WebSocket};
use axum::response::Response;
use domain::Place;
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::info;

use super::course::{Course, Step, Wanted};
use super::end::End;
use super::feed::Item;
use super::frames::{self, Gap, seq};
use super::message::Message;
use super::outlet::{Frame, Outlet};
use super::reading::{Beginning, Found, LostPlace};
use super::slots::Slot;
use super::socket::{self, Heard, SAID_MAX, Said};
use super::{Streams, Watch};
use crate::app::App;
use crate::error::ApiError;
use crate::identity::caller::LogAuditor;
use crate::query::Parameters;
use crate::store::streaming::After;

/// Entries that are passed over before others have a turn.
const PASSED_MAX: i64 = 1_024;

/// How long entries are sent before anything else is looked at.
const SENDING_MAX: Duration = Duration::from_millis(2);

/// How long a stream may stand beyond the feed: then it looks whether the log still goes so far.
const BEYOND_MAX: Duration = Duration::from_secs(1);

/// Between two tries to read a log that cannot be read.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How long a stop waits for a client to take what it has coming.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How long the other side may take to close.
const GOODBYE: Duration = Duration::from_secs(2);

/// The route in the log that tells who has read what.
const ROUTE: &str = "GET /logs/stream";

/// What a stream begins with.
#[derive(Debug)]
pub struct Opening {
    /// Who reads; the only source of a tenant's id.
    pub caller: LogAuditor,
    /// Which entries.
    pub wanted: Wanted,
    /// Where.
    pub beginning: Beginning,
    /// Its place among all streams.
    pub slot: Slot,
    /// When the proof of who reads ends.
    pub ends_at: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    app: App,
    caller: LogAuditor,
    watch: Watch,
    course: Course,
    /// What its first words are about.
    lost: Option<LostPlace>,
    /// The log's bounds as they were last seen, where the feed has not.
    seen: (i64, i64),
    ends_at: Option<Instant>,
    heartbeat_at: Instant,
    /// When it looks at the log again, while it is beyond the feed.
    look_at: Instant,
    ping_at: Instant,
    check_at: Instant,
    begun: Instant,
    sent: usize,
    told: usize,
    slot: Slot,
}

impl Session {
    /// Takes a place among the watchers.
    pub fn new(app: App, opening: Opening) -> Self {
        let Opening { caller, wanted, beginning, slot, ends_at } = opening;
        let Beginning { after, lost, bounds } = beginning;
        let streams = app.streams.clone();
        let watch = streams.watch(caller.tenant_id(), bounds.head, bounds.floor_seq);
        let epoch = watch.feed.epoch();
        let now = Instant::now();
        let periods = streams.periods();
        app.reads.note(&caller, ROUTE, &wanted.selection, 0);
        Self {
            course: Course::new(after, epoch, wanted),
            lost,
            seen: (bounds.head_seq(), bounds.floor_seq),
            ends_at,
            heartbeat_at: now + periods.heartbeat,
            look_at: now + BEYOND_MAX,
            ping_at: now + periods.ping,
            check_at: now + periods.check,
            begun: now,
            sent: 0,
            told: 0,
            slot,
            app,
            caller,
            watch,
        }
    }

    /// Answers a WebSocket.
    pub fn upgrade(self, upgrade: WebSocketUpgrade) -> Response {
        let token = self.streams().0.running.token();
        socket::bounded(upgrade).on_upgrade(move |socket| async move {
            self.run_socket(socket).await;
            drop(token);
        })
    }

    /// Answers with events.
    pub fn events(self) -> Body {
        let (mut outlet, body) = Outlet::events();
        let streams = self.streams().clone();
        streams.0.running.spawn(async move {
            let mut session = self;
            // Nothing comes from the other side, and the channel stays open.
            let (_said, mut nothing) = mpsc::channel(1);
            let heard = Heard::now();
            let end = session.drive(&mut outlet, &mut nothing, &heard).await;
            session.end_events(&mut outlet, end).await;
            session.log(end);
        });
        body
    }

    async fn run_socket(mut self, socket: WebSocket) {
        let (sink, stream) = socket.split();
        let mut outlet = Outlet::WebSocket(sink);
        let (say, mut said) = mpsc::channel(SAID_MAX);
        let heard = Heard::now();
        let listening = socket::listen(stream, say, &heard);
        tokio::pin!(listening);
        let end = tokio::select! {
            () = &mut listening => End::Gone,
            end = self.drive(&mut outlet, &mut said, &heard) => end,
        };
        drop(said);
        let (code, _, reason) = end.words();
        let told = end != End::Gone && outlet.close(code, reason).await;
        if told {
            // Who closes first, while something comes in, makes the other side lose the reason.
            let _ = timeout(GOODBYE, listening).await;
        }
        // What looks like a broken rule may have been a broken connection.
        let lost = !told && matches!(end, End::Violation(_));
        self.log(if lost { End::Gone } else { end });
    }

    async fn end_events(&mut self, outlet: &mut Outlet, end: End) {
        let (_, code, detail) = end.words();
        if matches!(end, End::Gone | End::TooSlow) {
            return;
        }
        let json = frames::error(code, detail);
        if self.tell(outlet, "error", json).await.is_ok() {
            let _ = outlet.flush(self.streams()).await;
        }
    }

    fn streams(&self) -> &Streams {
        &self.app.streams
    }

    /// Sends until something ends it.
    async fn drive(
        &mut self,
        outlet: &mut Outlet,
        said: &mut mpsc::Receiver<Said>,
        heard: &Heard,
    ) -> End {
        let drained = self.streams().0.drained.clone();
        let too_late = async {
            drained.cancelled().await;
            sleep(LAST_WORDS * 2).await;
        };
        tokio::select! {
            driven = self.drive_on(outlet, said, heard) => driven.err().unwrap_or(End::Stopping),
            () = too_late => End::Stopping,
        }
    }

    async fn drive_on(
        &mut self,
        outlet: &mut Outlet,
        said: &mut mpsc::Receiver<Said>,
        heard: &Heard,
    ) -> Result<(), End> {
        let mut moves = self.watch.feed.moves();
        match self.lost.take() {
            None => self.hello(outlet).await?,
            Some(LostPlace { place, gap }) => {
                // Who breaks off between the two comes back with the lost place, and is told again.
                self.hello_from(outlet, place).await?;
                self.tell_gap(outlet, gap).await?;
            }
        }
        let mut until = None;
        loop {
            self.keep(outlet, heard).await?;
            while let Ok(message) = said.try_recv() {
                self.heed(outlet, message).await?;
            }
            if self.streams().0.drained.is_cancelled() && until.is_none() {
                until = Some(Instant::now() + LAST_WORDS);
            }
            let is_late = until.is_some_and(|until| Instant::now() >= until);
            moves.mark_unchanged();
            let step = if is_late { Step::Wait } else { self.step() };
            match step {
                Step::Send(item) => self.send_items(outlet, item).await?,
                Step::Rest => tokio::task::yield_now().await,
                Step::Read => self.catch_up(outlet, said).await?,
                Step::Wait if until.is_some() => break,
                Step::Wait => self.wait(outlet, said, heard, &mut moves).await?,
            }
        }
        self.beat(outlet).await?;
        Ok(())
    }

    fn step(&mut self) -> Step {
        match self.course.step(&self.watch.feed, PASSED_MAX) {
            Step::Wait
                if self.course.is_beyond(&self.watch.feed) && self.look_at <= Instant::now() =>
            {
                Step::Read
            }
            step => step,
        }
    }

    /// Waits for anything to do.
    async fn wait(
        &mut self,
        outlet: &mut Outlet,
        said: &mut mpsc::Receiver<Said>,
        heard: &Heard,
        moves: &mut watch::Receiver<()>,
    ) -> Result<(), End> {
        outlet.flush(self.streams()).await?;
        let due = self.due(outlet, heard);
        let message = tokio::select! {
            _ = moves.changed(), if !self.course.paused => None,
            message = said.recv() => message,
            () = sleep_until(due) => None,
            () = self.app.streams.0.drained.cancelled() => None,
            () = outlet.gone() => return Err(End::Gone),
        };
        match message {
            Some(message) => self.heed(outlet, message).await,
            None => Ok(()),
        }
    }

    /// When something is to be done in any case.
    fn due(&self, outlet: &Outlet, heard: &Heard) -> Instant {
        let mut due = self.heartbeat_at.min(self.check_at);
        if self.course.is_beyond(&self.watch.feed) {
            due = due.min(self.look_at);
        }
        if matches!(outlet, Outlet::WebSocket(_)) {
            let idle_at = Instant::from_std(heard.last()) + self.streams().periods().idle;
            due = due.min(self.ping_at).min(idle_at);
        }
        self.ends_at.map_or(due, |ends_at| due.min(ends_at))
    }

    /// Does what is due.
    async fn keep(&mut self, outlet: &mut Outlet, heard: &Heard) -> Result<(), End> {
        let now = Instant::now();
        if self.due(outlet, heard) > now {
            return Ok(());
        }
        if self.ends_at.is_some_and(|ends_at| ends_at <= now) {
            return Err(End::ProofEnded);
        }
        let periods = self.streams().periods().clone();
        if matches!(outlet, Outlet::WebSocket(_)) {
            if Instant::from_std(heard.last()) + periods.idle <= now {
                return Err(End::Idle);
            }
            if self.ping_at <= now {
                self.ping_at = now + periods.ping;
                outlet.ping(&self.app.streams).await?;
            }
        }
        if self.check_at <= now {
            self.check_at = now + periods.check;
            self.check().await?;
        }
        if self.heartbeat_at <= now {
            if self.is_blind(now) {
                return Err(End::Unreadable);
            }
            self.beat(outlet).await?;
        }
        Ok(())
    }

    /// Whether a heartbeat would say that there is nothing new when nobody has known for long.
    fn is_blind(&self, now: Instant) -> bool {
        let outage = self.streams().periods().outage;
        now - self.begun > outage && self.streams().is_blind_for(outage)
    }

    /// Whether the tenant is still there; a database that does not answer is no "no".
    async fn check(&mut self) -> Result<(), End> {
        self.note_read();
        match self.app.tenants.find(self.caller.tenant_id()).await {
            Ok(None) => Err(End::TenantGone),
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }

    /// Does what the client says.
    async fn heed(&mut self, outlet: &mut Outlet, said: Said) -> Result<(), End> {
        match said.map_err(End::Violation)? {
            Message::Pause {} => self.course.paused = true,
            Message::Resume {} => self.course.paused = false,
            Message::Filter { filter } => match read_wanted(&filter) {
                Ok(wanted) => {
                    self.note_read();
                    *self.course.wanted = wanted;
                    self.app.reads.note(&self.caller, ROUTE, &self.course.wanted.selection, 0);
                }
                Err(error) => {
                    let json = frames::error(error.code(), error.detail());
                    self.tell(outlet, "error", json).await?;
                    return outlet.flush(self.streams()).await.map_err(End::from);
                }
            },
        }
        self.hello(outlet).await
    }

    async fn hello(&mut self, outlet: &mut Outlet) -> Result<(), End> {
        self.hello_from(outlet, self.course.after()).await
    }

    async fn hello_from(&mut self, outlet: &mut Outlet, after: After) -> Result<(), End> {
        let (head_seq, floor_seq) = self.bounds();
        let json = self.watch.feed.framer.hello(after, head_seq, floor_seq);
        self.tell_at(outlet, "hello", after, json).await?;
        outlet.flush(self.streams()).await.map_err(End::from)
    }

    async fn beat(&mut self, outlet: &mut Outlet) -> Result<(), End> {
        self.heartbeat_at = Instant::now() + self.streams().periods().heartbeat;
        let json = self.watch.feed.framer.heartbeat(self.course.after(), self.bounds().0);
        self.tell(outlet, "heartbeat", json).await?;
        outlet.flush(self.streams()).await.map_err(End::from)
    }

    /// The highest head and floor that were seen.
    fn bounds(&self) -> (i64, i64) {
        let feed = &self.watch.feed;
        let head_seq = self.seen.0.max(seq(feed.end())).max(seq(self.course.after()));
        (head_seq, self.seen.1.max(feed.floor_seq()))
    }

    /// Says what is not delivered.
    async fn tell_gap(&mut self, outlet: &mut Outlet, gap: Gap) -> Result<(), End> {
        self.app.metrics.streams.gap(gap.reason.as_str());
        self.tell(outlet, "gap", gap.frame()).await
    }

    /// Sends a frame that is not an entry.
    async fn tell(
        &mut self,
        outlet: &mut Outlet,
        kind: &'static str,
        json: String,
    ) -> Result<(), End> {
        self.tell_at(outlet, kind, self.course.after(), json).await
    }

    async fn tell_at(
        &mut self,
        outlet: &mut Outlet,
        kind: &'static str,
        after: After,
        json: String,
    ) -> Result<(), End> {
        let cursor = self.watch.feed.framer.cursor(after);
        let frame = Frame { kind, cursor, json: json.into() };
        Ok(outlet.send(frame, &self.app.streams).await?)
    }

    /// Sends an entry and those that come next, for a moment.
    async fn send_items(&mut self, outlet: &mut Outlet, first: Arc<Item>) -> Result<(), End> {
        let until = Instant::now() + SENDING_MAX;
        let mut step = Step::Send(first);
        while let Step::Send(item) = step {
            let frame = item.frame(&self.watch.feed.framer);
            self.send_entry(outlet, item.entry.place(), frame).await?;
            // What is not sent is found again: only what is taken has moved the place.
            step = if Instant::now() < until { self.step() } else { Step::Rest };
        }
        Ok(())
    }

    async fn send_entry(
        &mut self,
        outlet: &mut Outlet,
        place: Place,
        json: Utf8Bytes,
    ) -> Result<(), End> {
        let cursor = if outlet.shows_cursors() {
            self.watch.feed.framer.cursor(Some(place))
        } else {
            String::new()
        };
        self.sent += 1;
        Ok(outlet.send(Frame { kind: "log", cursor, json }, &self.app.streams).await?)
    }

    /// Sends a piece of the log.
    async fn catch_up(
        &mut self,
        outlet: &mut Outlet,
        said: &mut mpsc::Receiver<Said>,
    ) -> Result<(), End> {
        outlet.flush(self.streams()).await?;
        let found = self.read_on().await?;
        self.look_at = Instant::now() + BEYOND_MAX;
        let read = match found {
            Found::Gap(gap) => return self.tell_gap(outlet, gap).await,
            Found::Read(read) => read,
        };
        self.seen = (read.bounds.head_seq(), read.bounds.floor_seq);
        for (place, json) in read.frames {
            self.send_entry(outlet, place, json).await?;
            self.course.pass(Some(place), read.epoch);
            // The rest is read again, by whatever the client has said meanwhile.
            if !said.is_empty() {
                return Ok(());
            }
        }
        if read.to == self.course.after() && read.to != read.bounds.head {
            // Something was taken away underneath: the next look says what.
            sleep(RETRY_PAUSE).await;
        }
        self.course.pass(read.to, read.epoch);
        Ok(())
    }

    /// Reads what comes next, for as long as an outage may last.
    async fn read_on(&mut self) -> Result<Found, End> {
        let streams = self.app.streams.clone();
        let until = Instant::now() + streams.periods().outage;
        loop {
            let reading = streams.read_on(&self.app.store, &self.watch.feed, &mut self.course);
            match Box::pin(reading).await {
                Ok(found) => return Ok(found),
                Err(_) if Instant::now() < until => sleep(RETRY_PAUSE).await,
                Err(_) => return Err(End::Unreadable),
            }
        }
    }

    /// Counts what was sent since the last time.
    fn note_read(&mut self) {
        let entries = self.sent - self.told;
        if entries > 0 {
            self.told = self.sent;
            self.app.metrics.streams.sent(entries);
            self.app.reads.add(&self.caller, ROUTE, &self.course.wanted.selection, entries);
        }
    }

    fn log(mut self, end: End) {
        self.note_read();
        let (code, reason, _) = end.words();
        let duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(
            tenant.id = %self.caller.tenant_id(),
            stream.close_code = code,
            stream.end = reason,
            entries = self.sent,
            duration_ms,
            "stream ended"
        );
        self.app.metrics.streams.ended(reason);
        drop(self.slot);
    }
}

/// What a client asks for in a query string.
fn read_wanted(query: &str) -> Result<Wanted, ApiError> {
    let parameters = Parameters::read(query)?;
    parameters.allow(&Wanted::parameters())?;
    Wanted::read(&parameters)
}
