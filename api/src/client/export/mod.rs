//! An export from the first byte to the proof that it is whole, over as many answers as it takes.
//!
//! The past does not change, so an export that broke goes on after the last whole entry, and ends
//! where the first answer said it would. Each answer is proven by its end record, its trailers, or
//! the log's entry about it; what a broken one had sent is checked for its order, and for gaps
//! where nothing is filtered out.

mod answer;
mod array;
mod incoming;
mod joined;
mod lines;
mod output;
mod records;
mod splitter;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]
mod tests;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::http;
use http_body_util::BodyExt as _;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, TE};
use reqwest::{Body, Response};
use thiserror::Error;
use tokio::time::timeout;

use self::answer::{Heading, recorded_facts, trailing_facts};
use self::incoming::Incoming;
pub use self::joined::{EndRecord, Facts, Joined, Mismatch, Range, Taken, counted};
pub use self::output::{Note, Output};
pub use self::splitter::{Malformed, PIECE_BYTES_MAX, Piece, Splitter};
pub use self::verify::verify;
use super::fault::{Fault, innermost};
use super::patience::Patience;
use super::progress::Progress;
use super::service::Service;
use crate::config::{ExportFormat, WrongSettings};

/// Put around what ended an export that had begun; the process ends with code 3.
#[derive(Debug, Clone, Error)]
#[error("the export is not whole{}", .goes_on_with.as_ref().map_or_else(String::new, |part| {
    format!("; the same command goes on with {}", part.display())
}))]
pub struct NotWhole {
    goes_on_with: Option<PathBuf>,
}

impl NotWhole {
    /// One that no other run can go on with.
    pub const fn for_good() -> Self {
        Self { goes_on_with: None }
    }
}

/// What to export.
#[derive(Debug)]
pub struct Order {
    /// In which form.
    pub format: ExportFormat,
    /// The parameters, but for `cursor` and `max_entries`.
    pub query: Vec<(String, String)>,
    /// Whether the parameters leave entries out.
    pub filtered: bool,
    /// Where to cut on purpose.
    pub max_entries: Option<u64>,
    /// How long to go on trying while nothing comes.
    pub patience: Duration,
}

/// An export under way.
#[derive(Debug)]
pub struct Export<'a> {
    service: &'a Service,
    order: &'a Order,
    output: Output,
    progress: Progress,
    patience: Patience,
    joined: Joined,
    /// Known from the first answer on.
    range: Option<Range>,
    answers: usize,
}

/// Why an answer was not received to its end.
enum Stop {
    /// Another may go on.
    Cut(Fault),
    /// What came cannot be trusted.
    Unsound(anyhow::Error),
    /// Nothing wrong with what came, but it does not go on.
    Final(anyhow::Error),
}

/// How an answer ended well.
enum Received {
    /// Proven by these facts; in NDJSON with its own end record.
    Whole(Facts, Option<Vec<u8>>),
    /// It went on beyond the end of this export.
    Enough,
}

impl<'a> Export<'a> {
    /// Opens the output, and finds what an earlier run has left.
    pub fn begin(
        service: &'a Service,
        order: &'a Order,
        mut output: Output,
    ) -> anyhow::Result<Self> {
        let empty = Joined::new(order.format, !order.filtered);
        let resumed = output.resume(&order.query_noted(), &empty, order.format)?;
        let progress = Progress::new("exporting");
        let progress = if output.is_terminal() { progress.without_bar() } else { progress };
        let patience = Patience::new(order.patience);
        let (joined, range) =
            resumed.map_or((empty, None), |(joined, range)| (joined, Some(range)));
        if range.is_some() {
            let rows = counted(joined.rows());
            progress.say(&format!("going on after {rows} of an earlier run"));
        }
        Ok(Self { service, order, output, progress, patience, joined, range, answers: 0 })
    }

    /// Exports all of it; an error after the first byte is [`NotWhole`].
    pub async fn run(mut self) -> anyhow::Result<Facts> {
        let ended = self.receive_all().await;
        self.progress.end();
        let stop = match ended {
            Ok(facts) => return Ok(facts),
            Err(stop) => stop,
        };
        if self.range.is_none() {
            self.output.take_back();
            let wrong_value = stop.fault().is_some_and(Fault::is_wrong_value);
            let error = stop.into_error();
            return Err(if wrong_value { error.context(WrongSettings) } else { error });
        }
        if matches!(stop, Stop::Unsound(_)) {
            self.output.condemn();
        }
        let part = self.output.part().filter(|_| stop.lets_go_on());
        let goes_on_with = part.map(ToOwned::to_owned);
        Err(stop.into_error().context(NotWhole { goes_on_with }))
    }

    async fn receive_all(&mut self) -> Result<Facts, Stop> {
        let (mut said, mut end_record) = (None, None);
        while !self.has_all() {
            match self.receive_one().await {
                Ok(Received::Whole(facts, record)) => {
                    (said, end_record) = (facts.range.last_seq, record);
                    break;
                }
                Ok(Received::Enough) => break,
                Err(Stop::Cut(fault)) => {
                    let fault = self.patience.wait(fault).await;
                    let fault = fault.map_err(|fault| Stop::Final(fault.into()))?;
                    let rows = counted(self.joined.rows());
                    self.progress.say(&format!("{fault}; going on after {rows}"));
                }
                Err(stop) => return Err(stop),
            }
        }
        let range = self.range.unwrap_or_default();
        if self.joined.lacks_some(range, self.order.max_entries) {
            return Err(Stop::Unsound(anyhow!("it ends before the last entry there was")));
        }
        let range = self.reached(range, said);
        let mut end = Vec::new();
        match end_record {
            // An export in one piece is kept as it was sent.
            Some(record) if self.answers == 1 => end = record,
            _ => self.joined.finish(range, &mut end),
        }
        self.output.write(&end).and_then(|()| self.output.complete()).map_err(Stop::Final)?;
        Ok(self.joined.facts(range))
    }

    /// The numbers that it reaches over: all that there were when it began, or, cut on purpose, as
    /// far as its last answer says.
    fn reached(&self, range: Range, said: Option<u64>) -> Range {
        let is_cut = self.order.max_entries.is_some_and(|max| self.joined.rows() >= max);
        let cut_after = said.or(self.joined.last_seq()).filter(|_| is_cut);
        let last_seq = range.last_seq.map(|last| cut_after.map_or(last, |seq| seq.min(last)));
        Range { last_seq, ..range }
    }

    fn has_all(&self) -> bool {
        self.range.is_some_and(|range| self.joined.has_all(range, self.order.max_entries))
    }

    /// Asks for what has not come yet, and receives it as far as it comes.
    async fn receive_one(&mut self) -> Result<Received, Stop> {
        let mut query = self.order.query.clone();
        if let Some(max) = self.order.max_entries {
            query.push(("max_entries".to_owned(), (max - self.joined.rows()).to_string()));
        }
        if let Some(id) = self.joined.last_id() {
            query.push(("cursor".to_owned(), id.to_owned()));
        }
        let request = self.service.get("/logs/export", &query);
        let request = request.header(TE, "trailers").header(ACCEPT_ENCODING, "identity");
        let answer = self.service.send(request).await.map_err(Stop::Cut)?;
        let heading = Heading::read(answer.headers()).map_err(Stop::Final)?;
        self.begin_answer(&heading).map_err(Stop::Final)?;
        self.receive_body(answer, &heading.export_id).await
    }

    fn begin_answer(&mut self, heading: &Heading) -> anyhow::Result<()> {
        self.answers += 1;
        if self.range.is_none() {
            let note = Note { query: self.order.query_noted(), range: heading.range };
            self.output.note(&note)?;
            self.range = Some(heading.range);
        } else if self.answers == 1 {
            // An earlier run has begun it, so it is in more than one piece.
            self.answers += 1;
        }
        if let Some(Range { first_seq: Some(first), last_seq: Some(last) }) = self.range {
            self.progress.set_len(last.saturating_add(1).saturating_sub(first));
        }
        Ok(())
    }

    async fn receive_body(&mut self, answer: Response, export_id: &str) -> Result<Received, Stop> {
        let mut body = http::Response::<Body>::from(answer).into_body();
        let mut incoming = Incoming::new(self.order.format);
        let mut trailers = HeaderMap::new();
        // With its end record an export needs no more, however the connection ends.
        while incoming.end.is_none() {
            let silence_max = self.patience.silence_max();
            let Ok(frame) = timeout(silence_max, body.frame()).await else {
                let silent = format!("nothing came for {} s", silence_max.as_secs());
                return Err(Stop::Cut(Fault::Broken(silent)));
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| Stop::Cut(Fault::Broken(innermost(&error))))?;
            match frame.into_data() {
                Ok(bytes) => {
                    if self.take(&mut incoming, &bytes)? == Taken::Beyond {
                        return self.enough();
                    }
                }
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        self.prove(incoming, &trailers, export_id).await
    }

    /// An entry beyond the end: all before it have come, unless the first answer contradicts itself.
    fn enough(&self) -> Result<Received, Stop> {
        if self.answers == 1 {
            return Err(Stop::Unsound(anyhow!("it goes beyond the end that it began with")));
        }
        Ok(Received::Enough)
    }

    /// Takes some bytes of an answer, and writes the entries that they complete.
    fn take(&mut self, incoming: &mut Incoming, bytes: &[u8]) -> Result<Taken, Stop> {
        let range = self.range.unwrap_or_default();
        let before = self.joined.rows();
        let mut out = Vec::with_capacity(bytes.len());
        let taken = incoming.take(bytes, &mut self.joined, range, &mut out);
        // What was whole is whole, whatever came after it.
        self.output.write(&out).map_err(Stop::Final)?;
        if self.joined.rows() > before {
            self.patience.got_on();
        }
        if let (Some(first), Some(last)) = (range.first_seq, self.joined.last_seq()) {
            self.progress.set(last.saturating_add(1).saturating_sub(first));
        }
        taken.map_err(Stop::Unsound)
    }

    /// Whether an answer that ended in good order is whole.
    async fn prove(
        &self,
        incoming: Incoming,
        trailers: &HeaderMap,
        export_id: &str,
    ) -> Result<Received, Stop> {
        let cut = || Stop::Cut(Fault::Broken("the answer ended too early".to_owned()));
        if !incoming.splitter.may_end() {
            return Err(cut());
        }
        let end = incoming.end.as_ref().map(|(facts, _)| facts.clone());
        let differs = |facts: &Facts| {
            let (rows, sha256) = (counted(facts.rows), &facts.sha256);
            let error = anyhow!("what came differs from what was sent: {rows}, sha256 {sha256}");
            Stop::Unsound(error)
        };
        let facts = match end.or_else(|| trailing_facts(trailers)) {
            Some(facts) => facts,
            None => match self.recorded_facts(export_id).await? {
                // A proxy has ended it in good order before its end.
                Some(facts) if incoming.tally.is_short_of(&facts) => return Err(cut()),
                Some(facts) => facts,
                None => return Err(cut()),
            },
        };
        if !incoming.tally.proves(&facts) {
            return Err(differs(&facts));
        }
        Ok(Received::Whole(facts, incoming.end.map(|(_, record)| record)))
    }

    async fn recorded_facts(&self, export_id: &str) -> Result<Option<Facts>, Stop> {
        let facts = recorded_facts(self.service, export_id).await;
        facts
            .context("without trailers the log must tell whether it is whole, and does not")
            .map_err(Stop::Final)
    }
}

impl Order {
    /// What another run must ask for to go on with the part of this one.
    fn query_noted(&self) -> Vec<(String, String)> {
        let max = self.max_entries.map(|max| ("max_entries".to_owned(), max.to_string()));
        self.query.iter().cloned().chain(max).collect()
    }
}

impl Stop {
    /// Whether another run could do better.
    fn lets_go_on(&self) -> bool {
        match self {
            Self::Cut(_) => true,
            Self::Unsound(_) => false,
            Self::Final(_) => !self.fault().is_some_and(Fault::is_for_good),
        }
    }

    /// What the service or the way to it did, if that is why.
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Cut(fault) => Some(fault),
            Self::Unsound(error) | Self::Final(error) => error.downcast_ref(),
        }
    }

    fn into_error(self) -> anyhow::Error {
        match self {
            Self::Cut(fault) => fault.into(),
            Self::Unsound(error) | Self::Final(error) => error,
        }
    }
}
