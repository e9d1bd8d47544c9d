//! Spans on their way to the collector: one request at a time, and never again what has failed.

use std::time::Duration;

use anyhow::Context as _;
use http::header::CONTENT_TYPE;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tracing::{info, warn};
use url::{Host, Url};

use super::{Collector, Fate};

/// How long the collector may take for one request.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Of the collector's answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// See the module.
pub(crate) struct Sender {
    client: Client,
    collector: Collector,
    /// What the program says of itself.
    program: ResourceAttributesWithSchema,
    is_failing: bool,
}

/// Why a request was no use. Holds no address: a part of it may be a secret.
enum Trouble {
    /// The collector has said so.
    Answer(StatusCode),
    Http(String),
}

impl Sender {
    pub(crate) fn new(collector: Collector, program: &Resource) -> anyhow::Result<Self> {
        // A proof must not follow a redirect to somebody else.
        let mut client = Client::builder().timeout(SEND_TIMEOUT).redirect(Policy::none());
        if is_loopback(&collector.address) {
            client = client.no_proxy();
        }
        let client = client.build().context("cannot make a client for the collector")?;
        Ok(Self { client, collector, program: program.into(), is_failing: false })
    }

    /// Sends spans; says how many of them the collector does not want.
    pub(crate) async fn send(&mut self, spans: Vec<SpanData>) -> Result<u64, Fate> {
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.program);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let sent = self.post(body).await;
        self.tell(sent.as_ref().err());
        sent.map_err(|trouble| match trouble {
            Trouble::Answer(_) => Fate::Refused,
            Trouble::Http(_) => Fate::Lost,
        })
    }

    async fn post(&self, body: Vec<u8>) -> Result<u64, Trouble> {
        let request = self.client.post(self.collector.address.clone());
        let request = request.headers(self.collector.headers.clone());
        let request = request.header(CONTENT_TYPE, "application/x-protobuf").body(body);
        let answer = request.send().await.map_err(Trouble::http)?;
        if !answer.status().is_success() {
            return Err(Trouble::Answer(answer.status()));
        }
        Ok(refused(&read(answer).await?))
    }

    /// Says once that it fails, and once that it does not any more.
    fn tell(&mut self, trouble: Option<&Trouble>) {
        let was_failing = std::mem::replace(&mut self.is_failing, trouble.is_some());
        match trouble {
            Some(trouble) if !was_failing => {
                let (status, error) = trouble.facts();
                warn!(
                    http.status = status,
                    error, "the collector does not take traces; they are dropped until it does"
                );
            }
            None if was_failing => info!("the collector takes traces again"),
            _ => {}
        }
    }
}

impl Trouble {
    fn http(error: reqwest::Error) -> Self {
        Self::Http(if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            format!("{:#}", anyhow::Error::new(error.without_url()))
        })
    }

    fn facts(&self) -> (Option<u16>, Option<&str>) {
        match self {
            Self::Answer(status) => (Some(status.as_u16()), None),
            Self::Http(error) => (None, Some(error)),
        }
    }
}

/// Reads an answer as far as any goes that means something.
async fn read(mut answer: Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Trouble::http)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Ok(Vec::new());
        }
    }
    Ok(body)
}

/// How many spans a collector says that it has not taken; one that says anything else has taken all.
fn refused(answer: &[u8]) -> u64 {
    let said = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    said.partial_success.map_or(0, |part| u64::try_from(part.rejected_spans).unwrap_or(0))
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
