//! Standard output, written by a thread of its own: a reader that stands still holds up nothing else.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::notebook::Notebook;

/// Lines that wait to be written, in bytes; beyond it nothing more is received.
const WAITING_BYTES_MAX: u32 = 4 << 20;

/// A line, too, that is longer than all of that.
const LINE_BYTES_MIN: u32 = 64;

/// Bytes that are written at once while more wait.
const WRITE_BYTES: usize = 64 << 10;

/// How long nothing may come before it is looked whether there is a cursor to keep.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Hands lines to the thread.
#[derive(Debug)]
pub(super) struct Printer {
    lines: mpsc::Sender<Line>,
    room: Arc<Semaphore>,
}

/// What became of the lines.
#[derive(Debug)]
pub(super) struct Printed {
    /// After the last entry that was written.
    pub(super) cursor: Option<String>,
    /// What ended it before its time; a reader that has gone is no fault.
    pub(super) fault: Option<anyhow::Error>,
}

#[derive(Debug)]
struct Line {
    /// With its end; empty when only the cursor has moved.
    text: String,
    cursor: String,
    _room: OwnedSemaphorePermit,
}

impl Printer {
    /// Starts the thread. What it gives back comes when the printer is dropped, or cannot write.
    pub(super) fn start(notebook: Option<Notebook>) -> (Self, oneshot::Receiver<Printed>) {
        let (sender, lines) = mpsc::channel();
        let (ended, printed) = oneshot::channel();
        std::thread::spawn(move || {
            let out = io::stdout().lock();
            // Nobody waits for it any more when the process ends.
            let _ = ended.send(Writing::new(out, notebook).run(&lines));
        });
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX as usize));
        (Self { lines: sender, room }, printed)
    }

    /// Waits for room; what the thread cannot write any more is dropped.
    pub(super) async fn print(&self, text: String, cursor: &str) {
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let len = len.clamp(LINE_BYTES_MIN, WAITING_BYTES_MAX);
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(len).await else { return };
        let _ = self.lines.send(Line { text, cursor: cursor.to_owned(), _room: room });
    }
}

/// The thread.
struct Writing<W> {
    out: W,
    notebook: Option<Notebook>,
    cursor: Option<String>,
}

impl<W: Write> Writing<W> {
    fn new(out: W, notebook: Option<Notebook>) -> Self {
        Self { out, notebook, cursor: None }
    }

    fn run(mut self, lines: &Receiver<Line>) -> Printed {
        let written = self.write_all(lines);
        let kept = self.keep(Duration::MAX);
        let fault = match written.and(kept) {
            Err(fault) if is_closed_pipe(&fault) => None,
            other => other.err(),
        };
        Printed { cursor: self.cursor, fault }
    }

    fn write_all(&mut self, lines: &Receiver<Line>) -> anyhow::Result<()> {
        loop {
            match lines.recv_timeout(LOOK_EVERY) {
                Ok(line) => self.write(line, lines)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.keep(Duration::ZERO)?;
        }
    }

    /// Writes this line and those that wait behind it, up to a bound.
    fn write(&mut self, first: Line, lines: &Receiver<Line>) -> anyhow::Result<()> {
        let mut text = first.text;
        let mut cursor = first.cursor;
        while text.len() < WRITE_BYTES {
            let Ok(line) = lines.try_recv() else { break };
            text.push_str(&line.text);
            cursor = line.cursor;
        }
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.context("cannot write to standard output")?;
        self.cursor = Some(cursor);
        Ok(())
    }

    /// Keeps the cursor if that is due so soon.
    fn keep(&mut self, within: Duration) -> anyhow::Result<()> {
        let (Some(notebook), Some(cursor)) = (&mut self.notebook, &self.cursor) else {
            return Ok(());
        };
        if notebook.due_in(cursor).is_some_and(|due_in| due_in <= within) {
            notebook.keep(cursor)?;
        }
        Ok(())
    }
}

fn is_closed_pipe(fault: &anyhow::Error) -> bool {
    let error = fault.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]
mod tests {
    use super::*;

    /// Takes so many bytes and then fails.
    struct Short(usize, io::ErrorKind);

    impl Write for Short {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(self.1.into());
            }
            let len = bytes.len().min(self.0);
            self.0 -= len;
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(texts: &[&str]) -> Receiver<Line> {
        let (sender, lines) = mpsc::channel();
        for (n, text) in texts.iter().enumerate() {
            let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
            let text = (*text).to_owned();
            sender.send(Line { text, cursor: format!("c{n}"), _room: room }).unwrap();
        }
        lines
    }

    #[test]
    fn the_cursor_is_that_of_the_last_line_written() {
        let mut out = Vec::new();
        let printed = Writing::new(&mut out, None).run(&lines(&["a\n", "b\n", ""]));
        assert!(printed.fault.is_none());
        assert_eq!((printed.cursor.as_deref(), &*out), (Some("c2"), &b"a\nb\n"[..]));
    }

    #[test]
    fn a_reader_that_has_gone_is_no_fault_and_a_full_disk_is_one() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, is_fault) in
            [(io::ErrorKind::BrokenPipe, false), (io::ErrorKind::StorageFull, true)]
        {
            let path = folder.path().join("cursor");
            let notebook = Notebook::open(path.clone()).unwrap();
            let long = "x".repeat(WRITE_BYTES);
            let out = Short(WRITE_BYTES, kind);
            let printed = Writing::new(out, Some(notebook)).run(&lines(&[&long, "b\n"]));
            assert_eq!(printed.fault.is_some(), is_fault, "{printed:?}");
            assert_eq!(printed.cursor.as_deref(), Some("c0"), "the second was not written");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "c0\n");
        }
    }
}
