//! Queues of tests: real ones in the emulator that `make test` starts, and one that fails as told.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use api::queue::{EntryQueue, QueueFault, Refusal, SqsQueue};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName};
use domain::{EntryId, TenantId, read_message};
use url::Url;
use uuid::Uuid;

use super::said::AWS_SECRET;

/// Where the emulator is.
const URL: &str = "AUDIT_TEST_AWS_URL";

/// The address of the emulator.
pub(crate) fn aws_url() -> String {
    std::env::var(URL).unwrap_or_else(|_| {
        panic!("{URL} is not set: run `make test`, or set it to an emulator's address")
    })
}

/// Settings of a client of the emulator at this address.
pub(crate) async fn aws_config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .load()
        .await
}

/// What a service needs to find a queue of the emulator at this address.
pub(crate) fn settings<'a>(queue: &'a str, endpoint: &'a str) -> [(&'static str, &'a str); 5] {
    [
        ("AUDIT_QUEUE_URL", queue),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
    ]
}

/// A queue of one test's own, in the real emulator.
pub(crate) struct TestQueue {
    client: Client,
    pub(crate) url: String,
}

impl TestQueue {
    pub(crate) async fn new() -> Self {
        Self::at(&aws_url()).await
    }

    /// In the emulator at this address.
    pub(crate) async fn at(endpoint: &str) -> Self {
        let client = Client::new(&aws_config(endpoint).await);
        let made = client
            .create_queue()
            .queue_name(format!("test-{}", Uuid::new_v4()))
            .attributes(QueueAttributeName::VisibilityTimeout, "300")
            .send()
            .await
            .unwrap();
        Self { client, url: made.queue_url.unwrap() }
    }

    /// As the relay sees it, by way of this address.
    pub(crate) async fn sender(&self, endpoint: &str) -> Arc<SqsQueue> {
        let url = Url::parse(&self.url).unwrap();
        Arc::new(SqsQueue::with_config(&url, &aws_config(endpoint).await).unwrap())
    }

    /// What its messages say beside their bodies, which stay in it, hidden.
    pub(crate) async fn traceparents(&self) -> Vec<Option<String>> {
        let receiving = self.client.receive_message().queue_url(&self.url);
        let receiving = receiving.message_attribute_names("All").max_number_of_messages(10);
        let messages = receiving.send().await.unwrap().messages.unwrap_or_default();
        let said = messages.into_iter().map(|message| {
            let attributes = message.message_attributes.unwrap_or_default();
            assert!(attributes.keys().all(|name| name == "traceparent"), "{attributes:?}");
            attributes.into_values().next().and_then(|value| value.string_value)
        });
        said.collect()
    }

    /// Takes what is in it out.
    pub(crate) async fn take(&self) -> Vec<String> {
        let mut taken = Vec::new();
        loop {
            let receiving = self.client.receive_message().queue_url(&self.url);
            let got = receiving.max_number_of_messages(10).send().await.unwrap();
            let messages = got.messages.unwrap_or_default();
            if messages.is_empty() {
                return taken;
            }
            let mut deleting = self.client.delete_message_batch().queue_url(&self.url);
            for (index, message) in messages.into_iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(message.receipt_handle.unwrap());
                deleting = deleting.entries(entry.build().unwrap());
                taken.push(message.body.unwrap());
            }
            deleting.send().await.unwrap();
        }
    }
}

/// What a [`FakeQueue`] does with a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Takes all of it.
    Take,
    /// Takes it and says that it did not, as when the answer is lost.
    Lie,
    /// Fails as a whole.
    Fail,
    /// Takes all of it, after a second.
    Dawdle,
    /// Never answers.
    Hang,
    /// Refuses the messages that hold this text, for good or not.
    Refuse { text: String, for_good: bool },
}

/// A queue that does what it is told, where the real one cannot be made to.
pub(crate) struct FakeQueue {
    plan: Mutex<Box<dyn FnMut(usize) -> Plan + Send>>,
    sends: Mutex<usize>,
    taken: Mutex<Vec<String>>,
}

impl FakeQueue {
    /// What it does with each send, by its number.
    pub(crate) fn new(plan: impl FnMut(usize) -> Plan + Send + 'static) -> Arc<Self> {
        let (sends, taken) = (Mutex::new(0), Mutex::new(Vec::new()));
        Arc::new(Self { plan: Mutex::new(Box::new(plan)), sends, taken })
    }

    pub(crate) fn change(&self, plan: impl FnMut(usize) -> Plan + Send + 'static) {
        *self.plan.lock().unwrap() = Box::new(plan);
    }

    /// How many sends there were.
    pub(crate) fn sends(&self) -> usize {
        *self.sends.lock().unwrap()
    }

    /// What it has taken, in this order.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }

    fn next_plan(&self) -> Plan {
        let mut sends = self.sends.lock().unwrap();
        *sends += 1;
        (self.plan.lock().unwrap())(*sends)
    }
}

impl EntryQueue for FakeQueue {
    async fn send(
        &self,
        messages: &[&str],
        _traceparent: Option<&str>,
    ) -> Result<Vec<Result<(), Refusal>>, QueueFault> {
        // Others get their turn, as they do beside a real send.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let fault = || Err(QueueFault("planted".to_owned()));
        let plan = self.next_plan();
        if plan == Plan::Dawdle {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        let mut outcomes = Vec::new();
        for message in messages {
            let outcome = match &plan {
                Plan::Fail => return fault(),
                Plan::Hang => std::future::pending().await,
                Plan::Refuse { text, for_good } if message.contains(text) => {
                    Err(Refusal { code: "planted".to_owned(), for_good: *for_good })
                }
                _ => Ok(()),
            };
            if outcome.is_ok() {
                self.taken.lock().unwrap().push((*message).to_owned());
            }
            outcomes.push(outcome);
        }
        if plan == Plan::Lie { fault() } else { Ok(outcomes) }
    }
}

/// The ids of all entries in these messages.
pub(crate) fn ids(messages: &[String]) -> HashSet<Uuid> {
    places(messages).into_iter().map(|(_, id)| id.as_uuid()).collect()
}

/// Whose entries these messages hold, and which, in this order.
pub(crate) fn places(messages: &[String]) -> Vec<(TenantId, EntryId)> {
    let mut places = Vec::new();
    for message in messages {
        let entries = read_message(message).unwrap();
        places.extend(entries.iter().map(|entry| (entry.tenant_id(), entry.id())));
    }
    places
}
