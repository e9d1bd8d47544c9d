//! Where spans are sent to, as an operator has set it.

use anyhow::{Context as _, ensure};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

/// Headers that a request to the collector has besides our own.
const HEADERS_MAX: usize = 16;

/// See the module. What it shows of itself holds no secret.
#[derive(Debug, Clone)]
pub struct Collector {
    pub(crate) address: Url,
    pub(crate) headers: HeaderMap,
}

impl Collector {
    /// The collector that settings name; `None` where they name none. Does not connect yet.
    pub fn set(endpoint: Option<&str>, headers: &str) -> anyhow::Result<Option<Self>> {
        endpoint.map(|endpoint| Self::new(endpoint, headers)).transpose()
    }

    /// The collector at an endpoint, which `v1/traces` is put behind. Headers, `name=value` with
    /// commas between and values percent-encoded, prove to it who we are.
    pub fn new(endpoint: &str, headers: &str) -> anyhow::Result<Self> {
        let mut address = Url::parse(endpoint.trim()).context(super::ENDPOINT)?;
        ensure!(matches!(address.scheme(), "http" | "https"), "{}: not http", super::ENDPOINT);
        ensure!(
            address.username().is_empty() && address.password().is_none(),
            // Addresses are told in errors and logs.
            "{} holds a login: use {}",
            super::ENDPOINT,
            super::HEADERS
        );
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().extend(["v1", "traces"]);
        }
        Ok(Self { address, headers: read(headers).context(super::HEADERS)? })
    }
}

/// Never tells what it cannot read: a part of it is likely a secret.
fn read(text: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        ensure!(headers.len() < HEADERS_MAX, "more than {HEADERS_MAX} headers");
        let (name, value) = pair.split_once('=').context("not `name=value`")?;
        let name = HeaderName::try_from(name.trim()).ok().context("a header has no such name")?;
        let value: Vec<u8> = percent_decode_str(value.trim()).collect();
        let mut value = HeaderValue::try_from(value).ok().context("a header has no such value")?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_put_together_and_its_proof_read() {
        for (endpoint, address) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("https://collector/", "https://collector/v1/traces"),
            ("http://collector/otlp/", "http://collector/otlp/v1/traces"),
        ] {
            assert_eq!(Collector::new(endpoint, "").unwrap().address.as_str(), address);
        }
        let headers = " x-key = planted%20secret ,authorization=Basic%20cGxhbnRlZA==,";
        let collector = Collector::new("http://collector", headers).unwrap();
        assert_eq!(collector.headers["x-key"], "planted secret");
        assert_eq!(collector.headers["authorization"], "Basic cGxhbnRlZA==");
        assert!(!format!("{collector:?}").contains("planted"), "{collector:?}");
    }

    #[test]
    fn what_is_wrong_is_refused_without_being_told() {
        let many: Vec<_> = (0..17).map(|n| format!("planted-{n}=1")).collect();
        let many = many.join(",");
        for (endpoint, headers) in [
            ("collector:4318", ""),
            ("nowhere", ""),
            ("http://planted:planted@collector", ""),
            ("http://planted@collector", ""),
            ("http://collector", "planted"),
            ("http://collector", "pla nted=x"),
            ("http://collector", "x-key=planted%0a"),
            ("http://collector", &many),
        ] {
            let error = format!("{:#}", Collector::new(endpoint, headers).unwrap_err());
            assert!(error.contains("OTEL_EXPORTER_OTLP_"), "{error}");
            assert!(!error.contains("planted"), "{error}");
        }
    }
}
