//! Whether a saved NDJSON export is whole, by its own end record.

use std::io::Read;

use anyhow::{Context as _, bail};

use super::answer::Tally;
use super::joined::{EndRecord, Facts, Joined, Range, counted};
use super::splitter::{Piece, Splitter};
use crate::config::ExportFormat;

const READ_BYTES: usize = 64 << 10;

/// Reads it to its end; an error says why it is not whole.
pub fn verify(mut export: impl Read) -> anyhow::Result<Facts> {
    let mut splitter = Splitter::new(ExportFormat::Ndjson);
    let mut joined = Joined::new(ExportFormat::Ndjson, false);
    let mut tally = Tally::default();
    let mut end = None;
    let mut chunk = vec![0; READ_BYTES];
    let mut out = Vec::new();
    loop {
        let len = export.read(&mut chunk).context("cannot read it")?;
        splitter.push(&chunk[..len]);
        while let Some(piece) = splitter.next()? {
            match piece {
                Piece::End(record) => end = Some(read_end(record)?),
                Piece::Entry(entry) => {
                    tally.add_row();
                    tally.add_bytes(entry);
                    joined.add(piece, Range::default(), &mut out)?;
                    out.clear();
                }
                Piece::Header(_) => {}
            }
        }
        if len == 0 {
            break;
        }
    }
    let Some(facts) = end.filter(|_| splitter.may_end()) else {
        bail!("it has no end record: it was cut after {}", counted(joined.rows()));
    };
    if !tally.proves(&facts) {
        bail!(
            "it differs from what its end record says: {}, sha256 {}",
            counted(facts.rows),
            facts.sha256
        );
    }
    Ok(facts)
}

/// What an end record says.
pub(super) fn read_end(record: &[u8]) -> anyhow::Result<Facts> {
    let record: EndRecord = serde_json::from_slice(record).context("its end record is broken")?;
    Ok(record.end)
}
