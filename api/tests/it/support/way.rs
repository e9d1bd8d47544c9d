//! A way to the index of one test's own: queue, function and mapping in the emulator that `make test`
//! starts, made by the script that makes them everywhere, and names of indices that nobody else uses.

use std::path::Path;
use std::time::Duration;

use search::{Auth, Index, IndexSettings, Prefix};
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

const AWS_URL: &str = "AUDIT_TEST_AWS_URL";
const SEARCH_URL: &str = "AUDIT_TEST_SEARCH_URL";
const LAMBDA: &str = "AUDIT_TEST_LAMBDA";

/// How long the script may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) name: String,
    pub(crate) queue_url: String,
    pub(crate) aws_url: String,
    pub(crate) search_url: String,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test`"))
}

impl Way {
    /// Makes it, with these settings of the script instead of its defaults.
    pub(crate) async fn make(settings: &[(&str, &str)]) -> Self {
        let name = format!("test-{}", Uuid::new_v4().simple());
        let (aws_url, search_url) = (variable(AWS_URL), variable(SEARCH_URL));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut script = Command::new(root.join("dev/emulator.sh"));
        script
            .args(["fan-out", &aws_url])
            .env("AUDIT_FANOUT_QUEUE", &name)
            .env("AUDIT_FANOUT_FUNCTION", &name)
            .env("AUDIT_FANOUT_ZIP", variable(LAMBDA))
            .env("AUDIT_SEARCH_URL", &search_url)
            .env("AUDIT_SEARCH_PREFIX", &name)
            .envs(settings.iter().copied())
            .kill_on_drop(true);
        let ended = timeout(PATIENCE, script.output()).await.expect("the script hangs").unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{said}");
        let queue_url = String::from_utf8(ended.stdout).unwrap().trim().to_owned();
        Self { name, queue_url, aws_url, search_url }
    }

    /// The settings of a service that uses it.
    pub(crate) fn settings(&self) -> Vec<(&str, &str)> {
        vec![
            ("AUDIT_QUEUE_URL", &self.queue_url),
            ("AUDIT_SEARCH_URL", &self.search_url),
            ("AUDIT_SEARCH_PREFIX", &self.name),
            ("AWS_ENDPOINT_URL", &self.aws_url),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }

    /// Its index.
    pub(crate) fn index(&self) -> Index {
        let prefix = Prefix::parse(&self.name).unwrap();
        let url = self.search_url.parse().unwrap();
        Index::new(&IndexSettings { url, auth: Auth::None, prefix }).unwrap()
    }
}
