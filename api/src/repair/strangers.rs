//! Documents of tenants that the database does not know: what is left in the index when a database
//! was set back to before they were made. Nobody can search them, so they wait for
//! `verify-index --repair`.

use std::collections::HashSet;

use domain::TenantId;
use search::{IDS_MAX, Index, Population, TENANTS_MAX};
use serde::Serialize;
use sqlx::PgPool;

use super::RepairError;
use crate::store::indexing;

/// Pages of tenants that one look turns over: ten million of them.
const PAGES_MAX: usize = 10_000;

/// Strangers that one look finds, a page more or less.
const STRANGERS_MAX: usize = 100_000;

/// Calls to delete a stranger's documents beyond those that their number takes.
const DELETES_MORE: u64 = 10;

/// A tenant that there is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stranger {
    /// Its id, as its documents say; null when they do not.
    pub tenant_id: Option<String>,
    /// How many there are.
    pub documents: u64,
}

/// All strangers, or the first of very many.
///
/// The index is read first: a tenant is made before it has a document.
pub async fn find(db: &PgPool, index: &Index) -> Result<Vec<Stranger>, RepairError> {
    let mut strangers = Vec::new();
    let mut last: Option<Population> = None;
    for _ in 0..PAGES_MAX {
        let page = index.populations(last.as_ref()).await?;
        let ids: Vec<_> = page.iter().filter_map(tenant_id).collect();
        let known: HashSet<TenantId> = indexing::known(db, &ids).await?.into_iter().collect();
        let is_known = |found: &Population| tenant_id(found).is_some_and(|id| known.contains(&id));
        let unknown = page.iter().filter(|found| !is_known(found));
        strangers.extend(unknown.map(|Population { tenant, documents }| Stranger {
            tenant_id: tenant.clone(),
            documents: *documents,
        }));
        if page.len() < TENANTS_MAX || strangers.len() >= STRANGERS_MAX {
            break;
        }
        last = page.into_iter().last();
    }
    Ok(strangers)
}

/// The tenant that documents are searched as, if they can be.
fn tenant_id(found: &Population) -> Option<TenantId> {
    let text = found.tenant.as_ref()?;
    TenantId::parse(text).ok().filter(|id| id.to_string() == *text)
}

/// Deletes a stranger's documents. Returns how many.
pub async fn delete(index: &Index, stranger: &Stranger) -> Result<u64, RepairError> {
    let mut deleted = 0;
    for _ in 0..stranger.documents / IDS_MAX as u64 + DELETES_MORE {
        match index.delete_population(stranger.tenant_id.as_deref()).await? {
            0 => break,
            more => deleted += more,
        }
    }
    Ok(deleted)
}
