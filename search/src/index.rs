//! The index of the log, as its users reach it.

use std::sync::Arc;
use std::time::Duration;

use opensearch::http::Method;
use serde::Deserialize;
use url::Url;

use crate::Fault;
use crate::client::{Body, Call, Client};
use crate::names::{Prefix, TEMPLATE};

/// How to prove to OpenSearch who we are.
#[derive(Clone)]
pub enum Auth {
    /// Not at all.
    None,
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// Signed requests, for Amazon OpenSearch Service.
    Aws(Box<aws_config::SdkConfig>),
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic",
            Self::Aws(_) => "Aws",
        })
    }
}

/// Where the index is.
#[derive(Debug, Clone)]
pub struct IndexSettings {
    /// OpenSearch.
    pub url: Url,
    /// Who we are.
    pub auth: Auth,
    /// What the names of our indices begin with.
    pub prefix: Prefix,
}

/// The index of all logs; cheap to clone.
#[derive(Debug, Clone)]
pub struct Index {
    client: Client,
    prefix: Prefix,
    installation: Option<Arc<str>>,
}

/// An OpenSearch that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Such as `3.8.0`.
    pub version: String,
    /// Whether this program's template is there.
    pub has_template: bool,
}

impl Index {
    /// Does not connect yet.
    pub fn new(settings: &IndexSettings) -> Result<Self, Fault> {
        let (client, prefix) = (Client::new(settings)?, settings.prefix.clone());
        Ok(Self { client, prefix, installation: None })
    }

    /// The same, used by this installation: what it makes is marked as its own.
    #[must_use]
    pub fn of_installation(self, installation: &str) -> Self {
        Self { installation: Some(installation.into()), ..self }
    }

    /// Who answers, and whether it was set up; for probes.
    pub async fn facts(&self, timeout: Duration) -> Result<Facts, Fault> {
        #[derive(Deserialize)]
        struct Root {
            version: Version,
        }
        #[derive(Deserialize)]
        struct Version {
            number: String,
        }
        let body = Body::None;
        let call = Call { method: Method::Get, path: "/", query: &[], body, timeout };
        let root: Root = self.client.json(call).await?;
        let has_template = self.has_template(TEMPLATE, timeout).await?;
        Ok(Facts { version: root.version.number, has_template })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Who uses it, if they say so.
    pub(crate) fn installation(&self) -> Option<&str> {
        self.installation.as_deref()
    }

    pub(crate) fn prefix(&self) -> &Prefix {
        &self.prefix
    }
}
