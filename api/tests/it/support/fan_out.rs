//! The way from the log to the index as it is deployed: a queue, its dead-letter queue, and the real
//! Lambda behind an event source mapping, in an emulator of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use aws_sdk_sqs::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::queue::aws_config;
use super::said;

/// An OpenSearch for all tests.
const SEARCH_URL: &str = "AUDIT_TEST_SEARCH_URL";

/// The zip with the Lambda's program.
const LAMBDA: &str = "AUDIT_TEST_LAMBDA";

/// See the module. Ends with the test.
pub(crate) struct FanOut {
    folder: TempDir,
    /// Of the emulator, for `AWS_ENDPOINT_URL`.
    pub(crate) url: String,
    pub(crate) queue_url: String,
    pub(crate) search_url: String,
    /// What the names of this test's indices begin with.
    pub(crate) prefix: String,
    pub(crate) sqs: Client,
}

impl FanOut {
    /// Starts an emulator and makes all of it there, with these settings of the script besides.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let search_url = needed(SEARCH_URL);
        let prefix = format!("test-{}", Uuid::new_v4().simple());
        script(&["start"], folder.path(), &["0"], &[]);
        let url = script(&["url"], folder.path(), &[], &[]);
        let zip = needed(LAMBDA);
        let ours = [
            ("AUDIT_FANOUT_ZIP", zip.as_str()),
            ("AUDIT_SEARCH_URL", search_url.as_str()),
            ("AUDIT_SEARCH_PREFIX", prefix.as_str()),
        ];
        let settings: Vec<_> = ours.iter().chain(settings).copied().collect();
        let queue_url = script(&["fan-out"], folder.path(), &[], &settings);
        let sqs = Client::new(&aws_config(&url).await);
        Self { folder, url, queue_url, search_url, prefix, sqs }
    }

    /// The documents with these ids that a search finds now.
    pub(crate) async fn find(&self, ids: &[Uuid]) -> Vec<Value> {
        let url = format!("{}/{}/_search", self.search_url, self.prefix);
        let body = json!({ "size": 10_000, "query": { "ids": { "values": ids } } });
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        // Before the first entry there is no index.
        let answer: Value = answer.json().await.unwrap();
        answer["hits"]["hits"].as_array().cloned().unwrap_or_default()
    }

    /// Messages that the queue, or its dead-letter queue, holds now, hidden ones too.
    pub(crate) async fn waiting(&self, is_dead: bool) -> u64 {
        use aws_sdk_sqs::types::QueueAttributeName as Name;
        let names =
            [Name::ApproximateNumberOfMessages, Name::ApproximateNumberOfMessagesNotVisible];
        let asked = self.sqs.get_queue_attributes().queue_url(self.queue(is_dead));
        let told = asked.set_attribute_names(Some(names.to_vec())).send().await.unwrap();
        let numbers = told.attributes.unwrap_or_default();
        numbers.values().map(|number| number.parse::<u64>().unwrap()).sum()
    }

    /// What the dead-letter queue holds.
    pub(crate) async fn dead_letters(&self) -> Vec<String> {
        let receiving = self.sqs.receive_message().queue_url(self.queue(true));
        let got = receiving.max_number_of_messages(10).send().await.unwrap();
        got.messages.unwrap_or_default().into_iter().filter_map(|message| message.body).collect()
    }

    fn queue(&self, is_dead: bool) -> String {
        format!("{}{}", self.queue_url, if is_dead { "-dead" } else { "" })
    }
}

impl Drop for FanOut {
    fn drop(&mut self) {
        said::keep_functions_log(&self.folder.path().join("server.log"));
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("server.log"));
            let log = log.unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(30).collect();
            for line in lines.iter().rev() {
                eprintln!("{line}");
            }
        }
        script(&["drop"], self.folder.path(), &[], &[]);
    }
}

fn needed(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test`"))
}

/// `dev/emulator.sh COMMAND FOLDER …`
fn script(command: &[&str], folder: &Path, words: &[&str], settings: &[(&str, &str)]) -> String {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into();
    let mut script = Command::new(root.join("dev/emulator.sh"));
    script.args(command).arg(folder).args(words).envs(settings.iter().copied());
    let done = script.output().unwrap();
    let err = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{script:?}: {err}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
