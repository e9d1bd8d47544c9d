//! From the log into the index by all parts, against documents that are ready made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bulk::{Documents, remove_all};
use super::opensearch::OpenSearch;
use super::parts::Parts;
use super::price::Way;
use super::subject::Subject;
use super::tap::Tap;
use super::{Bench, QUEUE, cursors, queue};
use crate::cpu::{self, timed};
use crate::load::Sample;
use crate::report::Samples;

/// How long it may take until all is found.
const TIMEOUT: Duration = Duration::from_hours(1);

/// The bare way, ours, and the bare one again: whatever drifts hits both.
pub(super) async fn measure(
    bench: &Bench,
    documents: &Arc<Documents>,
    samples: &mut Samples<Subject>,
) -> anyhow::Result<Way> {
    let (parts, bare) = (&bench.parts, &bench.bare);
    let piece = documents.best_piece(parts, bare).await?;
    let before = documents.measure(parts, bare, piece, bench.meter(None)).await?;
    before.say(&Subject::Bulk.to_string());
    remove_all(bare).await?;

    let (sample, way) = whole_way(bench, documents).await?;
    sample.say(&Subject::Index.to_string());
    samples.insert(Subject::Index, vec![sample]);

    let after = documents.measure(parts, bare, piece, bench.meter(None)).await?;
    after.say(&Subject::Bulk.to_string());
    remove_all(bare).await?;
    samples.insert(Subject::Bulk, vec![before, after]);
    Ok(way)
}

/// From the start of a service until the index has all.
async fn whole_way(bench: &Bench, documents: &Documents) -> anyhow::Result<(Sample, Way)> {
    let parts = &bench.parts;
    remove_all(&bench.index).await?;
    cursors::put(&bench.database, &bench.logs.uuids()).await?;
    let queue_url = parts.make_function(QUEUE, super::PREFIX, &[]).await?;
    let tap = Tap::open(parts.queue_address()?).await?;
    let calls_before = queue::calls(parts.queue_address()?).await?;
    let mut look = OpenSearch::connect(parts.search_address()?, &bench.index.searched()).await?;

    let begun = Instant::now();
    let service = bench.service(&Parts::queueing(&queue_url, tap.address)).await?;
    let entries = documents.entries;
    let indexing = look.until_counted(entries, TIMEOUT);
    let ((), _, cpu) = timed(bench.meter(Some(&service)), indexing).await?;
    let elapsed = begun.elapsed();
    service.end().await?;

    let calls = queue::calls(parts.queue_address()?).await?.since(calls_before);
    let way = Way {
        entries: entries as f64,
        sends: tap.sends() as f64,
        messages: tap.messages() as f64,
        bytes: documents.queued_bytes as f64,
        calls,
        memory_used: cpu::peak_memory_of_children(parts.queue_pid()?),
    };
    Ok((Sample { p50_ms: None, ..Sample::once(entries, (elapsed, cpu)) }, way))
}
