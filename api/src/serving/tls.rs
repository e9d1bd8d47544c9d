//! TLS, with a certificate that can be changed while the service runs.
//!
//! Connections keep what they began with. Files that cannot be used change nothing: what was
//! loaded before stays in use, and the log says why.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{DEFAULT_VERSIONS, ServerConfig};
use tokio_rustls::server::TlsStream;
use tracing::{info, warn};

/// How often the files are looked at, without a signal.
const PERIOD: Duration = Duration::from_secs(5);

/// What is read of a file; a chain of certificates has some KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Certificates that may stand in the file, ours and those that lead to its root.
const CHAIN_MAX: usize = 16;

/// Where certificate and key are, in PEM.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate, and those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// See the module.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    config: RwLock<Arc<ServerConfig>>,
    /// What was tried last, so that what is wrong is told once.
    tried: Mutex<[u8; 32]>,
}

/// What stands in the files.
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads the files.
    pub async fn load(files: Files) -> anyhow::Result<Self> {
        let pem = Pem::read(&files).await?;
        let config = RwLock::new(pem.config()?);
        Ok(Self { files, config, tried: Mutex::new(pem.digest()) })
    }

    /// Shakes hands; whoever waits for it says for how long.
    pub(super) async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(socket).await
    }

    /// Looks at the files from time to time and when it is told to, for ever.
    pub(super) async fn watch(&self) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            tokio::select! {
                () = sleep(PERIOD) => self.reload(false).await,
                () = hung_up(hangup.as_mut()) => self.reload(true).await,
            }
        }
    }

    /// Takes what is in the files now, unless that was tried before and nobody insists.
    async fn reload(&self, is_asked_for: bool) {
        let pem = Pem::read(&self.files).await;
        // Files that cannot be read have no digest; none of real ones is all zeros.
        let is_news = self.note(pem.as_ref().map_or([0; 32], Pem::digest));
        if !is_news && !is_asked_for {
            return;
        }
        match pem.and_then(|pem| pem.config()) {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                info!("certificate and key are loaded anew: new connections get them");
            }
            Err(error) => {
                let error = format!("{error:#}");
                warn!(error, "certificate or key cannot be used: those before stay in use");
            }
        }
    }

    /// Whether this is not what was tried last.
    fn note(&self, digest: [u8; 32]) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *tried, digest) != digest
    }
}

async fn hung_up(signal: Option<&mut Signal>) {
    let told = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if told.is_none() {
        std::future::pending::<()>().await;
    }
}

impl Pem {
    async fn read(files: &Files) -> anyhow::Result<Self> {
        let read = async |path: &PathBuf| {
            let mut bytes = Vec::new();
            let reading = async {
                File::open(path).await?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).await
            };
            reading.await.with_context(|| format!("cannot read {}", path.display()))?;
            Ok::<_, anyhow::Error>(bytes)
        };
        Ok(Self { certificate: read(&files.certificate).await?, key: read(&files.key).await? })
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::new().chain_update(&self.certificate).chain_update(&self.key).finalize().into()
    }

    fn config(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let chain =
            CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.context("the certificate is not readable PEM")?;
        ensure!(!chain.is_empty(), "the certificate's file holds none");
        ensure!(chain.len() <= CHAIN_MAX, "the certificate's file holds more than {CHAIN_MAX}");
        // Whatever is wrong with the key, nothing of it goes into an error.
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| anyhow::anyhow!("the key is not readable PEM, or is encrypted"))?;
        let mut config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(DEFAULT_VERSIONS)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .context("certificate and key do not belong together, or cannot be used")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
