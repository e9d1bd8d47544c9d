//! `audit-log reindex`: the search index built anew from the log, while searches go on.

use anyhow::{Context as _, bail, ensure};

use super::index_parts::{Parts, parts};
use crate::client::progress::Progress;
use crate::config::{ReindexArgs, WrongSettings};
use crate::reindex::{self, Listener, Order, Reindex};
use crate::repair::direct::Direct;
use crate::store::{self, DbRole, indexing};

/// Rebuilds.
pub async fn run(args: &ReindexArgs) -> anyhow::Result<()> {
    let ReindexArgs { tenant, from, to, keep_old, .. } = *args;
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        let error = anyhow::anyhow!("--from must be before --to");
        return Err(error.context(WrongSettings));
    }
    let Parts { store, index } = parts(&args.database, &args.search).await?;
    let mut session = store::connect(&store.worker_options, DbRole::Worker)
        .await
        .context("cannot reach PostgreSQL")?;
    if let Some(tenant_id) = tenant {
        let log = indexing::log(&mut session, tenant_id).await?;
        ensure!(log.is_some(), "there is no such tenant");
    }
    if !indexing::take_reindex(&mut session).await? {
        bail!("the index is being rebuilt by somebody else, or its aliases are being mended");
    }
    let way = Direct { store: store.clone(), index: index.clone() };
    let order = Order { tenant, from, to, keep_old };
    let mut told = Told { progress: Progress::new("reindexing"), passed: 0 };
    let reindex = Reindex { store, index, way, order };
    let written = reindex.run(&mut session, &mut told).await?;
    reindex::close(session).await;
    told.progress.say(&format!("rebuilt: {written} entries written"));
    Ok(())
}

/// A bar where somebody is looking, and a line for each month.
struct Told {
    progress: Progress,
    passed: u64,
}

impl Listener for Told {
    fn expect(&mut self, entries: u64) {
        self.progress.set_len(entries);
    }

    fn pass(&mut self, entries: u64) {
        self.passed += entries;
        self.progress.set(self.passed);
    }

    fn say(&mut self, line: &str) {
        self.progress.say(line);
    }
}
