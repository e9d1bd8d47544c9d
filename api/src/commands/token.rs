//! `audit-log token`: keys and tokens for jwt mode without an identity provider.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Map, Value, json};

use crate::config::{TokenArgs, WrongSettings};
use crate::identity::{Proof, jwt};

/// Who can read the file can sign tokens.
const KEY_FILE_MODE: u32 = 0o600;

const MAKE_A_KEY: &str = "`audit-log token --new-key keys.json` makes one";

/// Writes a new key, or prints a token.
pub fn run(args: &TokenArgs) -> anyhow::Result<()> {
    if let Some(path) = &args.new_key {
        write_new_key(path)?;
        let path = path.display();
        eprintln!("wrote {path}: who can read it can be anybody here, so keep it secret. Next:");
        eprintln!("  export AUDIT_JWT_JWKS={path}");
        eprintln!("  audit-log serve --auth jwt");
        eprintln!("  audit-log token --tenant <UUID> --user alice --role admin");
        return Ok(());
    }
    let token = mint(args).context(WrongSettings)?;
    writeln!(io::stdout(), "{token}").context("cannot write to standard output")
}

/// A key set of one random key, never in the place of another file.
fn write_new_key(path: &Path) -> anyhow::Result<()> {
    let keys = json!({"keys": [{
        "kty": "oct",
        "use": "sig",
        "alg": "HS256",
        "kid": format!("{:016x}", rand::random::<u64>()),
        "k": URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()),
    }]});
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(KEY_FILE_MODE)
        .open(path)
        .and_then(|mut file| writeln!(file, "{keys:#}"))
        .with_context(|| format!("cannot make {} (a file that exists is kept)", path.display()))
}

/// A token that this service, with these settings, takes.
fn mint(args: &TokenArgs) -> anyhow::Result<String> {
    let source = args.jwt.jwt_jwks.as_deref().filter(|source| !source.is_empty());
    let source =
        source.with_context(|| format!("set AUDIT_JWT_JWKS to a key file: {MAKE_A_KEY}"))?;
    if jwt::is_url(source) {
        bail!(
            "AUDIT_JWT_JWKS is a URL, which has no private key to sign with: get a token from \
             the identity provider behind it, or set a key file: {MAKE_A_KEY}"
        );
    }
    let jwks = std::fs::read(source).with_context(|| format!("cannot read {source}"))?;
    let (kid, key) = signing_key(&jwks).with_context(|| source.to_owned())?;
    let header = Header { kid, ..Header::new(Algorithm::HS256) };
    let token = encode(&header, &claims(args), &key).context("cannot sign")?;
    jwt::verify_local(&args.jwt, &jwks, &token)
        .and_then(|claims| Ok(Proof::Token(Box::new(claims)).identity(&HeaderMap::new())?))
        .context("the service would refuse this token; see --tenant, --user, --role")?;
    Ok(token)
}

/// The first shared secret of a key set, and its name.
fn signing_key(jwks: &[u8]) -> anyhow::Result<(Option<String>, EncodingKey)> {
    // The error's own text may quote a key.
    let set: JwkSet = serde_json::from_slice(jwks).ok().context("it is not a JSON Web Key Set")?;
    let (kid, secret) = set
        .keys
        .into_iter()
        .find_map(|key| match key.algorithm {
            AlgorithmParameters::OctetKey(secret) => Some((key.common.key_id, secret.value)),
            _ => None,
        })
        .with_context(|| format!("it holds no key of type oct to sign with: {MAKE_A_KEY}"))?;
    let secret = URL_SAFE_NO_PAD.decode(secret).ok().context("its oct key is not base64url")?;
    Ok((kid, EncodingKey::from_secret(&secret)))
}

fn claims(args: &TokenArgs) -> Map<String, Value> {
    let now = get_current_timestamp();
    let times = [("iat", now), ("exp", now.saturating_add(args.ttl_s))];
    let texts = [
        ("iss", &args.jwt.jwt_issuer),
        ("aud", &args.jwt.jwt_audience),
        (jwt::NAME_CLAIM, &args.user_name),
        (&args.jwt.jwt_claim_tenant, &args.tenant),
        (&args.jwt.jwt_claim_user, &Some(args.user.clone())),
        (&args.jwt.jwt_claim_role, &Some(args.role.clone())),
    ];
    let times = times.map(|(name, time)| (name.to_owned(), Value::from(time)));
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), Value::from(text.clone()?))));
    times.into_iter().chain(texts).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use axum::http::HeaderValue;
    use axum::http::header::AUTHORIZATION;

    use super::*;
    use crate::config::JwtArgs;
    use crate::identity::{Identity, JwtVerifier, Role};

    const TENANT: &str = "00000000-0000-7000-8000-000000000001";

    fn args(jwks: &Path) -> TokenArgs {
        TokenArgs {
            jwt: JwtArgs {
                jwt_jwks: Some(jwks.to_str().expect("UTF-8").to_owned()),
                jwt_issuer: Some("us".to_owned()),
                jwt_audience: Some("audit".to_owned()),
                jwt_leeway_s: 0,
                jwt_claim_tenant: "org".to_owned(),
                jwt_claim_role: "roles".to_owned(),
                jwt_claim_user: "uid".to_owned(),
            },
            new_key: None,
            tenant: Some(TENANT.to_owned()),
            user: "alice".to_owned(),
            user_name: Some("Alice".to_owned()),
            role: "auditor".to_owned(),
            ttl_s: 60,
        }
    }

    #[tokio::test]
    async fn a_minted_token_proves_who_it_was_minted_for() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("keys.json");
        write_new_key(&path).expect("key");
        let args = args(&path);
        let value = format!("Bearer {}", mint(&args).expect("token"));
        let value = HeaderValue::from_str(&value).expect("header");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let verifier = JwtVerifier::new(&args.jwt).await.expect("verifier");
        let claims = verifier.verify(&headers).await.expect("claims");
        let identity = Proof::Token(Box::new(claims)).identity(&headers).expect("identity");
        assert_eq!(
            identity,
            Identity {
                tenant_id: domain::TenantId::parse(TENANT).ok(),
                user_id: "alice".to_owned(),
                user_name: Some("Alice".to_owned()),
                roles: vec![Role::Auditor],
            }
        );
    }

    #[test]
    fn a_new_key_is_ours_alone_and_replaces_nothing() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("keys.json");
        write_new_key(&path).expect("key");
        let written = std::fs::read(&path).expect("file");
        let mode = std::fs::metadata(&path).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(write_new_key(&path).is_err());
        assert_eq!(std::fs::read(&path).expect("file"), written);
        let other = dir.path().join("other.json");
        write_new_key(&other).expect("key");
        assert_ne!(std::fs::read(&other).expect("file"), written);
    }

    #[test]
    fn nothing_is_minted_that_the_service_would_refuse() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("keys.json");
        write_new_key(&path).expect("key");
        let refused = |change: fn(&mut TokenArgs)| {
            let mut args = args(&path);
            change(&mut args);
            format!("{:#}", mint(&args).expect_err("refused"))
        };
        assert!(refused(|args| args.role = "boss".to_owned()).contains("role must be one of"));
        assert!(refused(|args| args.tenant = None).contains("tenant id is missing"));
        assert!(refused(|args| args.tenant = Some("x".to_owned())).contains("must be a UUID"));
        assert!(refused(|args| args.user = String::new()).contains("user id"));
        assert!(refused(|args| args.jwt.jwt_jwks = None).contains("--new-key"));
        let url = |args: &mut TokenArgs| args.jwt.jwt_jwks = Some("https://idp/jwks".to_owned());
        assert!(refused(url).contains("is a URL"));
        let operator = TokenArgs { role: "operator".to_owned(), tenant: None, ..args(&path) };
        assert!(mint(&operator).is_ok());
    }

    #[test]
    fn a_weak_or_foreign_key_signs_nothing() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("keys.json");
        for (jwks, said) in [
            (r#"{"keys": [{"kty": "oct", "k": "aHVudGVyMg"}]}"#, "less than 32 bytes"),
            (r#"{"keys": [{"kty": "RSA", "n": "AQ", "e": "AQAB"}]}"#, "no key of type oct"),
            (r#"{"keys": "aHVudGVyMg"}"#, "not a JSON Web Key Set"),
        ] {
            std::fs::write(&path, jwks).expect("write");
            let text = format!("{:#}", mint(&args(&path)).expect_err(said));
            assert!(text.contains(said) && !text.contains("aHVudGVyMg"), "{text}");
        }
    }
}
