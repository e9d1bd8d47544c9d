//! The keys that sign tokens: a JSON Web Key Set, from a file or a URL.
//!
//! Loaded again when a token names a key that we don't know, and when older than ten minutes,
//! so that a key that was taken out stops working. At most once a minute in all: made-up key
//! names must not turn this service against its identity provider.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::{KEYS_NOT_LOADED, UNCLEAR_KEY, UNKNOWN_KEY, Unproved, WRONG_ALGORITHM};

/// Shortest time between two attempts to load the set.
const ATTEMPT_INTERVAL: Duration = Duration::from_mins(1);

/// Age at which a set in use is loaded again.
const STALE_AFTER: Duration = Duration::from_mins(10);

/// Age at which a set that cannot be loaded again is worth an alarm.
const ALARM_AFTER: Duration = Duration::from_hours(24);

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const SET_BYTES_MAX: usize = 1_024 * 1_024;
const SET_KEYS_MAX: usize = 100;
const RSA_BITS_MIN: usize = 2_048;
const SECRET_BYTES_MIN: usize = 32;

/// Whether `AUDIT_JWT_JWKS` names a URL, not a file.
pub(crate) fn is_url(source: &str) -> bool {
    source.contains("://")
}

/// Where the set is.
pub(super) enum Source {
    File(PathBuf),
    Url(Url, Client),
}

impl Source {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        if !is_url(text) {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let url = Url::parse(text).context("AUDIT_JWT_JWKS is not a URL")?;
        let loopback = url.host_str().is_some_and(is_loopback);
        if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
            bail!("AUDIT_JWT_JWKS must be a file or an https URL (http for this very host only)");
        }
        let mut client =
            Client::builder().timeout(FETCH_TIMEOUT).no_gzip().redirect(Policy::none());
        if loopback {
            client = client.no_proxy();
        }
        Ok(Self::Url(url, client.build().context("cannot make a client for AUDIT_JWT_JWKS")?))
    }

    pub(super) async fn load(&self, now: Instant) -> anyhow::Result<KeySet> {
        let (json, local) = match self {
            Self::File(path) => (tokio::fs::read(path).await.map_err(anyhow::Error::from), true),
            Self::Url(url, client) => (fetch(url, client).await, false),
        };
        json.and_then(|json| KeySet::parse(&json, local, now))
            .with_context(|| format!("cannot load the key set of AUDIT_JWT_JWKS, {self}"))
    }
}

/// Without what a URL may hold of secrets: user, path, query.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url, _) => f.write_str(&url.origin().ascii_serialization()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

async fn fetch(url: &Url, client: &Client) -> anyhow::Result<Vec<u8>> {
    let response = client.get(url.clone()).send().await;
    let mut response = response.map_err(reqwest::Error::without_url)?;
    let status = response.status();
    ensure!(status == StatusCode::OK, "it answered {status}, not 200 OK");
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        ensure!(body.len() + chunk.len() <= SET_BYTES_MAX, "its answer is larger than 1 MiB");
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The current set, and when to get the next.
#[derive(Debug)]
pub(super) struct Keyring {
    source: Source,
    current: RwLock<Arc<KeySet>>,
    /// When a load was last tried; held while one is under way.
    attempt: Mutex<Instant>,
}

impl Keyring {
    /// Loads the set. An identity provider that is down must not keep us from starting.
    pub(super) async fn open(source: Source) -> anyhow::Result<Self> {
        let now = Instant::now();
        let loaded = source.load(now).await;
        let set = match &source {
            Source::File(_) => loaded?
                .require_key()
                .with_context(|| format!("cannot use AUDIT_JWT_JWKS, {source}"))?,
            Source::Url(..) => loaded.unwrap_or_else(|error| {
                tracing::warn!("{error:#}; no token is accepted until that works");
                KeySet::default()
            }),
        };
        set.warn_of_ignored();
        Ok(Self { source, current: RwLock::new(Arc::new(set)), attempt: Mutex::new(now) })
    }

    /// The key that a token names, or else the only one that fits it.
    pub(super) async fn find(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: Instant,
    ) -> Result<Arc<Key>, Unproved> {
        let set = self.current();
        if set.age(now) >= Some(STALE_AFTER) && self.may_attempt(now) {
            drop(self.refresh(now));
        }
        match set.find(kid, algorithm) {
            Err(refusal) if refusal == UNKNOWN_KEY || refusal == KEYS_NOT_LOADED => {
                let _ = self.refresh(now).await;
                self.current().find(kid, algorithm)
            }
            found => found,
        }
    }

    fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Spares the requests a task each while an attempt is under way, or was just made.
    fn may_attempt(&self, now: Instant) -> bool {
        self.attempt
            .try_lock()
            .is_ok_and(|last| now.saturating_duration_since(*last) >= ATTEMPT_INTERVAL)
    }

    /// Loads the set again, unless that was tried within the last minute; who comes while it
    /// is under way waits for it.
    ///
    /// In a task of its own: a caller who hangs up must not take everybody's refresh along.
    fn refresh(self: &Arc<Self>, now: Instant) -> JoinHandle<()> {
        let keyring = Arc::clone(self);
        tokio::spawn(async move {
            let mut last = keyring.attempt.lock().await;
            if now.saturating_duration_since(*last) < ATTEMPT_INTERVAL {
                return;
            }
            *last = now;
            match keyring.source.load(now).await {
                Ok(set) => keyring.replace(set),
                Err(error) => keyring.complain(&error, now),
            }
        })
    }

    fn replace(&self, set: KeySet) {
        if set.ignored != self.current().ignored {
            set.warn_of_ignored();
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
    }

    fn complain(&self, error: &anyhow::Error, now: Instant) {
        if self.current().age(now) >= Some(ALARM_AFTER) {
            tracing::error!("{error:#}; keys more than a day old are still in use");
        } else {
            tracing::warn!("{error:#}; the keys loaded before stay in use");
        }
    }
}

/// One version of the set: the keys that can be used.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
    /// The others, and why not.
    ignored: Vec<String>,
    /// None before the first.
    loaded_at: Option<Instant>,
}

impl KeySet {
    /// Reads a set; only a local one may hold shared secrets.
    pub(super) fn parse(json: &[u8], local: bool, now: Instant) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct RawSet {
            keys: Vec<Value>,
        }
        ensure!(json.len() <= SET_BYTES_MAX, "it is larger than 1 MiB");
        // The error's own text may quote a key.
        let raw: RawSet = serde_json::from_slice(json).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            anyhow!("it is not a JSON Web Key Set, {{\"keys\": […]}}: line {line}, column {column}")
        })?;
        ensure!(raw.keys.len() <= SET_KEYS_MAX, "it holds more than {SET_KEYS_MAX} keys");
        let mut set = Self { loaded_at: Some(now), ..Self::default() };
        for (index, raw) in raw.keys.iter().enumerate() {
            match Key::read(raw, local) {
                Ok(key) => set.keys.push(Arc::new(key)),
                Err(problem) => {
                    let kid = raw.get("kid").and_then(Value::as_str).unwrap_or("without kid");
                    set.ignored.push(format!("key {} ({kid}): {problem}", index + 1));
                }
            }
        }
        Ok(set)
    }

    pub(super) fn require_key(self) -> anyhow::Result<Self> {
        ensure!(!self.keys.is_empty(), "no usable key in the key set; {}", self.ignored.join("; "));
        Ok(self)
    }

    /// The key of that name, or without a name the only one that fits.
    pub(super) fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<Key>, Unproved> {
        let named = || self.keys.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        let mut fitting = named().filter(|key| key.algorithm == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(Arc::clone(key)),
            (Some(_), Some(_)) => Err(UNCLEAR_KEY),
            (None, _) if self.loaded_at.is_none() => Err(KEYS_NOT_LOADED),
            (None, _) if kid.is_some() && named().next().is_some() => Err(WRONG_ALGORITHM),
            (None, _) => Err(UNKNOWN_KEY),
        }
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        self.loaded_at.map(|loaded_at| now.saturating_duration_since(loaded_at))
    }

    fn warn_of_ignored(&self) {
        if !self.ignored.is_empty() {
            let ignored = self.ignored.join("; ");
            tracing::warn!("keys of AUDIT_JWT_JWKS that are not used: {ignored}");
        }
    }
}

/// A key that may sign tokens, with the one algorithm that its type allows.
pub(super) struct Key {
    kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) verifying: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Key {
    fn read(raw: &Value, local: bool) -> Result<Self, &'static str> {
        let jwk = Jwk::deserialize(raw).map_err(|_| "it is not a JWK")?;
        let Jwk { common, algorithm } = &jwk;
        if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return Err("its use is not sig");
        }
        let verifies = |operations: &Vec<_>| operations.contains(&KeyOperations::Verify);
        if !common.key_operations.as_ref().is_none_or(verifies) {
            return Err("its key_ops do not include verify");
        }
        let algorithm = algorithm_of(algorithm, local)?;
        if common.key_algorithm.is_some_and(|named| named != algorithm.into()) {
            return Err("its alg is not the one for its type: RS256, ES256, EdDSA or HS256");
        }
        let verifying = DecodingKey::from_jwk(&jwk).map_err(|_| "it is not base64url")?;
        Ok(Self { kid: common.key_id.clone(), algorithm, verifying })
    }
}

/// The one algorithm for keys of that type.
fn algorithm_of(parameters: &AlgorithmParameters, local: bool) -> Result<Algorithm, &'static str> {
    let decode = |text| URL_SAFE_NO_PAD.decode(text).map_err(|_| "it is not base64url");
    match parameters {
        AlgorithmParameters::RSA(key) if bits(&decode(&key.n)?) < RSA_BITS_MIN => {
            Err("its RSA modulus has less than 2048 bits")
        }
        AlgorithmParameters::RSA(_) => Ok(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Ok(Algorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Ok(Algorithm::EdDSA)
        }
        AlgorithmParameters::OctetKey(_) if !local => {
            Err("a shared secret (oct) is taken from a file only")
        }
        AlgorithmParameters::OctetKey(key) if decode(&key.value)?.len() < SECRET_BYTES_MIN => {
            Err("its secret has less than 32 bytes")
        }
        AlgorithmParameters::OctetKey(_) => Ok(Algorithm::HS256),
        _ => Err("its type is not RSA, EC with P-256 or OKP with Ed25519"),
    }
}

fn bits(number: &[u8]) -> usize {
    let zeros: usize = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - zeros) * 8 - first
}
