//! The template, and the index and aliases of a month: made where they are missing, by whoever comes
//! first.

use std::time::Duration;

use opensearch::http::Method;
use serde_json::{Value, json};

use crate::client::{Body, Call};
use crate::names::{IndexName, Month, TEMPLATE};
use crate::template::{Shape, template};
use crate::{Fault, Index};

/// One change of the cluster's state.
pub(crate) const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the cluster itself may take for it: less, so that its answer comes.
pub(crate) const AGREED_WITHIN: [(&str, &str); 2] =
    [("cluster_manager_timeout", "10s"), ("timeout", "10s")];

impl Index {
    /// Makes this program's template, or gives it this shape.
    ///
    /// Each version has a template of its own, so an older program that comes later takes nothing
    /// from a newer one. Indices that exist stay as they are. What is another installation's is
    /// refused, what is nobody's marked.
    pub async fn set_up(&self, shape: Shape) -> Result<(), Fault> {
        self.check_owner().await?;
        self.put_template(shape, false).await?;
        self.claim().await
    }

    /// Makes the index of a month with its aliases, if nobody else does.
    pub async fn make_month(&self, month: Month) -> Result<(), Fault> {
        if !self.has_template(TEMPLATE, CHANGE_TIMEOUT).await? {
            self.make_template().await?;
        }
        let index = self.prefix().first_index(month);
        let aliases = json!({
            self.prefix().read_alias(): {},
            self.prefix().write_alias(month): { "is_write_index": true },
        });
        match self.create(&index, json!({ "aliases": aliases })).await {
            // Another Lambda was faster, perhaps one of another version, or the index had lost its
            // alias.
            Err(Fault::Refused { status: 400, .. }) => self.adopt(&index).await,
            made => made,
        }
    }

    /// With what `migrate` would take unless told; unless it is there by now.
    async fn make_template(&self) -> Result<(), Fault> {
        match self.put_template(Shape::default(), true).await {
            Err(fault) if fault.status() == Some(400) => {
                if self.has_template(TEMPLATE, CHANGE_TIMEOUT).await? { Ok(()) } else { Err(fault) }
            }
            made => made,
        }
    }

    async fn put_template(&self, shape: Shape, only_new: bool) -> Result<(), Fault> {
        let only_new = if only_new { "true" } else { "false" };
        let name = self.prefix().template(TEMPLATE);
        let owner = self.template_owner(&name).await?;
        let call = Call {
            method: Method::Put,
            path: &format!("/_index_template/{name}"),
            query: &[("create", only_new), AGREED_WITHIN[0]],
            body: Body::Json(template(self.prefix(), shape, owner.as_deref())),
            timeout: CHANGE_TIMEOUT,
        };
        self.client().done(call).await
    }

    pub(crate) async fn has_template(
        &self,
        template: u32,
        timeout: Duration,
    ) -> Result<bool, Fault> {
        let path = format!("/_index_template/{}", self.prefix().template(template));
        self.is_there(&path, timeout).await
    }

    pub(crate) async fn create(&self, index: &IndexName, body: Value) -> Result<(), Fault> {
        let call = Call {
            method: Method::Put,
            path: &format!("/{index}"),
            query: &AGREED_WITHIN,
            body: Body::Json(body),
            timeout: CHANGE_TIMEOUT,
        };
        self.client().done(call).await
    }

    /// Gives the aliases to an index that exists without them, unless the month has some by now.
    async fn adopt(&self, index: &IndexName) -> Result<(), Fault> {
        let write_alias = self.prefix().write_alias(index.month());
        if self.is_there(&format!("/_alias/{write_alias}"), CHANGE_TIMEOUT).await? {
            return Ok(());
        }
        let name = index.to_string();
        self.change_aliases(vec![
            json!({ "add": { "index": name, "alias": self.prefix().read_alias() } }),
            json!({ "add": { "index": name, "alias": write_alias, "is_write_index": true } }),
        ])
        .await
    }

    /// All of the actions, or none.
    pub(crate) async fn change_aliases(&self, actions: Vec<Value>) -> Result<(), Fault> {
        let call = Call {
            method: Method::Post,
            path: "/_aliases",
            query: &AGREED_WITHIN,
            body: Body::Json(json!({ "actions": actions })),
            timeout: CHANGE_TIMEOUT,
        };
        self.client().done(call).await
    }

    async fn is_there(&self, path: &str, timeout: Duration) -> Result<bool, Fault> {
        let body = Body::None;
        let call = Call { method: Method::Get, path, query: &[], body, timeout };
        match self.client().json::<Value>(call).await {
            Ok(_) => Ok(true),
            Err(fault) if fault.status() == Some(404) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}
