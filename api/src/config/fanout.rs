//! Settings of the way from the log to the search index, and of searching there.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use search::{AuthChoice, Index, IndexSettings, Login, Prefix};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::secret_or_file;

/// Where new entries are announced. The usual AWS variables say where SQS is and who we are.
#[derive(Debug, Clone, Args)]
pub struct QueueArgs {
    /// SQS queue that new entries are sent to; without it nothing is indexed
    #[arg(long, env = "AUDIT_QUEUE_URL", value_name = "URL")]
    pub queue_url: Option<Url>,
    /// What one send to the queue holds at most, in KiB, over all its messages
    #[arg(long, env = "AUDIT_QUEUE_SEND_KIB", default_value_t = 240, value_name = "KIB",
          value_parser = clap::value_parser!(u32).range(80..=1_000))]
    pub queue_send_kib: u32,
}

/// Where the search index is.
#[derive(Debug, Clone, Args)]
pub struct SearchArgs {
    /// OpenSearch that holds the index; without it searches read the log
    #[arg(long, env = "AUDIT_SEARCH_URL", value_name = "URL")]
    pub search_url: Option<Url>,
    /// How to prove to OpenSearch who we are; `auto`: basic with a user, aws with a host of AWS
    #[arg(long, env = "AUDIT_SEARCH_AUTH", default_value = "auto")]
    pub search_auth: SearchAuth,
    /// User of OpenSearch
    #[arg(long, env = "AUDIT_SEARCH_USER", value_name = "NAME")]
    pub search_user: Option<String>,
    /// The user's password
    #[arg(long, env = "AUDIT_SEARCH_PASSWORD", hide_env_values = true, value_name = "SECRET")]
    pub search_password: Option<SecretString>,
    #[arg(long, env = "AUDIT_SEARCH_PASSWORD_FILE", value_name = "FILE", hide = true)]
    search_password_file: Option<PathBuf>,
    /// Milliseconds that OpenSearch may take for a search before the log answers instead
    #[arg(long, env = "AUDIT_SEARCH_TIMEOUT_MS", default_value_t = 1_000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(50..=10_000))]
    pub search_timeout_ms: u64,
    /// What the names of our indices begin with
    #[arg(long, env = "AUDIT_SEARCH_PREFIX", default_value = "audit-logs", value_name = "NAME")]
    pub search_prefix: String,
}

/// How to prove to OpenSearch who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SearchAuth {
    /// By what else is set.
    Auto,
    /// Not at all.
    None,
    /// A user and a password.
    Basic,
    /// Signed requests, for Amazon OpenSearch Service.
    Aws,
}

impl QueueArgs {
    /// The queue's URL, where there is one.
    pub fn url(&self) -> anyhow::Result<Option<&Url>> {
        let Some(url) = &self.queue_url else { return Ok(None) };
        // The URL itself is not repeated: it may hold a password.
        ensure!(
            matches!(url.scheme(), "http" | "https"),
            "AUDIT_QUEUE_URL must begin with http:// or https://"
        );
        Ok(Some(url))
    }
}

impl SearchArgs {
    /// The password, wherever it came from.
    pub fn password(&self) -> anyhow::Result<Option<SecretString>> {
        secret_or_file(
            "AUDIT_SEARCH_PASSWORD",
            self.search_password.as_ref(),
            self.search_password_file.as_ref(),
        )
    }

    /// The index; `None` where there is none. Does not connect yet.
    pub async fn index(&self) -> anyhow::Result<Option<Index>> {
        let Some(url) = self.search_url.clone() else { return Ok(None) };
        search::check_url(&url).context("AUDIT_SEARCH_URL")?;
        let prefix = Prefix::parse(&self.search_prefix).context("AUDIT_SEARCH_PREFIX")?;
        let password = self.password()?.map(|password| password.expose_secret().to_owned());
        let login =
            Login { choice: self.search_auth.into(), user: self.search_user.clone(), password };
        let auth = login.auth(&url).await;
        let auth =
            auth.context("AUDIT_SEARCH_AUTH: see AUDIT_SEARCH_USER, AUDIT_SEARCH_PASSWORD")?;
        Ok(Some(Index::new(&IndexSettings { url, auth, prefix })?))
    }
}

impl From<SearchAuth> for AuthChoice {
    fn from(auth: SearchAuth) -> Self {
        match auth {
            SearchAuth::Auto => Self::Auto,
            SearchAuth::None => Self::None,
            SearchAuth::Basic => Self::Basic,
            SearchAuth::Aws => Self::Aws,
        }
    }
}
