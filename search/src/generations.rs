//! The indices behind the aliases: listed, built anew beside each other, exchanged, deleted.

use std::collections::BTreeMap;

use opensearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Body, Call};
use crate::names::{IndexName, Month, TEMPLATE};
use crate::set_up::{AGREED_WITHIN, CHANGE_TIMEOUT};
use crate::{Fault, Index};

/// Tries of making an index under a name that somebody else takes meanwhile.
const TRIES_MAX: usize = 4;

/// An index of ours, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexState {
    /// Its name.
    pub name: IndexName,
    /// Whether it is searched.
    pub is_read: bool,
    /// Whether the new documents of its month go there.
    pub is_written: bool,
}

#[derive(Deserialize)]
struct Aliases {
    aliases: BTreeMap<String, Alias>,
}

#[derive(Deserialize)]
struct Alias {
    #[serde(default)]
    is_write_index: bool,
}

impl Index {
    /// All indices of ours, by month, template and generation.
    pub async fn indices(&self) -> Result<Vec<IndexState>, Fault> {
        let call = Call {
            method: Method::Get,
            path: &format!("/{}/_alias", self.prefix().any_index()),
            query: &[],
            body: Body::None,
            timeout: CHANGE_TIMEOUT,
        };
        let found: BTreeMap<String, Aliases> = self.client().json(call).await?;
        let mut indices: Vec<_> =
            found.iter().filter_map(|(name, found)| self.state(name, &found.aliases)).collect();
        indices.sort_by_key(|index| {
            (index.name.month(), index.name.template(), index.name.generation())
        });
        Ok(indices)
    }

    fn state(&self, name: &str, aliases: &BTreeMap<String, Alias>) -> Option<IndexState> {
        let name = self.prefix().read_index(name)?;
        let write_alias = self.prefix().write_alias(name.month());
        Some(IndexState {
            is_read: aliases.contains_key(self.prefix().read_alias()),
            is_written: aliases.get(&write_alias).is_some_and(|alias| alias.is_write_index),
            name,
        })
    }

    /// Makes one more index for a month, with this program's template and without aliases, to be
    /// filled by [`Index::bulk_into`].
    ///
    /// The template must be there: [`Index::set_up`] first.
    pub async fn make_generation(&self, month: Month) -> Result<IndexName, Fault> {
        let indices = self.indices().await?;
        let newest = indices
            .into_iter()
            .map(|index| index.name)
            .filter(|name| name.month() == month && name.template() == TEMPLATE)
            .max_by_key(IndexName::generation);
        let mut name =
            newest.map_or_else(|| self.prefix().first_index(month), |newest| newest.following());
        let mut tries = 1;
        loop {
            match self.create(&name, json!({})).await {
                Ok(()) => return Ok(name),
                Err(fault) if fault.status() != Some(400) || tries == TRIES_MAX => {
                    return Err(fault);
                }
                Err(_) => name = name.following(),
            }
            tries += 1;
        }
    }

    /// From now on the month's new documents go into this index.
    pub async fn move_write(&self, to: &IndexName) -> Result<(), Fault> {
        let alias = self.prefix().write_alias(to.month());
        let mut actions = self.others_of_month(to, &alias).await?;
        actions.push(json!({
            "add": { "index": to.to_string(), "alias": alias, "is_write_index": true },
        }));
        self.change_aliases(actions).await
    }

    /// From one moment on, this index is searched for its month and no other is.
    pub async fn move_read(&self, to: &IndexName) -> Result<(), Fault> {
        let alias = self.prefix().read_alias().to_owned();
        let mut actions = self.others_of_month(to, &alias).await?;
        actions.push(json!({ "add": { "index": to.to_string(), "alias": alias } }));
        self.change_aliases(actions).await
    }

    /// Takes an alias from the other indices of the month.
    async fn others_of_month(&self, to: &IndexName, alias: &str) -> Result<Vec<Value>, Fault> {
        let indices = self.indices().await?;
        let remove = |name: &IndexName| json!({ "remove": { "index": name.to_string(), "alias": alias, "must_exist": false } });
        Ok(indices
            .iter()
            .map(|index| &index.name)
            .filter(|name| name.month() == to.month() && *name != to)
            .map(remove)
            .collect())
    }

    /// Deletes an index with all that is in it. One that is not there is deleted.
    pub async fn delete_index(&self, index: &IndexName) -> Result<(), Fault> {
        let call = Call {
            method: Method::Delete,
            path: &format!("/{index}"),
            query: &AGREED_WITHIN,
            body: Body::None,
            timeout: CHANGE_TIMEOUT,
        };
        match self.client().done(call).await {
            Err(fault) if fault.status() == Some(404) => Ok(()),
            deleted => deleted,
        }
    }

    /// Lets everything that was written be found.
    pub async fn refresh(&self) -> Result<(), Fault> {
        let call = Call {
            method: Method::Post,
            path: &format!("/{}/_refresh", self.prefix().any_index()),
            query: &[("ignore_unavailable", "true")],
            body: Body::None,
            timeout: CHANGE_TIMEOUT,
        };
        self.client().json::<Value>(call).await.map(drop)
    }
}
