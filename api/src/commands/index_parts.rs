//! What the commands about the index need: the log, and the index.

use anyhow::Context as _;
use search::Index;

use crate::config::{DatabaseArgs, SearchArgs, WrongSettings};
use crate::store::Store;

/// Connections for reading that a command has.
const READER_CONNECTIONS: u32 = 1;

/// See the module.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) index: Index,
}

/// Reads the settings; does not connect yet.
pub(super) async fn parts(database: &DatabaseArgs, search: &SearchArgs) -> anyhow::Result<Parts> {
    let urls = database.urls().context(WrongSettings)?;
    let store = Store::new(&urls, READER_CONNECTIONS).context(WrongSettings)?;
    let index = search.index().await.context(WrongSettings)?;
    let index = index.context("set AUDIT_SEARCH_URL to the OpenSearch that holds the index");
    Ok(Parts { store, index: index.context(WrongSettings)? })
}
