//! Settings that say where the log is kept, and as whom to go there.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use secrecy::SecretString;

use super::secret_or_file;

const OWNER: &str = "AUDIT_DATABASE_URL";
const READER: &str = "AUDIT_READER_DATABASE_URL";
const WRITER: &str = "AUDIT_WRITER_DATABASE_URL";
const WORKER: &str = "AUDIT_WORKER_DATABASE_URL";

/// The one database URL that is enough alone.
#[derive(Debug, Args)]
pub struct OwnerArgs {
    /// PostgreSQL as the owner: `migrate` works as it, `serve` steps down to restricted roles
    #[arg(long, env = OWNER, hide_env_values = true, value_name = "URL")]
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
    #[arg(long, env = READER, hide_env_values = true, value_name = "URL")]
    pub reader_database_url: Option<SecretString>,
    #[arg(long, env = "AUDIT_READER_DATABASE_URL_FILE", value_name = "FILE", hide = true)]
    reader_database_url_file: Option<PathBuf>,
    /// PostgreSQL for writing, as a member of `audit_writer`
    #[arg(long, env = WRITER, hide_env_values = true, value_name = "URL")]
    pub writer_database_url: Option<SecretString>,
    #[arg(long, env = "AUDIT_WRITER_DATABASE_URL_FILE", value_name = "FILE", hide = true)]
    writer_database_url_file: Option<PathBuf>,
    /// PostgreSQL for upkeep, as a member of `audit_worker`
    #[arg(long, env = WORKER, hide_env_values = true, value_name = "URL")]
    pub worker_database_url: Option<SecretString>,
    #[arg(long, env = "AUDIT_WORKER_DATABASE_URL_FILE", value_name = "FILE", hide = true)]
    worker_database_url_file: Option<PathBuf>,
}

/// A database URL, and the setting that it came from: the URL itself is never told.
#[derive(Debug, Clone)]
pub struct DatabaseUrl {
    /// What to call it by.
    pub setting: &'static str,
    /// It may hold a password.
    pub url: SecretString,
}

/// One database URL for each role.
#[derive(Debug, Clone)]
pub struct DatabaseUrls {
    /// For handlers that read.
    pub reader: DatabaseUrl,
    /// For the writer.
    pub writer: DatabaseUrl,
    /// For upkeep.
    pub worker: DatabaseUrl,
    /// Whether any of them is the owner's, stepping down after login.
    pub shared: bool,
}

impl DatabaseUrl {
    fn read(
        setting: &'static str,
        value: Option<&SecretString>,
        file: Option<&PathBuf>,
    ) -> anyhow::Result<Option<Self>> {
        let url = secret_or_file(setting, value, file)?;
        Ok(url.map(|url| Self { setting, url }))
    }
}

impl DatabaseUrls {
    /// The owner's for all roles.
    pub fn of_owner(owner: DatabaseUrl) -> Self {
        Self { reader: owner.clone(), writer: owner.clone(), worker: owner, shared: true }
    }
}

impl OwnerArgs {
    /// The URL, wherever it came from.
    pub fn url(&self) -> anyhow::Result<Option<DatabaseUrl>> {
        DatabaseUrl::read(OWNER, self.database_url.as_ref(), self.database_url_file.as_ref())
    }
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
        let reader = DatabaseUrl::read(
            READER,
            self.reader_database_url.as_ref(),
            self.reader_database_url_file.as_ref(),
        )?;
        let writer = DatabaseUrl::read(
            WRITER,
            self.writer_database_url.as_ref(),
            self.writer_database_url_file.as_ref(),
        )?;
        let worker = DatabaseUrl::read(
            WORKER,
            self.worker_database_url.as_ref(),
            self.worker_database_url_file.as_ref(),
        )?;
        let shared = reader.is_none() || writer.is_none() || worker.is_none();
        let or_owner = |url: Option<DatabaseUrl>, setting: &str| {
            url.or_else(|| owner.clone())
                .with_context(|| format!("set {OWNER} (or {setting}) to a PostgreSQL URL"))
        };
        Ok(DatabaseUrls {
            reader: or_owner(reader, READER)?,
            writer: or_owner(writer, WRITER)?,
            worker: or_owner(worker, WORKER)?,
            shared,
        })
    }
}
