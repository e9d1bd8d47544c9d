//! The queue that entries go through on their way to the search index.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::StalledStreamProtectionConfig;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry,
};
use serde::Deserialize;
use thiserror::Error;
use url::Url;

/// Messages that one send has at most: a limit of SQS.
pub const MESSAGES_MAX: usize = 10;

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a send may take; a queue that needs longer counts as away.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);

/// A queue of messages. In tests another one stands in, which fails as no emulator can be made to.
pub trait EntryQueue: Send + Sync + 'static {
    /// Sends at most [`MESSAGES_MAX`] messages, and says of each what became of it, in their order.
    /// Who takes them may learn in which span they were sent, by its `traceparent`.
    fn send(
        &self,
        messages: &[&str],
        traceparent: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Result<(), Refusal>>, QueueFault>> + Send;

    /// About how many messages wait, and how many more somebody has taken and not done yet.
    fn backlog(&self) -> impl Future<Output = Result<(u64, u64), QueueFault>> + Send {
        std::future::ready(Err(QueueFault("it does not say what waits".to_owned())))
    }
}

/// Why the queue did not take one message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the queue refused a message: {code}")]
pub struct Refusal {
    /// The queue's code for it.
    pub code: String,
    /// Whether the message itself is at fault, so that another try would end alike.
    pub for_good: bool,
}

/// Why it is not known of any message whether the queue took it.
#[derive(Debug, Error)]
#[error("the queue did not answer as it should: {0}")]
pub struct QueueFault(pub String);

/// About how many messages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depths {
    /// That wait.
    pub waiting: u64,
    /// That somebody has taken, and not done.
    pub taken: u64,
    /// In the dead-letter queue; `None` where there is none, or we may not ask.
    pub dead: Option<u64>,
}

/// What of a queue's settings names its dead-letter queue.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Redrive {
    dead_letter_target_arn: String,
}

/// The real queue.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// Learns from the usual AWS variables where SQS is and who we are; does not connect yet.
    pub async fn new(url: &Url) -> anyhow::Result<Self> {
        // Another try is the sender's to decide: it knows of each message how it ended.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_timeout(SEND_TIMEOUT)
            .build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .load()
            .await;
        Self::with_config(url, &config)
    }

    /// The same with settings from elsewhere.
    pub fn with_config(url: &Url, config: &SdkConfig) -> anyhow::Result<Self> {
        config.region().context("AUDIT_QUEUE_URL is set, but AWS_REGION is not")?;
        Ok(Self { client: Client::new(config), url: url.to_string() })
    }

    /// What waits here and in the dead-letter queue.
    pub async fn depths(&self) -> Result<Depths, QueueFault> {
        let (waiting, taken) = self.backlog().await?;
        let asked = [QueueAttributeName::RedrivePolicy];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = request.set_attribute_names(Some(asked.to_vec())).send().await;
        let answer = answer.map_err(|error| fault(&error))?;
        let redrive = answer.attributes().and_then(|found| found.get(&asked[0]));
        let redrive = redrive.and_then(|text| serde_json::from_str::<Redrive>(text).ok());
        let dead = match redrive {
            Some(redrive) => self.dead(&redrive.dead_letter_target_arn).await.ok(),
            None => None,
        };
        Ok(Depths { waiting, taken, dead })
    }

    /// What lies in a queue that is known by its ARN alone.
    async fn dead(&self, arn: &str) -> Result<u64, QueueFault> {
        let mut parts = arn.split(':').skip(4);
        let (account, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let request = self.client.get_queue_url().queue_name(name);
        let answer = request.queue_owner_aws_account_id(account).send().await;
        let answer = answer.map_err(|error| fault(&error))?;
        let url = answer.queue_url().unwrap_or_default().to_owned();
        let (waiting, taken) = Self { client: self.client.clone(), url }.backlog().await?;
        Ok(waiting + taken)
    }
}

impl EntryQueue for SqsQueue {
    async fn send(
        &self,
        messages: &[&str],
        traceparent: Option<&str>,
    ) -> Result<Vec<Result<(), Refusal>>, QueueFault> {
        let attributes = traceparent.map(attributes).transpose()?;
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for (index, message) in messages.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(*message)
                .set_message_attributes(attributes.clone())
                .build();
            request = request.entries(entry.map_err(|error| QueueFault(error.to_string()))?);
        }
        let answer = request.send().await.map_err(|error| fault(&error))?;
        // What is in neither list was not taken.
        let unsaid = Refusal { code: "not mentioned".to_owned(), for_good: false };
        let mut outcomes = vec![Err(unsaid); messages.len()];
        for taken in answer.successful() {
            set(&mut outcomes, taken.id(), Ok(()));
        }
        for refused in answer.failed() {
            set(&mut outcomes, refused.id(), Err(refusal(refused)));
        }
        Ok(outcomes)
    }

    async fn backlog(&self) -> Result<(u64, u64), QueueFault> {
        let numbers = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let request = request.set_attribute_names(Some(numbers.to_vec()));
        let answer = request.send().await.map_err(|error| fault(&error))?;
        let number = |name| {
            let text = answer.attributes().and_then(|attributes| attributes.get(name));
            let number = text.and_then(|text| text.parse::<u64>().ok());
            number.ok_or_else(|| QueueFault("a number of messages is missing".to_owned()))
        };
        let [waiting, delayed, taken] = &numbers;
        Ok((number(waiting)? + number(delayed)?, number(taken)?))
    }
}

/// Beside a message. SQS counts them as part of it: 72 bytes, for which every send has room.
fn attributes(traceparent: &str) -> Result<HashMap<String, MessageAttributeValue>, QueueFault> {
    let value = MessageAttributeValue::builder().data_type("String").string_value(traceparent);
    let value = value.build().map_err(|error| QueueFault(error.to_string()))?;
    Ok(HashMap::from([(traces::TRACEPARENT.to_owned(), value)]))
}

fn fault<E, R>(error: &SdkError<E, R>) -> QueueFault
where
    SdkError<E, R>: ProvideErrorMetadata + std::error::Error,
{
    let code = error.code().map(str::to_owned);
    QueueFault(code.unwrap_or_else(|| DisplayErrorContext(error).to_string()))
}

fn refusal(refused: &BatchResultErrorEntry) -> Refusal {
    Refusal { code: refused.code().to_owned(), for_good: refused.sender_fault() }
}

fn set<T>(outcomes: &mut [T], id: &str, outcome: T) {
    if let Some(place) = id.parse::<usize>().ok().and_then(|index| outcomes.get_mut(index)) {
        *place = outcome;
    }
}
