//! A file that holds how far a reader of a stream has come.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::config::WrongSettings;

/// Cursors are written no more often, but for the first and the last.
const PAUSE: Duration = Duration::from_secs(1);

/// Longer than any cursor: what is longer is another file.
const LEN_MAX: usize = 512;

/// See the module.
#[derive(Debug)]
pub struct Notebook {
    path: PathBuf,
    /// What the file holds.
    kept: Option<String>,
    kept_at: Option<Instant>,
}

impl Notebook {
    /// Reads what an earlier run has left, if it did.
    pub fn open(path: PathBuf) -> anyhow::Result<Self> {
        let shown = path.display();
        let kept = match std::fs::read(&path) {
            Ok(bytes) => Some(cursor(&bytes).with_context(|| format!("{shown} holds no cursor"))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read {shown}"))
                    .context(WrongSettings);
            }
        };
        Ok(Self { path, kept, kept_at: None })
    }

    /// How far the earlier run has come.
    pub fn cursor(&self) -> Option<&str> {
        self.kept.as_deref()
    }

    /// When this cursor is to be kept: now, or when the pause is over; `None`: it is kept already.
    pub fn due_in(&self, cursor: &str) -> Option<Duration> {
        if self.kept_at.is_some() && self.kept.as_deref() == Some(cursor) {
            return None;
        }
        Some(self.kept_at.map_or(Duration::ZERO, |at| PAUSE.saturating_sub(at.elapsed())))
    }

    /// Keeps it: whoever reads the file finds this cursor or the one before, whole.
    pub fn keep(&mut self, cursor: &str) -> anyhow::Result<()> {
        let path = self.path.display();
        self.replace(cursor).with_context(|| format!("cannot keep the cursor in {path}"))?;
        self.kept = Some(cursor.to_owned());
        self.kept_at = Some(Instant::now());
        Ok(())
    }

    fn replace(&self, cursor: &str) -> std::io::Result<()> {
        let mut name = OsString::from(&self.path);
        name.push(".part");
        let part = PathBuf::from(name);
        let mut file = File::create(&part)?;
        file.write_all(format!("{cursor}\n").as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&part, &self.path)
    }
}

/// The cursor that a file holds and nothing else.
fn cursor(bytes: &[u8]) -> anyhow::Result<String> {
    let text = bytes.trim_ascii();
    if text.is_empty() || text.len() > LEN_MAX || !text.iter().all(u8::is_ascii_graphic) {
        bail!(anyhow::anyhow!("remove it, or choose another file").context(WrongSettings));
    }
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_again_whole_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        let mut notebook = Notebook::open(path.clone()).unwrap();
        assert_eq!(notebook.cursor(), None);
        for cursor in ["first-and-longer", "second"] {
            notebook.keep(cursor).unwrap();
            assert_eq!(Notebook::open(path.clone()).unwrap().cursor(), Some(cursor));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_cursor_is_due_at_once_then_after_a_pause_and_only_if_it_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut notebook = Notebook::open(folder.path().join("cursor")).unwrap();
        assert_eq!(notebook.due_in("a"), Some(Duration::ZERO));
        notebook.keep("a").unwrap();
        assert_eq!(notebook.due_in("a"), None);
        let due_in = notebook.due_in("b").unwrap();
        assert!(due_in > PAUSE / 2 && due_in <= PAUSE, "{due_in:?}");
        // What an earlier run has kept is written once more: it shows early that it can be.
        let again = Notebook::open(folder.path().join("cursor")).unwrap();
        assert_eq!(again.due_in("a"), Some(Duration::ZERO));
    }

    #[test]
    fn another_file_is_not_taken_for_a_cursor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        let long = "x".repeat(LEN_MAX + 1);
        for text in ["", "\n", "two words", "a\nb", "\u{1b}", long.as_str()] {
            std::fs::write(&path, text).unwrap();
            let error = Notebook::open(path.clone()).unwrap_err();
            assert!(error.is::<WrongSettings>(), "{error:#}");
        }
        let error = Notebook::open(folder.path().to_owned()).unwrap_err();
        assert!(error.is::<WrongSettings>(), "{error:#}");
    }
}
