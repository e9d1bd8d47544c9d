//! Settings that say where the log is kept, and as whom to go there.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use secrecy::SecretString;

use super::secret_or_file;

/// The one database URL that is enough alone.
#[derive(Debug, Args)]
pub struct OwnerArgs {
    /// PostgreSQL as the owner: `migrate` works as it, `serve` steps down to restricted roles
    #[arg(long, env = "AUDIT_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<SecretString>,
    #[arg(long, env = "AUDIT_DATABASE_URL_FILE", value_name = "FILE", hide = true)]
    database_url_file: Option<PathBuf>,
}

/// Where the log is kept, and as whom to go there.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// The URL that serves for each role not given its own.
    #[command(flatten)]
    pub owner: OwnerArgs,
    /// PostgreSQL for reading, as a member of `audit_reader`
    #[arg(long, env = "AUDIT_READER_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub reader_database_url: Option<SecretString>,
    #[arg(long, env = "AUDIT_READER_DATABASE_URL_FILE", value_name = "FILE", hide = true)]
    reader_database_url_file: Option<PathBuf>,
    /// PostgreSQL for writing, as a member of `audit_writer`
    #[arg(long, env = "AUDIT_WRITER_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub writer_database_url: Option<SecretString>,
    #[arg(long, env = "AUDIT_WRITER_DATABASE_URL_FILE", value_name = "FILE", hide = true)]
    writer_database_url_file: Option<PathBuf>,
    /// PostgreSQL for upkeep, as a member of `audit_worker`
    #[arg(long, env = "AUDIT_WORKER_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub worker_database_url: Option<SecretString>,
    #[arg(long, env = "AUDIT_WORKER_DATABASE_URL_FILE", value_name = "FILE", hide = true)]
    worker_database_url_file: Option<PathBuf>,
}

impl OwnerArgs {
    /// The URL, wherever it came from.
    pub fn url(&self) -> anyhow::Result<Option<SecretString>> {
        secret_or_file(
            "AUDIT_DATABASE_URL",
            self.database_url.as_ref(),
            self.database_url_file.as_ref(),
        )
    }
}

/// One database URL for each role.
#[derive(Debug, Clone)]
pub struct DatabaseUrls {
    /// For handlers that read.
    pub reader: SecretString,
    /// For the writer.
    pub writer: SecretString,
    /// For upkeep.
    pub worker: SecretString,
    /// Whether any of them is the owner's, stepping down after login.
    pub shared: bool,
}

impl DatabaseArgs {
    /// Whether any of them is given.
    pub fn is_set(&self) -> bool {
        let urls = [
            &self.owner.database_url,
            &self.reader_database_url,
            &self.writer_database_url,
            &self.worker_database_url,
        ];
        let files = [
            &self.owner.database_url_file,
            &self.reader_database_url_file,
            &self.writer_database_url_file,
            &self.worker_database_url_file,
        ];
        urls.iter().any(|url| url.is_some()) || files.iter().any(|file| file.is_some())
    }

    /// One URL for each role: its own, or the owner's.
    pub fn urls(&self) -> anyhow::Result<DatabaseUrls> {
        let owner = self.owner.url()?;
        let reader = secret_or_file(
            "AUDIT_READER_DATABASE_URL",
            self.reader_database_url.as_ref(),
            self.reader_database_url_file.as_ref(),
        )?;
        let writer = secret_or_file(
            "AUDIT_WRITER_DATABASE_URL",
            self.writer_database_url.as_ref(),
            self.writer_database_url_file.as_ref(),
        )?;
        let worker = secret_or_file(
            "AUDIT_WORKER_DATABASE_URL",
            self.worker_database_url.as_ref(),
            self.worker_database_url_file.as_ref(),
        )?;
        let shared = reader.is_none() || writer.is_none() || worker.is_none();
        let or_owner = |url: Option<SecretString>, name: &str| {
            url.or_else(|| owner.clone())
                .with_context(|| format!("set AUDIT_DATABASE_URL (or {name}) to a PostgreSQL URL"))
        };
        Ok(DatabaseUrls {
            reader: or_owner(reader, "AUDIT_READER_DATABASE_URL")?,
            writer: or_owner(writer, "AUDIT_WRITER_DATABASE_URL")?,
            worker: or_owner(worker, "AUDIT_WORKER_DATABASE_URL")?,
            shared,
        })
    }
}
