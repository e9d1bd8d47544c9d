//! Jwt mode without an identity provider.

use serde_json::json;
use tempfile::TempDir;

use crate::support::command;

/// A key set of the test's own.
pub(super) struct Keys {
    path: String,
    _folder: TempDir,
}

impl Keys {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let k = "bm90LWEtc2VjcmV0LW5vdC1hLXNlY3JldC1ub3QtYS1zZWNyZXQ";
        let key = json!({ "kty": "oct", "use": "sig", "alg": "HS256", "kid": "test", "k": k });
        let key = json!({ "keys": [key] }).to_string();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, key).unwrap();
        Self { path: path.to_str().unwrap().to_owned(), _folder: folder }
    }

    /// What `serve` takes.
    pub(super) fn flags(&self) -> [&str; 5] {
        ["--auth", "jwt", "--jwt-jwks", &self.path, "--tenant-autocreate"]
    }

    /// A token that is good for ten minutes.
    pub(super) async fn token(&self, tenant: &str, role: &str) -> String {
        let args = ["token", "--tenant", tenant, "--user", "alice", "--role", role];
        let made = command::run(&args, &[("AUDIT_JWT_JWKS", &self.path)]).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        made.stdout.trim().to_owned()
    }
}
