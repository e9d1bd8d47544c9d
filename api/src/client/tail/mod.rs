//! A log followed over the public WebSocket, over as many connections as it takes.
//!
//! It knows what is documented and nothing else of the service, as any other client would.

mod closing;
mod frame;
mod line;
mod notebook;
mod printer;
mod socket;

use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use self::closing::Closing;
pub use self::frame::Frame;
pub use self::line::Look;
pub use self::notebook::Notebook;
use self::printer::{Printed, Printer};
use self::socket::Socket;
use super::fault::Fault;
use super::patience::Patience;
use super::plain::{plain, plain_json};
use super::service::Service;
use crate::config::{ClientArgs, WrongSettings};

/// How long lines that have been received may still be written when the end was asked for.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Put around what ended a stream; the process ends with a code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Lost {
    /// Coming back would not help.
    #[error("the service refuses to be followed")]
    Refused,
    /// It was followed, and is away for too long.
    #[error("the service is gone")]
    Gone,
}

/// What to follow, and how to show it.
#[derive(Debug)]
pub struct Order {
    /// The parameters, but for `cursor`.
    pub query: Vec<(String, String)>,
    /// Where to begin; without it, now.
    pub cursor: Option<String>,
    /// Where to keep how far it has come.
    pub notebook: Option<Notebook>,
    /// How entries look.
    pub form: Form,
    /// Where to end.
    pub max: Option<u64>,
    /// How long to go on trying while the service is away.
    pub patience: Duration,
}

/// How entries look.
#[derive(Debug)]
pub enum Form {
    /// Their JSON, to the byte.
    Json,
    /// The same value, so that a terminal shows it and obeys nothing in it.
    JsonForTerminal,
    /// A line for people.
    Line(Look),
}

/// A stream under way.
#[derive(Debug)]
struct Tail<'a> {
    args: &'a ClientArgs,
    query: Vec<(String, String)>,
    cursor: Option<String>,
    form: Form,
    left: Option<u64>,
    patience: Patience,
    printer: Printer,
    socket: Option<Socket>,
    has_connected: bool,
}

/// Follows until enough came, `stop` is cancelled, or nobody reads any more.
pub async fn follow(
    args: &ClientArgs,
    order: Order,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let keeps = order.notebook.is_some();
    let (printer, mut outcome) = Printer::start(order.notebook);
    let mut tail = Tail {
        args,
        query: order.query,
        cursor: order.cursor,
        form: order.form,
        left: order.max,
        patience: Patience::new(order.patience),
        printer,
        socket: None,
        has_connected: false,
    };
    let followed = tokio::select! {
        followed = tail.run() => followed,
        () = stop.cancelled() => Ok(()),
        outcome = &mut outcome => return ended(outcome),
    };
    let Tail { printer, socket, .. } = tail;
    drop(printer);
    if let Some(socket) = socket {
        socket.close().await;
    }
    finish(outcome, &stop, keeps).await.and(followed)
}

/// Waits until all that came is written, but not for ever once the end was asked for.
async fn finish(
    outcome: oneshot::Receiver<Printed>,
    stop: &CancellationToken,
    keeps: bool,
) -> anyhow::Result<()> {
    let too_late = async {
        stop.cancelled().await;
        sleep(STOP_TIMEOUT).await;
    };
    tokio::select! {
        outcome = outcome => {
            if let Ok(Printed { cursor: Some(cursor), fault: None }) = &outcome && !keeps {
                eprintln!("--cursor {cursor} goes on from here");
            }
            ended(outcome)
        }
        () = too_late => Ok(()),
    }
}

fn ended(outcome: Result<Printed, oneshot::error::RecvError>) -> anyhow::Result<()> {
    match outcome {
        Ok(Printed { fault: Some(fault), .. }) => Err(fault),
        _ => Ok(()),
    }
}

impl Tail<'_> {
    async fn run(&mut self) -> anyhow::Result<()> {
        loop {
            let Err(fault) = self.receive().await? else { return Ok(()) };
            self.socket = None;
            match self.patience.wait(fault).await {
                Ok(fault) => eprintln!("{fault}; coming back"),
                Err(fault) => return Err(self.given_up(fault)),
            }
        }
    }

    /// Connects and receives until enough came, or something breaks.
    async fn receive(&mut self) -> anyhow::Result<Result<(), Fault>> {
        // Read anew: a file may hold another token by now.
        let service = Service::new(self.args)?;
        let mut query = self.query.clone();
        query.extend(self.cursor.clone().map(|cursor| ("cursor".to_owned(), cursor)));
        match Socket::connect(&service, &query).await {
            Ok(socket) => self.socket = Some(socket),
            Err(fault) => return Ok(Err(fault)),
        }
        while self.left != Some(0) {
            let Some(socket) = &mut self.socket else { break };
            let message = match socket.next().await {
                Ok(message) => message,
                Err(fault) => return Ok(Err(fault)),
            };
            match Frame::read(&message) {
                Ok(frame) => self.take(frame).await,
                Err(error) => return Ok(Err(Fault::Broken(format!("{error:#}")))),
            }
        }
        Ok(Ok(()))
    }

    async fn take(&mut self, frame: Frame<'_>) {
        match frame {
            Frame::Hello { cursor, head_seq } => {
                self.greet(head_seq);
                self.move_on(String::new(), &cursor).await;
            }
            Frame::Log { cursor, data } => {
                self.patience.got_on();
                self.left = self.left.map(|left| left - 1);
                self.move_on(self.form.text(data), &cursor).await;
            }
            Frame::Heartbeat { cursor } => {
                self.patience.got_on();
                self.move_on(String::new(), &cursor).await;
            }
            Frame::Gap { from_seq, to_seq, reason, cursor } => {
                eprintln!("gap: entries {from_seq} to {to_seq} will not come: {}", why(&reason));
                if let Some(cursor) = cursor {
                    self.move_on(String::new(), &cursor).await;
                }
            }
            Frame::Error { code, detail } => {
                eprintln!("the service says: {} ({})", plain(&detail), plain(&code));
            }
            Frame::Other => {}
        }
    }

    fn greet(&mut self, head_seq: u64) {
        if self.has_connected {
            eprintln!("back; the last entry is {head_seq}");
            return;
        }
        // The address is right. From now on only what comes shows that it gets on: a service that
        // greets and closes again and again is left alone ever longer.
        self.has_connected = true;
        self.patience.got_on();
        let from = if self.cursor.is_some() { "from the cursor on" } else { "from now on" };
        eprintln!("following {from}; the last entry is {head_seq}");
    }

    async fn move_on(&mut self, text: String, cursor: &str) {
        self.printer.print(text, cursor).await;
        self.cursor = Some(cursor.to_owned());
    }

    fn given_up(&self, fault: Fault) -> anyhow::Error {
        let (wrong_value, is_away) = (fault.is_wrong_value(), fault.may_pass());
        let error = anyhow::Error::new(fault);
        match (wrong_value, is_away, self.has_connected) {
            (true, ..) => error.context(WrongSettings),
            (_, false, _) => error.context(Lost::Refused),
            (_, true, true) => error.context(Lost::Gone),
            (_, true, false) => error,
        }
    }
}

impl Form {
    fn text(&self, entry: &str) -> String {
        match self {
            Self::Line(look) => look.line(entry),
            Self::JsonForTerminal => one_line(&plain_json(entry)),
            Self::Json => one_line(entry),
        }
    }
}

/// Line ends in JSON stand between its tokens, where a space does as well.
fn one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 1);
    line.extend(json.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
    line.push('\n');
    line
}

fn why(reason: &str) -> String {
    match reason {
        "expired" => "they have expired".to_owned(),
        "history_changed" => "a restore has undone them, or put others in their place".to_owned(),
        other => plain(other).into_owned(),
    }
}
