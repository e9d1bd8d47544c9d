//! Settings of traces, under the names that all programs have for them.

use ::traces::Collector;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

/// Where spans are sent to.
#[derive(Debug, Clone, Args)]
pub struct TraceArgs {
    /// Collector of OpenTelemetry that traces are sent to over HTTP; unset: no traces
    #[arg(long, env = ::traces::ENDPOINT, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// What the collector gets as a proof: `name=value`, with commas between, percent-encoded
    #[arg(long, env = ::traces::HEADERS, hide_env_values = true, value_name = "SECRET")]
    pub otlp_headers: Option<SecretString>,
}

impl TraceArgs {
    /// The collector; `None` where there is none. Does not connect yet.
    pub fn collector(&self) -> anyhow::Result<Option<Collector>> {
        let headers = self.otlp_headers.as_ref().map_or("", |headers| headers.expose_secret());
        Collector::set(self.otlp_endpoint.as_deref(), headers)
    }
}
