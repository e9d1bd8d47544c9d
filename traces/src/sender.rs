//! Spans on their way to the collector. They are sent from a thread without a runtime, so the
//! request itself is made by the program's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use reqwest::Client;
use tokio::runtime::Handle;
use tracing::{info, warn};

/// Of the collector's answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Client,
    runtime: Handle,
    is_failing: AtomicBool,
}

impl Sender {
    pub(crate) fn new(timeout: Duration) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(timeout).build().context("no HTTP client")?;
        let runtime = Handle::try_current().context("traces are started outside of a runtime")?;
        Ok(Self { client, runtime, is_failing: AtomicBool::new(false) })
    }

    /// Says once that it fails, and once that it does not any more.
    fn tell(&self, has_failed: bool) {
        if self.is_failing.swap(has_failed, Ordering::Relaxed) == has_failed {
            return;
        }
        if has_failed {
            warn!("the collector does not take traces; they are dropped until it does");
        } else {
            info!("the collector takes traces again");
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { send(&client, request).await }).await;
        let sent = sent.map_err(HttpError::from).and_then(|sent| sent);
        self.tell(!sent.as_ref().is_ok_and(|answer| answer.status().is_success()));
        sent
    }
}

async fn send(client: &Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    // The address may hold a password.
    let answer = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let mut whole = Response::builder().status(answer.status());
    if let Some(headers) = whole.headers_mut() {
        headers.clone_from(answer.headers());
    }
    Ok(whole.body(read(answer).await?)?)
}

/// Reads an answer, unless it is longer than any that means something.
async fn read(mut answer: reqwest::Response) -> Result<Bytes, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err("the collector's answer is too long".into());
        }
    }
    Ok(body.into())
}
