//! Whose the indices of a prefix are.
//!
//! Two installations with one prefix would take each other's documents for foreign ones and delete
//! them. So each template and each index says in its `_meta` which installation it belongs to;
//! indices inherit it from their template. What says nothing is of an older version, or was made by
//! the Lambda, and belongs to who comes first.

use std::collections::BTreeMap;

use opensearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Body, Call};
use crate::set_up::{AGREED_WITHIN, CHANGE_TIMEOUT};
use crate::{Fault, Index};

/// Where it is written, in `_meta`.
const KEY: &str = "installation";

/// What there is of a prefix, and whose it says it is.
#[derive(Debug, Default)]
struct Found {
    /// Name, owner and body.
    templates: Vec<(String, Option<String>, Value)>,
    /// Name and owner.
    indices: Vec<(String, Option<String>)>,
}

impl Found {
    fn owners(&self) -> impl Iterator<Item = &str> {
        let templates = self.templates.iter().map(|(_, owner, _)| owner);
        templates.chain(self.indices.iter().map(|(_, owner)| owner)).filter_map(Option::as_deref)
    }
}

impl Index {
    /// Refuses what belongs to another installation than this one; changes nothing. Who does not say
    /// who they are, as the Lambda, are not refused.
    pub async fn check_owner(&self) -> Result<(), Fault> {
        let Some(installation) = self.installation() else { return Ok(()) };
        self.look_for_owner(installation).await.map(drop)
    }

    /// The same, and marks as this installation's what is nobody's.
    pub async fn claim(&self) -> Result<(), Fault> {
        let Some(installation) = self.installation() else { return Ok(()) };
        let found = self.look_for_owner(installation).await?;
        self.mark(found, installation).await
    }

    /// Marks everything as this installation's, whoever had it before.
    pub async fn take_over(&self) -> Result<(), Fault> {
        let Some(installation) = self.installation() else { return Ok(()) };
        let found = self.find_owners().await?;
        self.mark(found, installation).await
    }

    async fn look_for_owner(&self, installation: &str) -> Result<Found, Fault> {
        let found = self.find_owners().await?;
        if let Some(other) = found.owners().find(|owner| *owner != installation) {
            return Err(Fault::Foreign { installation: other.to_owned() });
        }
        Ok(found)
    }

    async fn mark(&self, found: Found, installation: &str) -> Result<(), Fault> {
        let is_other = |owner: &Option<String>| owner.as_deref() != Some(installation);
        for (name, _, body) in found.templates.into_iter().filter(|(_, owner, _)| is_other(owner)) {
            self.mark_template(&name, body, installation).await?;
        }
        for (name, _) in found.indices.iter().filter(|(_, owner)| is_other(owner)) {
            let body = json!({ "_meta": { KEY: installation } });
            match self.change(&format!("/{name}/_mapping"), body).await {
                // It has expired meanwhile.
                Err(fault) if fault.status() == Some(404) => {}
                marked => marked?,
            }
        }
        Ok(())
    }

    async fn mark_template(
        &self,
        name: &str,
        mut body: Value,
        installation: &str,
    ) -> Result<(), Fault> {
        body["template"]["mappings"]["_meta"][KEY] = json!(installation);
        self.change(&format!("/_index_template/{name}"), body).await
    }

    async fn change(&self, path: &str, body: Value) -> Result<(), Fault> {
        let call = Call {
            method: Method::Put,
            path,
            query: &[AGREED_WITHIN[0]],
            body: Body::Json(body),
            timeout: CHANGE_TIMEOUT,
        };
        self.client().done(call).await
    }

    async fn find_owners(&self) -> Result<Found, Fault> {
        let templates = self.templates().await?;
        let owned = templates.into_iter().map(|(name, body)| {
            let owner = owner(&body["template"]["mappings"]);
            (name, owner, body)
        });
        Ok(Found { templates: owned.collect(), indices: self.index_owners().await? })
    }

    /// Whose a template is to be that is written now: ours, or whose it was.
    pub(crate) async fn template_owner(&self, name: &str) -> Result<Option<String>, Fault> {
        if let Some(installation) = self.installation() {
            return Ok(Some(installation.to_owned()));
        }
        let templates = self.templates().await?;
        let body = templates.into_iter().find(|(found, _)| found == name);
        Ok(body.and_then(|(_, body)| owner(&body["template"]["mappings"])))
    }

    /// The templates of the prefix, of any version.
    async fn templates(&self) -> Result<Vec<(String, Value)>, Fault> {
        #[derive(Deserialize)]
        struct Answer {
            index_templates: Vec<Template>,
        }
        #[derive(Deserialize)]
        struct Template {
            name: String,
            index_template: Value,
        }
        let path = format!("/_index_template/{}", self.prefix().any_index());
        let answer: Option<Answer> = self.find(&path, &[]).await?;
        let templates = answer.map(|answer| answer.index_templates).unwrap_or_default();
        let ours = templates.into_iter().filter(|found| self.prefix().is_template(&found.name));
        Ok(ours.map(|found| (found.name, found.index_template)).collect())
    }

    async fn index_owners(&self) -> Result<Vec<(String, Option<String>)>, Fault> {
        let path = format!("/{}/_mapping", self.prefix().any_index());
        let only = [("filter_path", "*.mappings._meta")];
        let marked: Option<BTreeMap<String, Value>> = self.find(&path, &only).await?;
        let marked = marked.unwrap_or_default();
        let owned = self.indices().await?.into_iter().map(|state| {
            let name = state.name.to_string();
            let owner = marked.get(&name).and_then(|found| owner(&found["mappings"]));
            (name, owner)
        });
        Ok(owned.collect())
    }

    async fn find<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<T>, Fault> {
        let call =
            Call { method: Method::Get, path, query, body: Body::None, timeout: CHANGE_TIMEOUT };
        match self.client().json(call).await {
            Err(fault) if fault.status() == Some(404) => Ok(None),
            found => found.map(Some),
        }
    }
}

/// What a template says of its owner, for [`crate::template::template`].
pub(crate) fn meta(owner: &str) -> Value {
    json!({ KEY: owner })
}

fn owner(mappings: &Value) -> Option<String> {
    mappings["_meta"][KEY].as_str().map(str::to_owned)
}
