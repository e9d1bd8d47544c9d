//! Where an export goes: standard output, or a file that gets its name when it is whole.
//!
//! Beside `FILE.part` lies `FILE.part.json`, which says what was asked for and how far the export
//! reaches: without it nobody could tell whether another run may go on with the part.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::joined::{Joined, Range};
use super::splitter::{Piece, Splitter};
use crate::config::{ExportFormat, WrongSettings};

const READ_BYTES: usize = 64 << 10;

/// Where an export goes.
#[derive(Debug)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file.
    File(PartFile),
}

/// A file that is not whole yet.
#[derive(Debug)]
pub struct PartFile {
    file: File,
    path: PathBuf,
    part: PathBuf,
    note: PathBuf,
}

/// What the part is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The parameters that were asked with.
    pub query: Vec<(String, String)>,
    /// How far the export reaches.
    pub range: Range,
}

impl Output {
    /// Standard output or this file, whose part nobody else may be writing.
    pub fn open(path: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        match path {
            None => Ok(Self::Stdout),
            Some(path) => PartFile::open(path, force).map(Self::File),
        }
    }

    /// The part of an earlier run, cut after its last whole entry; none if there is nothing in it.
    pub fn resume(
        &mut self,
        query: &[(String, String)],
        empty: &Joined,
        format: ExportFormat,
    ) -> anyhow::Result<Option<(Joined, Range)>> {
        match self {
            Self::Stdout => Ok(None),
            Self::File(part) => part.resume(query, empty, format),
        }
    }

    /// Notes what the part is a part of, before anything is written.
    pub fn note(&self, note: &Note) -> anyhow::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(part) => part.write_note(note),
        }
    }

    /// Writes all of it, or fails.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
                written.context("cannot write to standard output")
            }
            Self::File(part) => {
                let path = part.part.display();
                part.file.write_all(bytes).with_context(|| format!("cannot write to {path}"))
            }
        }
    }

    /// It is whole: the file gets its name.
    pub fn complete(&self) -> anyhow::Result<()> {
        let Self::File(part) = self else { return Ok(()) };
        let path = part.path.display();
        part.file.sync_all().with_context(|| format!("cannot write {path}"))?;
        std::fs::rename(&part.part, &part.path).with_context(|| format!("cannot make {path}"))?;
        let _ = std::fs::remove_file(&part.note);
        Ok(())
    }

    /// No other run may go on with what has been written.
    pub fn condemn(&self) {
        if let Self::File(part) = self {
            let _ = std::fs::remove_file(&part.note);
        }
    }

    /// Takes back a part that nothing has been written to.
    pub fn take_back(&self) {
        if let Self::File(part) = self {
            let _ = std::fs::remove_file(&part.note);
            let _ = std::fs::remove_file(&part.part);
        }
    }

    /// Whether somebody sees the export itself.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout) && io::stdout().is_terminal()
    }

    /// The part that another run could go on with.
    pub fn part(&self) -> Option<&Path> {
        match self {
            Self::Stdout => None,
            Self::File(part) => Some(&part.part),
        }
    }
}

impl PartFile {
    fn open(path: &Path, force: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        if !force && path.try_exists().with_context(|| format!("cannot look at {shown}"))? {
            bail!(
                anyhow::anyhow!("{shown} exists: choose another --output, or --force")
                    .context(WrongSettings)
            );
        }
        // A device or a pipe would be replaced by the file that gets its name in the end.
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            bail!(
                anyhow::anyhow!("{shown} is no file: leave --output out to write to a pipe")
                    .context(WrongSettings)
            );
        }
        let part = with_more(path, ".part");
        let note = with_more(path, ".part.json");
        let shown = part.display();
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&part);
        let file = file.with_context(|| format!("cannot make {shown}"))?;
        // Held until this process ends, however it ends.
        file.try_lock().with_context(|| format!("another export is writing {shown}"))?;
        Ok(Self { file, path: path.to_owned(), part, note })
    }

    fn resume(
        &mut self,
        query: &[(String, String)],
        empty: &Joined,
        format: ExportFormat,
    ) -> anyhow::Result<Option<(Joined, Range)>> {
        let part = self.part.display();
        let unreadable = || format!("cannot read {part}");
        if self.file.metadata().with_context(unreadable)?.len() == 0 {
            return Ok(None);
        }
        let Some(range) = self.noted_range(query) else {
            let foreign = anyhow::anyhow!(
                "{part} is of another export, or cannot be gone on with: remove it, or choose \
                 another --output"
            );
            bail!(foreign.context(WrongSettings));
        };
        let joined =
            whole_entries(&mut self.file, empty, range, format).with_context(unreadable)?;
        self.file.set_len(joined.bytes()).with_context(unreadable)?;
        self.file.seek(SeekFrom::End(0)).with_context(unreadable)?;
        Ok(Some((joined, range)))
    }

    /// The range noted by a run that asked for the same.
    fn noted_range(&self, query: &[(String, String)]) -> Option<Range> {
        let note: Note = serde_json::from_slice(&std::fs::read(&self.note).ok()?).ok()?;
        (note.query == query).then_some(note.range)
    }

    fn write_note(&self, note: &Note) -> anyhow::Result<()> {
        let path = self.note.display();
        let text = serde_json::to_vec(note).context("cannot write a note")?;
        std::fs::write(&self.note, text).with_context(|| format!("cannot write {path}"))
    }
}

/// What a part holds, up to its last whole entry.
fn whole_entries(
    file: &mut File,
    empty: &Joined,
    range: Range,
    format: ExportFormat,
) -> io::Result<Joined> {
    let mut joined = empty.clone();
    let mut splitter = Splitter::new(format);
    let mut chunk = vec![0; READ_BYTES];
    let mut again = Vec::new();
    loop {
        let len = file.read(&mut chunk)?;
        splitter.push(&chunk[..len]);
        while let Ok(Some(piece)) = splitter.next() {
            again.clear();
            let ends = matches!(piece, Piece::End(_));
            let added = joined.add(piece, range, &mut again);
            // A file that we have not written is not gone on with beyond where it differs.
            if ends || added.is_err() || joined.bytes() != splitter.offset() {
                return Ok(joined);
            }
        }
        if len == 0 {
            return Ok(joined);
        }
    }
}

/// The path with more at its end.
fn with_more(path: &Path, more: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(more);
    PathBuf::from(name)
}
