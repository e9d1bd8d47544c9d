//! TLS: spoken, renewed while it is spoken, and refused when it cannot be.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::generate_simple_self_signed;
use reqwest::{Certificate, Client};
use tempfile::TempDir;

use super::{HEALTHZ, ask, connect, is_cut_within};
use crate::support::app::SECRET;
use crate::support::command::{self, Running};
use crate::support::database::TestDb;
use crate::support::service::free_port;
use crate::support::{eventually, exposition};

const GATEWAY: (&str, &str) = ("AUDIT_GATEWAY_SECRET", SECRET);

/// How long a new certificate may take until it is served, without a signal.
const RENEWED_WITHIN: Duration = Duration::from_secs(15);

/// A certificate and its key, in PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = generate_simple_self_signed(names).unwrap();
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    /// Somebody who trusts these and nobody else, with a new connection for each request.
    fn client_of(pairs: &[&Self]) -> Client {
        let certificates = pairs.iter().map(|pair| pair.certificate());
        let client = Client::builder().tls_certs_only(certificates).pool_max_idle_per_host(0);
        client.timeout(Duration::from_secs(10)).build().unwrap()
    }

    fn certificate(&self) -> Certificate {
        Certificate::from_pem(self.certificate.as_bytes()).unwrap()
    }
}

/// Where the service looks for them.
struct Files(TempDir);

impl Files {
    fn of(pair: &Pair) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.put(pair);
        files
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    /// One file after the other, as an operator does.
    fn put(&self, pair: &Pair) {
        std::fs::write(self.certificate(), &pair.certificate).unwrap();
        std::fs::write(self.key(), &pair.key).unwrap();
    }

    async fn serve(&self, db: &TestDb, more: &[(&str, &str)]) -> Running {
        let (certificate, key, url) = (self.certificate(), self.key(), db.url());
        let env: [(&str, &str); 5] = [
            GATEWAY,
            ("AUDIT_DATABASE_URL", url.as_str()),
            ("AUDIT_TLS_CERT", certificate.to_str().unwrap()),
            ("AUDIT_TLS_KEY", key.to_str().unwrap()),
            ("AUDIT_HEAD_TIMEOUT_S", "3"),
        ];
        Running::serve(&[], &[&env[..], more].concat()).await
    }
}

async fn is_healthy(client: &Client, service: &Running) -> bool {
    let url = format!("{}/healthz", service.base.replace("http://", "https://"));
    client.get(url).send().await.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_under_load_and_a_bad_one_changes_nothing() {
    let (old, new) = (Pair::new(), Pair::new());
    let files = Files::of(&old);
    let db = TestDb::new().await;
    let service = Arc::new(files.serve(&db, &[]).await);
    let (of_old, of_new) = (Pair::client_of(&[&old]), Pair::client_of(&[&new]));
    assert!(is_healthy(&of_old, &service).await);
    assert!(!is_healthy(&of_new, &service).await, "a client that does not know it goes away");

    let (done, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = tokio::spawn({
        let (service, done, served) = (service.clone(), done.clone(), served.clone());
        let client = Pair::client_of(&[&old, &new]);
        async move {
            while !done.load(Ordering::Relaxed) {
                assert!(is_healthy(&client, &service).await, "a request failed meanwhile");
                served.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    files.put(&new);
    eventually("the new certificate is served", RENEWED_WITHIN, async || {
        is_healthy(&of_new, &service).await
    })
    .await;
    assert!(!is_healthy(&of_old, &service).await);

    // A key of another certificate, no PEM, no file: each is told, and nothing changes.
    std::fs::write(files.key(), &old.key).unwrap();
    service.hang_up();
    std::fs::write(files.certificate(), "no certificate").unwrap();
    service.hang_up();
    std::fs::remove_file(files.key()).unwrap();
    service.hang_up();
    let before = served.load(Ordering::Relaxed);
    eventually("requests go on", RENEWED_WITHIN, async || {
        served.load(Ordering::Relaxed) > before + 50
    })
    .await;
    assert!(is_healthy(&of_new, &service).await);

    files.put(&old);
    service.hang_up();
    eventually("a signal is enough", RENEWED_WITHIN, async || is_healthy(&of_old, &service).await)
        .await;
    done.store(true, Ordering::Relaxed);
    load.await.unwrap();
    let (code, log) = Arc::into_inner(service).unwrap().stop().await;
    assert_eq!(code, Some(0));
    let told = log.iter().filter(|line| line.contains("those before stay in use")).count();
    assert!(told >= 1, "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("PRIVATE KEY")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_shake_hands_is_cut_and_counted() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let db = TestDb::new().await;
    let admin = format!("127.0.0.1:{}", free_port());
    let service = files.serve(&db, &[("AUDIT_ADMIN_LISTEN", &admin)]).await;
    let mut silent = connect(&service.base).await;
    assert!(is_cut_within(&mut silent, Duration::from_secs(8)).await);
    let plain = ask(&mut connect(&service.base).await, HEALTHZ).await;
    assert!(!plain.is_ok_and(|answer| answer.starts_with("HTTP")), "nothing is told in the clear");
    assert!(is_healthy(&Pair::client_of(&[&pair]), &service).await);
    let scrape = exposition::scrape(&format!("http://{admin}")).await;
    let slow = scrape.get("audit_connections_cut_total{state=\"handshake\"}");
    let failed = scrape.get("audit_tls_handshakes_failed_total");
    assert_eq!((slow, failed), (1.0, 1.0));
    assert!(scrape.is("audit_connections{state=\"handshake\"}", 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_usable_certificate_the_service_does_not_start() {
    let (pair, other) = (Pair::new(), Pair::new());
    let files = Files::of(&pair);
    std::fs::write(files.key(), &other.key).unwrap();
    let (certificate, key) = (files.certificate(), files.key());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    for (certificate, key, says) in [
        (certificate, key, "do not belong together"),
        (key, key, "holds none"),
        (certificate, certificate, "the key is not readable"),
        ("/nowhere/certificate", key, "/nowhere/certificate"),
    ] {
        let env = [
            GATEWAY,
            ("AUDIT_LISTEN", "127.0.0.1:0"),
            ("AUDIT_DATABASE_URL", "postgres://127.0.0.1:1/x"),
            ("AUDIT_TLS_CERT", certificate),
            ("AUDIT_TLS_KEY", key),
        ];
        let ended = command::run(&["serve"], &env).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(says), "{says}: {ended:?}");
        assert!(!ended.stderr.contains("PRIVATE KEY"));
    }
}
