//! The way from a log to the index, as it is delivered: queue, dead-letter queue, mapping and the
//! Lambda, made by the script that `LocalStack` runs, under names of one test's own.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::process::Command;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::index::search_url;
use super::parts;
use super::queue::aws_url;

/// The zip with the Lambda's program, as `make test` made it.
const LAMBDA: &str = "AUDIT_TEST_LAMBDA";

const REGION: &str = "us-east-1";

/// What takes an emulator's account for the owner of everything.
const KEY: &str = "test";

/// Settings of `localstack/ready.d/fan-out.py`.
pub(crate) type Settings<'a> = &'a [(&'static str, &'a str)];

/// Names, and where they count; what they name is made by [`make`](Self::make).
#[derive(Debug, Clone)]
pub(crate) struct Deployed {
    pub(crate) aws_url: String,
    pub(crate) search_url: String,
    /// Of the indices, the function and the queue.
    pub(crate) name: String,
}

impl Deployed {
    /// New names on these parts.
    pub(crate) fn on(aws_url: &str, search_url: &str) -> Self {
        // Names of indices end with their month: none of them may begin with another's.
        let name = format!("t-{}", Uuid::new_v4().simple());
        Self { aws_url: aws_url.to_owned(), search_url: search_url.to_owned(), name }
    }

    /// New names on the parts that all tests share.
    pub(crate) fn on_shared() -> Self {
        Self::on(&aws_url(), &search_url())
    }

    /// Makes queue, function and mapping, or brings them up to date.
    pub(crate) async fn make(&self, settings: Settings<'_>) {
        let zip = setting(LAMBDA);
        let function = [
            ("AUDIT_FANOUT_ZIP", zip.as_str()),
            ("AUDIT_FANOUT_FUNCTION", &self.name),
            ("AUDIT_SEARCH_URL", &self.search_url),
            ("AUDIT_SEARCH_PREFIX", &self.name),
        ];
        self.script(&self.name, &[&function, settings].concat()).await;
    }

    /// Makes a queue that no function takes from.
    pub(crate) async fn make_queue(&self, name: &str, settings: Settings<'_>) {
        self.script(name, settings).await;
    }

    /// What a service needs to know of it.
    pub(crate) fn of_service(&self) -> Vec<(&'static str, String)> {
        [
            ("AUDIT_QUEUE_URL", self.queue_url(&self.name)),
            ("AUDIT_SEARCH_URL", self.search_url.clone()),
            ("AUDIT_SEARCH_PREFIX", self.name.clone()),
            ("AWS_ENDPOINT_URL", self.aws_url.clone()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
        ]
        .into()
    }

    pub(crate) fn queue_url(&self, name: &str) -> String {
        format!("{}/000000000000/{name}", self.aws_url)
    }

    /// The queue of messages that could not be indexed.
    pub(crate) fn dead_letters(&self) -> String {
        self.queue_url(&format!("{}-dead", self.name))
    }

    /// A client of the queues.
    pub(crate) fn sqs(&self) -> Sqs {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .endpoint_url(&self.aws_url)
            .credentials_provider(Credentials::new(KEY, KEY, None, None, "tests"))
            .retry_config(aws_sdk_sqs::config::retry::RetryConfig::disabled())
            .timeout_config(
                aws_sdk_sqs::config::timeout::TimeoutConfig::builder()
                    .operation_timeout(std::time::Duration::from_secs(6))
                    .build(),
            )
            .build();
        Sqs(Client::from_conf(config))
    }

    /// The documents in the index, as OpenSearch itself counts them at this moment.
    pub(crate) async fn documents(&self, query: &serde_json::Value) -> u64 {
        let http = reqwest::Client::new();
        let indices = format!("{}/{}", self.search_url, self.name);
        let refreshed = http.post(format!("{indices}/_refresh")).send().await.unwrap();
        if refreshed.status() == reqwest::StatusCode::NOT_FOUND {
            return 0;
        }
        let counting = http.post(format!("{indices}/_count"));
        let counted = counting.json(&serde_json::json!({ "query": query })).send().await.unwrap();
        let counted: serde_json::Value = counted.json().await.unwrap();
        counted["count"].as_u64().unwrap_or_else(|| panic!("no count: {counted}"))
    }

    /// Deletes the indices: a node holds only so many.
    pub(crate) async fn delete_indices(&self) {
        let http = reqwest::Client::new();
        let list = format!("{}/_cat/indices/{}-*?h=index&format=json", self.search_url, self.name);
        let found: serde_json::Value = http.get(list).send().await.unwrap().json().await.unwrap();
        for index in found.as_array().unwrap() {
            let index = index["index"].as_str().unwrap();
            let deleted = http.delete(format!("{}/{index}", self.search_url)).send().await;
            assert!(deleted.unwrap().status().is_success(), "{index} is still there");
        }
    }

    async fn script(&self, queue: &str, settings: Settings<'_>) {
        static PYTHON: OnceCell<String> = OnceCell::const_new();
        let python = PYTHON.get_or_init(async || {
            parts::run(Command::new(parts::root().join("dev/emulator.sh")).arg("install")).await
        });
        let mut script = Command::new(python.await);
        script
            .arg(parts::root().join("localstack/ready.d/fan-out.py"))
            .env_clear()
            .envs([("AWS_ENDPOINT_URL", self.aws_url.as_str()), ("AWS_REGION", REGION)])
            .envs([("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", KEY)])
            .env("AUDIT_FANOUT_QUEUE", queue)
            .envs(settings.iter().copied());
        let url = parts::run(&mut script).await;
        assert_eq!(url, self.queue_url(queue));
    }
}

fn setting(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `make test`, see dev/test.sh"))
}

/// A client of the queues, for whom an emulator that is away is no surprise.
#[derive(Debug, Clone)]
pub(crate) struct Sqs(Client);

/// A message that was taken and not deleted.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) body: String,
    pub(crate) receipt: String,
}

impl Sqs {
    /// Takes some messages, or waits a second for one; `None`: the queue is away.
    pub(crate) async fn take(&self, queue_url: &str) -> Option<Vec<Taken>> {
        let receiving = self.0.receive_message().queue_url(queue_url);
        let answer = receiving.max_number_of_messages(10).wait_time_seconds(1).send().await.ok()?;
        let messages = answer.messages.unwrap_or_default();
        messages
            .into_iter()
            .map(|message| Some(Taken { body: message.body?, receipt: message.receipt_handle? }))
            .collect()
    }

    /// Whether the queue took it.
    pub(crate) async fn send(&self, queue_url: &str, body: &str) -> bool {
        self.0.send_message().queue_url(queue_url).message_body(body).send().await.is_ok()
    }

    pub(crate) async fn delete(&self, queue_url: &str, receipt: &str) -> bool {
        self.0.delete_message().queue_url(queue_url).receipt_handle(receipt).send().await.is_ok()
    }

    /// How many messages are in a queue, taken ones and all.
    pub(crate) async fn len(&self, queue_url: &str) -> Option<u64> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let asking = self.0.get_queue_attributes().queue_url(queue_url);
        let answer = asking.set_attribute_names(Some(names.to_vec())).send().await.ok()?;
        let found = answer.attributes.unwrap_or_default();
        names.iter().map(|name| found.get(name)?.parse::<u64>().ok()).sum()
    }
}
