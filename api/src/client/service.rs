//! The service, as its clients reach it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};

use super::fault::{Fault, Refusal};
use crate::config::{ClientArgs, WrongSettings};

const BASE: &str = "/api/v1";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the head of an answer may take; more than the service itself waits for anything.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);

/// A service and the proof to show it.
#[derive(Debug)]
pub struct Service {
    client: Client,
    url: String,
}

impl Service {
    /// Reads the settings; sends nothing yet.
    pub fn new(args: &ClientArgs) -> anyhow::Result<Self> {
        let url = base_url(&args.url).context(WrongSettings)?;
        let headers = headers(args).context(WrongSettings)?;
        let client = Client::builder()
            .user_agent(concat!("audit-log/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            // Another crate has it built in. We count and hash what was sent.
            .no_gzip()
            // A gateway's secret must not follow a redirect to somebody else.
            .redirect(redirect::Policy::none())
            .build()
            .context("cannot prepare to send")?;
        Ok(Self { client, url })
    }

    /// A GET below the base.
    pub fn get(&self, path: &str, query: &[(String, String)]) -> RequestBuilder {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.client.get(format!("{}{BASE}{path}?{query}", self.url))
    }

    /// A POST below the base.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{BASE}{path}", self.url))
    }

    /// Sends it; what is no success is a fault.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Fault> {
        let answer = self.answer(request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(Fault::Refused(Refusal::read(answer).await))
    }

    /// Sends it; what does not switch protocols is a fault.
    pub async fn switch(&self, request: RequestBuilder) -> Result<Response, Fault> {
        let answer = self.answer(request).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        Err(Fault::Refused(Refusal::read(answer).await))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, Fault> {
        let answer = tokio::time::timeout(HEAD_TIMEOUT, request.send()).await;
        let Ok(answer) = answer else {
            return Err(Fault::Broken(format!("no answer for {} s", HEAD_TIMEOUT.as_secs())));
        };
        answer.map_err(|error| Fault::of(&self.url, error))
    }
}

/// The URL without what our paths begin with.
fn base_url(text: &str) -> anyhow::Result<String> {
    // The text itself is not repeated: it may hold a password.
    let url = Url::parse(text).context("AUDIT_URL is not a URL like https://audit.example.com")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        bail!("AUDIT_URL must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!("AUDIT_URL holds a name or password: send it with --header instead");
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("AUDIT_URL must end with its path");
    }
    let url = url.as_str().trim_end_matches('/');
    Ok(url.strip_suffix(BASE).unwrap_or(url).to_owned())
}

fn headers(args: &ClientArgs) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for given in &args.headers {
        let given = given.expose_secret();
        match given.strip_prefix('@') {
            None => add_header(&mut headers, given)?,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("--header: cannot read {path}"))?;
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    add_header(&mut headers, line)?;
                }
            }
        }
    }
    if let Some(token) = args.token()? {
        headers.insert(AUTHORIZATION, bearer(&token)?);
    }
    Ok(headers)
}

fn add_header(headers: &mut HeaderMap, line: &str) -> anyhow::Result<()> {
    let (name, value) =
        line.split_once(':').context("--header must be a name, a colon and a value")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .ok()
        .context("--header: what is before the colon is no name of a header")?;
    let mut value = HeaderValue::from_bytes(value.trim().as_bytes())
        .ok()
        .with_context(|| format!("--header: {name} holds what no header can"))?;
    value.set_sensitive(true);
    headers.append(name, value);
    Ok(())
}

fn bearer(token: &SecretString) -> anyhow::Result<HeaderValue> {
    let token = token.expose_secret().trim();
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .ok()
        .context("AUDIT_TOKEN holds what no token can")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::{Cli, Command};

    fn args(flags: &[&str]) -> ClientArgs {
        let cli = Cli::try_parse_from([&["audit-log", "export"], flags].concat()).unwrap();
        let Command::Export(args) = cli.command else { unreachable!("it says export") };
        args.service
    }

    #[test]
    fn a_url_is_taken_with_and_without_the_base() {
        for (given, taken) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("https://audit.example.com/", "https://audit.example.com"),
            ("https://example.com/audit/api/v1/", "https://example.com/audit"),
        ] {
            assert_eq!(base_url(given).unwrap(), taken);
        }
        for given in
            ["", "localhost:8000", "ftp://h", "http://u:planted@h", "http://h?planted=1", "http://"]
        {
            let error = format!("{:#}", base_url(given).unwrap_err());
            assert!(error.contains("AUDIT_URL") && !error.contains("planted"), "{error}");
        }
    }

    #[test]
    fn headers_come_from_flags_and_files_and_are_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "X-Gateway-Secret: planted\r\n\nX-User-Id:bob\n").unwrap();
        let file = format!("@{}", file.path().display());
        let args = args(&[
            "--token",
            "planted",
            "--header",
            &file,
            "--header",
            "X-User-Name: Zoë: planted",
        ]);
        let headers = headers(&args).unwrap();
        assert_eq!(headers["x-gateway-secret"], "planted");
        assert_eq!(headers["x-user-id"], "bob");
        assert_eq!(headers["x-user-name"].as_bytes(), "Zoë: planted".as_bytes());
        assert_eq!(headers["authorization"], "Bearer planted");
        assert!(!format!("{args:?} {headers:?}").contains("planted"));
    }

    #[test]
    fn a_wrong_header_is_refused_without_repeating_it() {
        for given in ["planted", "planted x: y", "X-Name: planted\u{1}", ": planted"] {
            let error = format!("{:#}", headers(&args(&["--header", given])).unwrap_err());
            assert!(error.contains("--header") && !error.contains("planted"), "{error}");
        }
        let error = headers(&args(&["--token", "plan\u{1}ted"])).unwrap_err().to_string();
        assert!(error.contains("AUDIT_TOKEN") && !error.contains("ted\""), "{error}");
    }
}
