//! Settings of connections.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;

use crate::serving::Times;
use crate::serving::places::{Places, fitting};
use crate::serving::tls::Files;

/// Settings of connections.
#[derive(Debug, Clone, Args)]
pub struct ConnectionArgs {
    /// Connections at a time; unset: what the limit of open files allows, up to 20000
    #[arg(long, env = "AUDIT_CONNECTIONS_MAX", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_max: Option<u32>,
    /// Connections of one address at a time; unset: as many as in all
    #[arg(long, env = "AUDIT_CONNECTIONS_ADDRESS_MAX", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_address_max: Option<u32>,
    /// Seconds in which a request's head must come
    #[arg(long, env = "AUDIT_HEAD_TIMEOUT_S", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub head_timeout_s: u64,
    /// Seconds that a connection may be silent between requests
    #[arg(long, env = "AUDIT_IDLE_TIMEOUT_S", default_value_t = 75, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub idle_timeout_s: u64,
    /// Certificate for TLS, a PEM file with those that lead to its root; unset: no TLS
    #[arg(long, env = "AUDIT_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of that certificate, a PEM file that is not encrypted
    #[arg(long, env = "AUDIT_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Divides the times of connections, for tests
    #[arg(long, default_value_t = 1, hide = true)]
    pub connection_hurry: u32,
}

impl ConnectionArgs {
    /// How long what may take.
    pub fn times(&self) -> Times {
        let head = Duration::from_secs(self.head_timeout_s);
        Times::new(head, Duration::from_secs(self.idle_timeout_s), self.connection_hurry)
    }

    /// Where certificate and key are, if there is to be TLS.
    pub fn tls_files(&self) -> anyhow::Result<Option<Files>> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Ok(Some(Files { certificate: certificate.clone(), key: key.clone() }))
            }
            (None, None) => Ok(None),
            (Some(_), None) => bail!("AUDIT_TLS_CERT needs AUDIT_TLS_KEY, the certificate's key"),
            (None, Some(_)) => bail!("AUDIT_TLS_KEY needs AUDIT_TLS_CERT, the key's certificate"),
        }
    }

    /// How many connections there may be, where so many files may be open.
    pub fn places(&self, files_max: u64) -> Places {
        let all = self.connections_max.map_or_else(|| fitting(files_max), |max| max as usize);
        Places::new(all, self.connections_address_max.map(|max| max as usize))
    }
}
