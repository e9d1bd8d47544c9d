//! The connection to OpenSearch: each call has a time-out, a bounded answer, and a [`Fault`] of ours.

use std::fmt;
use std::time::Duration;

use opensearch::auth::Credentials;
use opensearch::http::headers::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use opensearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use opensearch::http::{Method, response::Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fault::reason_of;
use crate::{Auth, Fault, IndexSettings};

/// What is read of one answer. The largest that we ask for is a page of ids.
const ANSWER_BYTES_MAX: u64 = 32 << 20;

/// Of an answer with an error status: what it says beyond that is cut off by not reading it.
const ERROR_BYTES_MAX: u64 = 1 << 20;

/// The connection to OpenSearch; cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    transport: Transport,
}

/// Without what it holds: a password.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// What one call is about.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) body: Body,
    pub(crate) timeout: Duration,
}

/// What is sent.
pub(crate) enum Body {
    None,
    Json(Value),
    /// Lines of JSON, each with its end.
    Lines(Vec<u8>),
}

impl Client {
    /// Does not connect yet.
    pub(crate) fn new(settings: &IndexSettings) -> Result<Self, Fault> {
        let pool = SingleNodeConnectionPool::new(settings.url.clone());
        // It is beside us. A proxy for the rest of the world has no business there.
        let mut builder = TransportBuilder::new(pool).disable_proxy();
        if let Some(credentials) = credentials(&settings.auth)? {
            builder = builder.auth(credentials);
        }
        // Uncompressed, so that an answer says beforehand how long it is.
        builder = builder.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let transport = builder.build().map_err(|error| Fault::Unreachable(error.into()))?;
        Ok(Self { transport })
    }

    /// Calls, and reads the answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Fault> {
        let body = self.bytes(call).await?;
        serde_json::from_slice(&body).map_err(|error| Fault::of_json(&error))
    }

    /// Calls for something to be done, of which the answer only says that it was.
    pub(crate) async fn done(&self, call: Call<'_>) -> Result<(), Fault> {
        #[derive(Deserialize)]
        struct Done {
            acknowledged: bool,
        }
        let answer: Done = self.json(call).await?;
        if answer.acknowledged {
            return Ok(());
        }
        // The cluster did not agree in time; it may yet.
        Err(Fault::TimedOut)
    }

    /// Calls, and gives the answer as it came.
    pub(crate) async fn bytes(&self, call: Call<'_>) -> Result<Vec<u8>, Fault> {
        let timeout = call.timeout;
        // The transport's own time-out alone would not end a connection that is never made.
        match tokio::time::timeout(timeout, self.send(call)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::TimedOut),
        }
    }

    async fn send(&self, call: Call<'_>) -> Result<Vec<u8>, Fault> {
        let mut headers = HeaderMap::new();
        let body = match call.body {
            Body::None => None,
            Body::Json(value) => Some(value.to_string().into_bytes()),
            Body::Lines(lines) => {
                let kind = HeaderValue::from_static("application/x-ndjson");
                headers.insert(CONTENT_TYPE, kind);
                Some(lines)
            }
        };
        let query = (!call.query.is_empty()).then_some(call.query);
        let sent =
            self.transport.send(call.method, call.path, headers, query, body, Some(call.timeout));
        let response = sent.await.map_err(Fault::of_client)?;
        let status = response.status_code();
        if status.is_success() {
            return read(response, ANSWER_BYTES_MAX).await;
        }
        let body = read(response, ERROR_BYTES_MAX).await.unwrap_or_default();
        Err(Fault::of_status(status.as_u16(), reason_of(&body)))
    }
}

/// The body, unless it says that it is longer. One that does not say is bounded by the time-out.
async fn read(response: Response, bytes_max: u64) -> Result<Vec<u8>, Fault> {
    if response.content_length().is_some_and(|len| len > bytes_max) {
        return Err(Fault::Unreadable("it is too long".to_owned()));
    }
    let body = response.bytes().await.map_err(Fault::of_client)?;
    if body.len() as u64 > bytes_max {
        return Err(Fault::Unreadable("it is too long".to_owned()));
    }
    Ok(body.into())
}

fn credentials(auth: &Auth) -> Result<Option<Credentials>, Fault> {
    match auth {
        Auth::None => Ok(None),
        Auth::Basic { user, password } => {
            Ok(Some(Credentials::Basic(user.clone(), password.clone())))
        }
        Auth::Aws(config) => {
            Credentials::try_from(config.as_ref()).map(Some).map_err(Fault::Unreachable)
        }
    }
}
