//! SQS and Lambda asked without the service: what a queue holds, what it takes, what its function did.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::parts::{AWS_KEY, AWS_REGION, FUNCTION};
use crate::http::{Connection, Request};

/// Sends in flight, as the relay has them.
const IN_FLIGHT: usize = 4;

/// Messages of a send.
const MESSAGES: usize = 10;

/// How long the raw sends last.
const RAW_LASTS: Duration = Duration::from_secs(4);

/// A client of SQS, like the relay's.
pub(super) async fn client(address: SocketAddr) -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(format!("http://{address}"))
        .region(Region::from_static(AWS_REGION))
        .credentials_provider(Credentials::new(AWS_KEY, AWS_KEY, None, None, "bench"))
        .load()
        .await;
    Client::new(&config)
}

/// How many messages wait.
pub(super) async fn messages(client: &Client, queue_url: &str) -> anyhow::Result<u64> {
    let name = QueueAttributeName::ApproximateNumberOfMessages;
    let asking = client.get_queue_attributes().queue_url(queue_url).attribute_names(name.clone());
    let answer = asking.send().await?;
    let number = answer.attributes().and_then(|attributes| attributes.get(&name));
    Ok(number.context("a queue without a number of messages")?.parse()?)
}

/// A queue with all that it holds goes, so that the next is not slower for it.
pub(super) async fn remove(client: &Client, queue_url: &str) -> anyhow::Result<()> {
    client.delete_queue().queue_url(queue_url).send().await?;
    Ok(())
}

/// How many of these messages a queue takes in a second, sent by tens.
pub(super) async fn raw_sends(
    client: &Client,
    queue_url: &str,
    message: &str,
) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut sending = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (client, queue_url, message) =
            (client.clone(), queue_url.to_owned(), message.to_owned());
        sending.spawn(async move {
            let mut sent = 0;
            while begun.elapsed() < RAW_LASTS {
                sent += send(&client, &queue_url, &message).await?;
            }
            anyhow::Ok(sent)
        });
    }
    let mut sent = 0;
    while let Some(done) = sending.join_next().await {
        sent += done??;
    }
    Ok(sent as f64 / begun.elapsed().as_secs_f64())
}

async fn send(client: &Client, queue_url: &str, message: &str) -> anyhow::Result<usize> {
    let entries = (0..MESSAGES).map(|number| {
        let entry = SendMessageBatchRequestEntry::builder().id(number.to_string());
        entry.message_body(message).build()
    });
    let entries = entries.collect::<Result<_, _>>()?;
    let sending = client.send_message_batch().queue_url(queue_url).set_entries(Some(entries));
    let answer = sending.send().await?;
    ensure!(answer.failed().is_empty(), "SQS did not take all messages");
    Ok(MESSAGES)
}

/// What the function has done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Calls {
    pub(super) number: f64,
    /// All their time.
    pub(super) ms: f64,
    /// The memory that it is given.
    pub(super) memory_mib: f64,
}

/// From the reports in its log, one for each call, as AWS writes them.
pub(super) async fn calls(address: SocketAddr) -> anyhow::Result<Calls> {
    let mut connection = Connection::open(address).await?;
    let (mut calls, mut page) = (Calls::default(), Value::Null);
    loop {
        let mut body = json!({
            "logGroupName": format!("/aws/lambda/{FUNCTION}"),
            "filterPattern": "REPORT",
        });
        if page.is_string() {
            body["nextToken"] = page;
        }
        let more = "Content-Type: application/x-amz-json-1.1\r\n\
                    X-Amz-Target: Logs_20140328.FilterLogEvents\r\n";
        let request = Request::foreign("POST", "/", more, body.to_string().as_bytes());
        // No log before the first call.
        if connection.exchange(&request).await? == 400 {
            return Ok(calls);
        }
        let mut answer: Value = serde_json::from_slice(connection.body())?;
        for event in answer["events"].as_array().context("a log without events")? {
            calls.add(event["message"].as_str().unwrap_or_default());
        }
        page = answer["nextToken"].take();
        if !page.is_string() {
            return Ok(calls);
        }
    }
}

impl Calls {
    fn add(&mut self, line: &str) {
        if !line.starts_with("REPORT RequestId: ") {
            return;
        }
        let number = |name: &str| {
            let (_, behind) = line.split_once(&format!("\t{name}: "))?;
            behind.split(' ').next()?.parse::<f64>().ok()
        };
        self.number += 1.0;
        self.ms += number("Billed Duration").unwrap_or_default();
        self.memory_mib = number("Memory Size").unwrap_or_default();
    }

    /// Those since an earlier look.
    pub(super) fn since(self, before: Self) -> Self {
        Self { number: self.number - before.number, ms: self.ms - before.ms, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::Calls;

    #[test]
    fn a_report_is_read_and_nothing_else() {
        let mut calls = Calls::default();
        calls.add("START RequestId: a Version: $LATEST");
        calls.add(
            "REPORT RequestId: a\tDuration: 12 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\t\
             Max Memory Used: 31 MB",
        );
        let seen = [calls.number, calls.ms, calls.memory_mib];
        assert_eq!(seen.map(|number| number.to_string()), ["1", "13", "512"]);
    }
}
