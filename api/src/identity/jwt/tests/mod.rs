//! What the tests of tokens and of key sets share: signers, and an identity provider.

mod key_sets;
mod tokens;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, encode};
use serde_json::json;
use tempfile::TempPath;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::*;

const TENANT: &str = "00000000-0000-7000-8000-000000000001";
const MINUTE: Duration = Duration::from_mins(1);

/// Somebody who signs tokens.
#[derive(Clone)]
struct Signer {
    header: Header,
    key: EncodingKey,
    jwk: Value,
}

impl Signer {
    fn new(kid: &str, algorithm: Algorithm, key: EncodingKey) -> Self {
        let jwk = Jwk::from_encoding_key(&key, algorithm).expect("public half");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = kid.into();
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
        Self { header, key, jwk }
    }

    fn hs256(kid: &str) -> Self {
        let secret: [u8; 32] = rand::random();
        Self::new(kid, Algorithm::HS256, EncodingKey::from_secret(&secret))
    }

    fn rs256(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
        let body = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        Self::new(kid, Algorithm::RS256, EncodingKey::from_rsa_pem(pem.as_bytes()).expect("PEM"))
    }

    fn es256(kid: &str) -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let key = EncodingKey::from_ec_der(der.expect("key").as_ref());
        Self::new(kid, Algorithm::ES256, key)
    }

    fn eddsa(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("key");
        let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().expect("DER").as_ref());
        Self::new(kid, Algorithm::EdDSA, key)
    }

    /// The same key, and tokens that don't name it.
    fn nameless(&self) -> Self {
        let mut signer = self.clone();
        signer.header.kid = None;
        signer
    }

    fn sign(&self, claims: &Value) -> String {
        encode(&self.header, claims, &self.key).expect("token")
    }

    fn token(&self) -> String {
        self.sign(&claims())
    }
}

fn in_seconds(seconds: i64) -> i64 {
    i64::try_from(jsonwebtoken::get_current_timestamp()).expect("today") + seconds
}

fn claims() -> Value {
    json!({"exp": in_seconds(600), "tenant_id": TENANT, "sub": "alice", "role": "admin"})
}

fn claims_with(other: &Value) -> Value {
    merged(claims(), other)
}

fn merged(mut claims: Value, other: &Value) -> Value {
    for (name, value) in other.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<_> = signers.iter().map(|signer| &signer.jwk).collect();
    json!({ "keys": keys }).to_string()
}

fn settings() -> JwtArgs {
    JwtArgs {
        jwt_jwks: None,
        jwt_issuer: None,
        jwt_audience: None,
        jwt_leeway_s: 60,
        jwt_claim_tenant: "tenant_id".to_owned(),
        jwt_claim_role: "role".to_owned(),
        jwt_claim_user: "sub".to_owned(),
    }
}

fn with_jwks(jwks: &str) -> JwtArgs {
    JwtArgs { jwt_jwks: Some(jwks.to_owned()), ..settings() }
}

/// A verifier of a file that holds this, and the file.
async fn with_file(content: &str, settings: JwtArgs) -> anyhow::Result<(JwtVerifier, TempPath)> {
    let file = tempfile::NamedTempFile::new()?.into_temp_path();
    fs::write(&file, content)?;
    let jwt_jwks = file.to_str().map(str::to_owned);
    Ok((JwtVerifier::new(&JwtArgs { jwt_jwks, ..settings }).await?, file))
}

async fn of(signers: &[&Signer]) -> JwtVerifier {
    with_file(&jwks(signers), settings()).await.expect("verifier").0
}

fn bearing(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("header");
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

impl JwtVerifier {
    async fn judge(&self, token: &str) -> Result<(), Unproved> {
        self.judge_at(token, Instant::now()).await
    }

    async fn judge_at(&self, token: &str, now: Instant) -> Result<(), Unproved> {
        self.verify_at(&bearing(token), now).await.map(drop)
    }
}

/// An identity provider: answers while nobody holds `gate`, and counts.
struct Provider {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
    gate: Arc<Mutex<()>>,
    hits: Arc<AtomicUsize>,
}

impl Provider {
    async fn start(jwks: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let url = format!("http://{}/jwks", listener.local_addr().expect("address"));
        let answer = Arc::new(Mutex::new((200, jwks.to_owned())));
        let provider = Self { url, answer, gate: Arc::default(), hits: Arc::default() };
        let (answer, gate, hits) =
            (provider.answer.clone(), provider.gate.clone(), provider.hits.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4_096]).await;
                hits.fetch_add(1, Ordering::SeqCst);
                let _open = gate.lock().await;
                let (status, body) = answer.lock().await.clone();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nlocation: /jwks\r\nconnection: close\r\n\
                     content-length: {length}\r\n\r\n"
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        provider
    }

    async fn answer(&self, status: u16, body: &str) {
        *self.answer.lock().await = (status, body.to_owned());
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    async fn verifier(&self) -> JwtVerifier {
        JwtVerifier::new(&with_jwks(&self.url)).await.expect("verifier")
    }
}

/// Asks again until the verdict is the expected one.
async fn eventually(
    verifier: &JwtVerifier,
    token: &str,
    now: Instant,
    expected: Result<(), Unproved>,
) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while verifier.judge_at(token, now).await != expected {
        assert!(Instant::now() < deadline, "never became {expected:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
