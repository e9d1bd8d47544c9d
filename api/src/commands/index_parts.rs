//! What the commands about the index need: the log, and the index.

use anyhow::Context as _;
use search::Index;
use sqlx::Connection as _;

use crate::config::{DatabaseArgs, SearchArgs, WrongSettings};
use crate::store::{Store, installation, log_in};

/// Connections for reading that a command has.
const READER_CONNECTIONS: u32 = 1;

/// What to say of an index that cannot be taken for this installation's.
pub(super) const NOT_OURS: &str =
    "cannot use the search index at AUDIT_SEARCH_URL with the prefix of AUDIT_SEARCH_PREFIX";

/// See the module.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) index: Index,
}

/// Reads the settings, and makes sure that the index is this installation's.
pub(super) async fn parts(database: &DatabaseArgs, search: &SearchArgs) -> anyhow::Result<Parts> {
    let urls = database.urls().context(WrongSettings)?;
    let store = Store::new(&urls, READER_CONNECTIONS).context(WrongSettings)?;
    let index = search.index().await.context(WrongSettings)?;
    let index = index.context("set AUDIT_SEARCH_URL to the OpenSearch that holds the index");
    // A pool would only say that it has waited for too long.
    log_in(&urls.worker).await?.close().await?;
    let installation = installation::id(&store.worker).await;
    let installation = installation.context("cannot read the log: has `audit-log migrate` run?")?;
    let index = index.context(WrongSettings)?.of_installation(&installation);
    index.claim().await.context(NOT_OURS)?;
    Ok(Parts { store, index })
}
