//! Files that are part of the program, served under a version that changes with any of them.

use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// Characters of a version.
const VERSION_LEN: usize = 16;

/// A file that a page needs.
#[derive(Debug)]
pub struct File {
    /// Its name, the last part of its path.
    pub name: &'static str,
    /// What is in it.
    pub text: &'static str,
}

impl File {
    /// Its media type.
    pub fn media(&self) -> &'static str {
        if self.is_script() { "text/javascript; charset=utf-8" } else { "text/css; charset=utf-8" }
    }

    /// Whether it is a script, and not a style sheet.
    pub fn is_script(&self) -> bool {
        matches!(self.name.rsplit_once('.'), Some((_, "js")))
    }
}

/// What changes with any of these files.
pub fn version_of<'a>(files: impl IntoIterator<Item = &'a File>) -> String {
    let mut sum = Sha256::new();
    for file in files {
        for part in [file.name, file.text] {
            sum.update((part.len() as u64).to_be_bytes());
            sum.update(part);
        }
    }
    let mut version = format!("{:x}", sum.finalize());
    version.truncate(VERSION_LEN);
    version
}

/// A text that is compressed once, not for each of those who ask for it without having to say who they are.
#[derive(Debug, Default)]
pub struct Packed(OnceLock<Bytes>);

impl Packed {
    /// Not compressed yet.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The text as gzip.
    pub fn gzip(&self, text: &str) -> Bytes {
        self.0.get_or_init(|| gzip(text)).clone()
    }
}

fn gzip(text: &str) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Into memory, which does not fail.
    let _ = encoder.write_all(text.as_bytes());
    encoder.finish().unwrap_or_default().into()
}
