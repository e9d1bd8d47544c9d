//! The queue and its dead-letter queue.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::QueueAttributeName;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::check::Check;

pub(super) const PART: &str = "queue";
pub(super) const DEAD_PART: &str = "dead letters";

/// With fewer tries, a short outage sends everything to the dead-letter queue.
const RECEIVES_MIN: u32 = 5;

/// What else must fit to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) arn: String,
    pub(super) visibility_s: u64,
    /// The dead-letter queue, if there is one.
    dead_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Redrive {
    dead_letter_target_arn: String,
    /// AWS gives a number, others a text.
    max_receive_count: serde_json::Value,
}

type Attributes = HashMap<QueueAttributeName, String>;

/// Looks at the queue; its settings when it answers.
pub(super) async fn check(config: &SdkConfig, url: &Url) -> (Check, Option<Settings>) {
    let mut check = Check::new(PART);
    if config.region().is_none() {
        check.fault("AUDIT_QUEUE_URL is set, but AWS_REGION is not");
        return (check, None);
    }
    let client = Client::new(config);
    let asked_at = Instant::now();
    match attributes(&client, url.as_str()).await {
        Ok(found) => {
            check.took(asked_at.elapsed());
            let settings = judge(&mut check, &found);
            (check, Some(settings))
        }
        Err(error) => {
            check.fault(error);
            (check, None)
        }
    }
}

/// Looks at the queue of what could not be indexed.
pub(super) async fn check_dead(config: &SdkConfig, settings: &Settings) -> Check {
    let Some(arn) = &settings.dead_arn else {
        return Check::broken(DEAD_PART, "there is no dead-letter queue");
    };
    let mut check = Check::new(DEAD_PART);
    let client = Client::new(config);
    let asked_at = Instant::now();
    match dead_depth(&client, arn).await {
        Ok(0) => {
            check.took(asked_at.elapsed());
            check.fact("none");
        }
        Ok(depth) => {
            check.took(asked_at.elapsed());
            // What they held was sent again from the log, or the index is not whole: that is
            // another line. They stay until somebody has looked at them.
            check.warn(format!("{depth} in {}: look at them, then purge", name_of(arn)));
        }
        Err(error) => check.unknown(error),
    }
    check
}

fn judge(check: &mut Check, found: &Attributes) -> Settings {
    let arn = found.get(&QueueAttributeName::QueueArn).cloned().unwrap_or_default();
    let visibility_s = number(found, &QueueAttributeName::VisibilityTimeout);
    let waiting = number(found, &QueueAttributeName::ApproximateNumberOfMessages);
    let in_flight = number(found, &QueueAttributeName::ApproximateNumberOfMessagesNotVisible);
    check.fact(format!("{}: {waiting} waiting, {in_flight} in flight", name_of(&arn)));
    check.fact(format!("visibility {visibility_s} s"));
    let redrive = found.get(&QueueAttributeName::RedrivePolicy);
    let redrive: Option<Redrive> = redrive.and_then(|text| serde_json::from_str(text).ok());
    let dead_arn = redrive.map(|redrive| {
        judge_tries(check, &redrive.max_receive_count);
        redrive.dead_letter_target_arn
    });
    if dead_arn.is_none() {
        check.fault("no redrive policy: what cannot be indexed comes back until it expires");
    }
    Settings { arn, visibility_s, dead_arn }
}

fn judge_tries(check: &mut Check, count: &serde_json::Value) {
    let text = count.as_str().map_or_else(|| count.to_string(), str::to_owned);
    check.fact(format!("{text} tries"));
    if text.parse().is_ok_and(|tries: u32| tries < RECEIVES_MIN) {
        check.fault(format!("maxReceiveCount must be {RECEIVES_MIN} or more"));
    }
}

async fn attributes(client: &Client, url: &str) -> Result<Attributes, String> {
    let request = client.get_queue_attributes().queue_url(url);
    let answer = request.attribute_names(QueueAttributeName::All).send().await;
    Ok(answer.map_err(|error| said(&error))?.attributes.unwrap_or_default())
}

/// How many messages lie in a queue that is known by its ARN alone.
async fn dead_depth(client: &Client, arn: &str) -> Result<u64, String> {
    let account = arn.split(':').nth(4).unwrap_or_default();
    let request = client.get_queue_url().queue_name(name_of(arn));
    let answer = request.queue_owner_aws_account_id(account).send().await;
    let answer = answer.map_err(|error| said(&error))?;
    let found = attributes(client, answer.queue_url().unwrap_or_default()).await?;
    Ok(number(&found, &QueueAttributeName::ApproximateNumberOfMessages)
        + number(&found, &QueueAttributeName::ApproximateNumberOfMessagesNotVisible))
}

/// The code where there is one: it says what to do, and the rest repeats it.
fn said<E>(error: &E) -> String
where
    E: ProvideErrorMetadata + std::error::Error,
{
    match error.code() {
        Some(code) => format!("SQS refused: {code}"),
        None => {
            format!("cannot be reached: {}: see AUDIT_QUEUE_URL, AWS_ENDPOINT_URL", cause_of(error))
        }
    }
}

/// What lies at the bottom of an error: what is above it repeats it, or is of nobody's interest.
fn cause_of(error: &dyn std::error::Error) -> &dyn std::error::Error {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error)
}

fn number(found: &Attributes, name: &QueueAttributeName) -> u64 {
    found.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The last part of an ARN.
pub(super) fn name_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}
