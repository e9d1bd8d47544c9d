//! What no log may hold: the logs of all services of a run, and all that was said to them. Both are
//! kept in the folder `AUDIT_TEST_LOGS`, where there is one; `dev/logs.sh` holds one against the other.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, OnceLock};

use serde_json::Value;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

/// Where logs are kept.
const FOLDER: &str = "AUDIT_TEST_LOGS";

/// What a service in this process logs: more than by default, and nothing of the tests' own clients.
const LEVEL: &str = "info,sqlx=warn,api=debug,search=debug,domain=debug";

/// Shorter texts are found in logs by chance.
const CHARS_MIN: usize = 12;

/// Texts of one process that are written down.
const TEXTS_MAX: usize = 20_000;

/// The secret key that services show to the emulator, which takes any.
pub(crate) const AWS_SECRET: &str = "planted-aws-secret-key-4711";

/// The password that services show to OpenSearch, which asks for none.
pub(crate) const SEARCH_PASSWORD: &str = "planted-search-password-4711";

static SAID: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Writes down a text that was said in confidence.
pub(crate) fn note(text: &str) {
    let Some(folder) = folder() else { return };
    let is_told = Uuid::parse_str(text).is_ok();
    if text.chars().count() < CHARS_MIN || text.contains(['\n', '\r']) || is_told {
        return;
    }
    let mut said = SAID.lock().unwrap();
    if said.len() < TEXTS_MAX && said.insert(text.to_owned()) {
        let path = folder.join(format!("said-{}.txt", std::process::id()));
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{text}").unwrap();
    }
}

/// Writes down all texts of entries. A request's id is told on purpose.
pub(crate) fn note_entries(body: &Value) {
    match body {
        Value::String(text) => note(text),
        Value::Array(values) => values.iter().for_each(note_entries),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != "request_id");
            kept.for_each(|(_, value)| note_entries(value));
        }
        _ => {}
    }
}

/// Writes down the password of a URL.
pub(crate) fn note_password(url: &str) {
    let url = url::Url::parse(url).unwrap();
    url.password().into_iter().for_each(note);
}

/// Keeps what services in this process log, from now on.
pub(crate) fn keep_own_log() {
    static KEPT: OnceLock<()> = OnceLock::new();
    let Some(folder) = folder() else { return };
    KEPT.get_or_init(|| {
        let file = File::create(folder.join(format!("own-{}.log", std::process::id()))).unwrap();
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_env_filter(EnvFilter::new(LEVEL))
            .with_writer(Mutex::new(file))
            .init();
    });
}

/// Keeps a log that lies in a file, or those of its lines that are events.
pub(crate) fn keep_log(path: &Path) {
    let Some(folder) = folder() else { return };
    let text = std::fs::read(path).unwrap_or_default();
    keep_text(&folder, &String::from_utf8_lossy(&text));
}

/// Keeps what a program said.
pub(crate) fn keep_said(text: &str) {
    if let Some(folder) = folder() {
        keep_text(&folder, text);
    }
}

/// Keeps of what an emulator said what its functions did.
pub(crate) fn keep_functions_log(path: &Path) {
    let Some(folder) = folder() else { return };
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().filter(|line| line.contains("\"level\":\"")).collect();
    keep_text(&folder, &lines.join("\n"));
}

fn keep_text(folder: &Path, text: &str) {
    if !text.is_empty() {
        std::fs::write(kept_path(folder), text).unwrap();
    }
}

fn kept_path(folder: &Path) -> PathBuf {
    folder.join(format!("kept-{}.log", Uuid::new_v4()))
}

/// A log that is kept line by line.
pub(crate) struct KeptLog(Option<File>);

impl Default for KeptLog {
    fn default() -> Self {
        Self(folder().map(|folder| File::create(kept_path(&folder)).unwrap()))
    }
}

impl KeptLog {
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(file) = &mut self.0 {
            writeln!(file, "{line}").unwrap();
        }
    }
}
