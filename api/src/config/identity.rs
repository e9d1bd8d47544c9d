//! Settings that say how callers prove who they are.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};

use super::secret_or_file;

/// How callers prove who they are.
#[derive(Debug, Args)]
pub struct IdentityArgs {
    /// How callers prove who they are
    #[arg(long, env = "AUDIT_AUTH", default_value = "gateway")]
    pub auth: AuthMode,
    /// Secret that the API gateway sends as X-Gateway-Secret; two, comma between, while rotating
    #[arg(long, env = "AUDIT_GATEWAY_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub gateway_secret: Option<SecretString>,
    #[arg(long, env = "AUDIT_GATEWAY_SECRET_FILE", value_name = "FILE", hide = true)]
    gateway_secret_file: Option<PathBuf>,
    /// In jwt mode.
    #[command(flatten)]
    pub jwt: JwtArgs,
    /// Serve dev mode, where everybody is admin, on an address that others can reach
    #[arg(long, env = "AUDIT_DEV_I_KNOW", default_value = "false",
          num_args = 0..=1, default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub dev_i_know: bool,
}

/// How callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// Headers of an API gateway that knows a secret.
    Gateway,
    /// A signed bearer token.
    Jwt,
    /// Everybody is admin of one tenant.
    Dev,
}

/// What a bearer token must be.
#[derive(Debug, Clone, Args)]
pub struct JwtArgs {
    /// Keys that sign tokens: a JWKS file, or its https URL
    #[arg(long, env = "AUDIT_JWT_JWKS", value_name = "FILE|URL")]
    pub jwt_jwks: Option<String>,
    /// Required `iss`
    #[arg(long, env = "AUDIT_JWT_ISSUER", value_name = "TEXT")]
    pub jwt_issuer: Option<String>,
    /// Required `aud`
    #[arg(long, env = "AUDIT_JWT_AUDIENCE", value_name = "TEXT")]
    pub jwt_audience: Option<String>,
    /// Seconds that clocks may differ
    #[arg(long, env = "AUDIT_JWT_LEEWAY_S", default_value_t = 60, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub jwt_leeway_s: u64,
    /// Claim that holds the tenant's id
    #[arg(long, env = "AUDIT_JWT_CLAIM_TENANT", default_value = "tenant_id", value_name = "NAME")]
    pub jwt_claim_tenant: String,
    /// Claim that holds the role, or a list of them
    #[arg(long, env = "AUDIT_JWT_CLAIM_ROLE", default_value = "role", value_name = "NAME")]
    pub jwt_claim_role: String,
    /// Claim that holds the user's id
    #[arg(long, env = "AUDIT_JWT_CLAIM_USER", default_value = "sub", value_name = "NAME")]
    pub jwt_claim_user: String,
}

impl IdentityArgs {
    /// The secrets a gateway may prove itself with: one, or two while rotating.
    pub fn gateway_secrets(&self) -> anyhow::Result<Vec<SecretString>> {
        let secret = secret_or_file(
            "AUDIT_GATEWAY_SECRET",
            self.gateway_secret.as_ref(),
            self.gateway_secret_file.as_ref(),
        )?
        .context(
            "AUDIT_AUTH=gateway needs AUDIT_GATEWAY_SECRET, the secret your API gateway sends",
        )?;
        let secrets: Vec<_> = secret
            .expose_secret()
            .split(',')
            .map(|one| SecretString::from(one.trim().to_owned()))
            .collect();
        if secrets.len() > 2 {
            bail!("AUDIT_GATEWAY_SECRET holds more than two secrets");
        }
        if secrets.iter().any(|one| one.expose_secret().is_empty()) {
            bail!("AUDIT_GATEWAY_SECRET holds an empty secret");
        }
        Ok(secrets)
    }
}
