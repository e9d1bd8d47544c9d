//! The service in this process, on a port of its own, and callers of it.

use api::commands::serve;
use api::config::{Cli, Command, ServeArgs};
use clap::Parser as _;
use domain::TenantId;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::database::TestDb;

/// The secret of the tests' gateway.
pub(crate) const SECRET: &str = "planted-gateway-secret-4711";

/// The service in gateway mode.
pub(crate) struct TestApp {
    pub(crate) base: String,
    pub(crate) db: TestDb,
    pub(crate) client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<anyhow::Result<()>>>,
}

impl TestApp {
    /// Starts on a fresh database.
    pub(crate) async fn start() -> Self {
        Self::start_with(TestDb::new().await, &[]).await
    }

    /// Starts on this database, with more flags.
    pub(crate) async fn start_with(db: TestDb, flags: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let args = serve_args(&db.url(), flags);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            serve::serve(&args, listener, stopped).await
        });
        let app = Self {
            base,
            db,
            client: reqwest::Client::new(),
            stop: Some(stop),
            serving: Some(serving),
        };
        app.until_ready().await;
        app
    }

    async fn until_ready(&self) {
        super::eventually("the service is ready", std::time::Duration::from_secs(20), || async {
            assert!(
                self.serving.as_ref().is_none_or(|serving| !serving.is_finished()),
                "the service ended instead of starting"
            );
            let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
            answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
        })
        .await;
    }

    /// Stops as a signal would, and waits for the end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.take().map(|stop| stop.send(()));
        self.serving.take().unwrap().await.unwrap()
    }

    /// A new tenant's id; the tenant is made through the API.
    pub(crate) async fn tenant(&self) -> TenantId {
        let body = json!({ "name": "test" });
        let answer = self.operator().post("/tenants", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        TenantId::parse(answer.body["id"].as_str().unwrap()).unwrap()
    }

    /// A caller of this tenant.
    pub(crate) fn caller(&self, tenant_id: TenantId, role: &str) -> Caller<'_> {
        Caller { app: self, headers: identity(Some(tenant_id), role) }
    }

    /// Somebody who runs the instance.
    pub(crate) fn operator(&self) -> Caller<'_> {
        Caller { app: self, headers: identity(None, "operator") }
    }
}

/// Flags as the command line takes them.
pub(crate) fn serve_args(url: &str, flags: &[&str]) -> ServeArgs {
    let fixed = ["audit-log", "serve", "--database-url", url];
    let gateway = ["--auth", "gateway", "--gateway-secret", SECRET];
    let mode: &[&str] = if flags.contains(&"--auth") { &[] } else { &gateway };
    let cli = Cli::try_parse_from(fixed.iter().chain(mode).chain(flags)).unwrap();
    let Command::Serve(args) = cli.command else { unreachable!("it says serve") };
    *args
}

/// Headers as a gateway sends them.
pub(crate) fn identity(tenant_id: Option<TenantId>, role: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-gateway-secret", SECRET.parse().unwrap());
    headers.insert("x-user-id", "alice".parse().unwrap());
    headers.insert("x-user-role", role.parse().unwrap());
    if let Some(tenant_id) = tenant_id {
        headers.insert("x-tenant-id", tenant_id.to_string().parse().unwrap());
    }
    headers
}

/// Somebody who calls the service.
#[derive(Clone)]
pub(crate) struct Caller<'a> {
    app: &'a TestApp,
    pub(crate) headers: HeaderMap,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// `Null` where the text is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// The stable code of a problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Caller<'_> {
    /// The same caller with one header more, or another value of it.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// A request below the base.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v1{path}", self.app.base);
        self.app.client.request(method, url).headers(self.headers.clone())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::PATCH, path).json(body)).await
    }

    /// A body that is not made from a JSON value.
    pub(crate) async fn post_raw(
        &self,
        path: &str,
        media: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        send(self.request(Method::POST, path).header("content-type", media).body(body)).await
    }

    /// Records an entry and gives its id.
    pub(crate) async fn record(&self, action: &str) -> Uuid {
        let body = json!({ "action": action, "resource_type": "thing" });
        let answer = self.post("/logs", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body["id"].as_str().unwrap().parse().unwrap()
    }
}

/// Sends and reads all of the answer.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, text, body }
}
