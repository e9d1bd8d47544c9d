//! AWS, as far as it is asked by hand: reading what Lambda says of itself.
//!
//! A whole SDK for two questions would be the largest crate in the program.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sqs::config::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::{Client, StatusCode};
use serde::de::DeserializeOwned;
use thiserror::Error;

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What is read of one answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why there is no answer to work with.
#[derive(Debug, Error)]
pub(super) enum AwsFault {
    /// We are known, and may not ask this.
    #[error("not allowed")]
    Forbidden,
    /// Anything else.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

/// Learns from the usual AWS variables where AWS is and who we are.
pub(super) async fn config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder().operation_timeout(ANSWER_TIMEOUT).build();
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .load()
        .await
}

/// Reads something of Lambda's API; the path has its query.
pub(super) async fn ask_lambda<T: DeserializeOwned>(
    config: &SdkConfig,
    path: &str,
) -> Result<T, AwsFault> {
    let (status, body) = get(config, "lambda", path).await.map_err(AwsFault::Other)?;
    match status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Err(AwsFault::Forbidden),
        status if status.is_success() => serde_json::from_slice(&body)
            .context("Lambda's answer cannot be read")
            .map_err(AwsFault::Other),
        status => Err(AwsFault::Other(anyhow::anyhow!("Lambda answered with {status}"))),
    }
}

async fn get(
    config: &SdkConfig,
    service: &str,
    path: &str,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let region = config.region().context("AWS_REGION is not set")?.as_ref();
    let url = format!("{}{path}", endpoint(config, service, region));
    let client = Client::builder().timeout(ANSWER_TIMEOUT).build()?;
    let mut request = client.get(&url);
    for (name, value) in signature(config, service, region, &url).await? {
        request = request.header(name, value);
    }
    let mut answer = request.send().await.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        body.extend_from_slice(&chunk);
        anyhow::ensure!(body.len() <= ANSWER_BYTES_MAX, "the answer is too long");
    }
    Ok((status, body))
}

/// Where a service is: an emulator, or AWS.
fn endpoint(config: &SdkConfig, service: &str, region: &str) -> String {
    if let Some(url) = config.endpoint_url() {
        return url.trim_end_matches('/').to_owned();
    }
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://{service}.{region}.{domain}")
}

/// The headers that prove who asks.
async fn signature(
    config: &SdkConfig,
    service: &str,
    region: &str,
    url: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let provider = config.credentials_provider().context("there are no AWS credentials")?;
    let identity = provider.provide_credentials().await.context("no AWS credentials")?.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (instructions, _) = sign(request, &parameters)?.into_parts();
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Ok(instructions.headers().map(owned).collect())
}
