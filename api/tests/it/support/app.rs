//! The service in this process, on a port of its own, and callers of it.

use std::sync::OnceLock;

use api::commands::serve;
use api::config::{Cli, Command, ServeArgs};
use clap::Parser as _;
use domain::TenantId;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::database::TestDb;
use super::{said, spec};

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

    /// A service that many tests share, on a database and a runtime of its own.
    ///
    /// For tests that leave nothing behind but entries of their own tenants.
    pub(crate) async fn shared() -> &'static Self {
        static SHARED: OnceLock<TestApp> = OnceLock::new();
        let starting = tokio::task::spawn_blocking(|| {
            SHARED.get_or_init(|| {
                let (started, app) = std::sync::mpsc::channel();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Runtime::new().unwrap();
                    runtime.block_on(async {
                        started.send(Self::start().await).unwrap();
                        std::future::pending::<()>().await;
                    });
                });
                app.recv().unwrap()
            })
        });
        starting.await.unwrap()
    }

    /// Starts on this database, with more flags.
    pub(crate) async fn start_with(db: TestDb, flags: &[&str]) -> Self {
        let url = db.url();
        Self::start_at(db, &url, flags).await
    }

    /// The same, with a URL of its own for this database.
    pub(crate) async fn start_at(db: TestDb, url: &str, flags: &[&str]) -> Self {
        said::keep_own_log();
        said::note_password(url);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let args = serve_args(url, flags);
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
            // Connections belong to the runtime of the test that opened them.
            client: reqwest::Client::builder().no_gzip().pool_max_idle_per_host(0).build().unwrap(),
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

    /// Somebody who sends what they like.
    pub(crate) fn with_headers(&self, headers: HeaderMap) -> Caller<'_> {
        Caller { app: self, headers }
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
    /// Reads all of it.
    pub(crate) async fn of(answer: reqwest::Response) -> Self {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        body["ticket"].as_str().into_iter().for_each(said::note);
        Self { status, headers, text, body }
    }

    /// The stable code of a problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Fails unless this is that problem, told as problems are.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code()), (status, code), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["type"], format!("urn:audit-log:problem:{code}"));
        assert!(!self.body["detail"].as_str().unwrap().is_empty());
    }

    /// What is wrong with the fields, as index (-1 where there is none), field and code.
    pub(crate) fn field_problems(&self) -> Vec<(i64, &str, &str)> {
        let errors = self.body["errors"].as_array();
        let errors = errors.map(Vec::as_slice).unwrap_or_default();
        errors
            .iter()
            .map(|error| {
                let index = error["index"].as_i64().unwrap_or(-1);
                let field = error["field"].as_str().unwrap_or_default();
                (index, field, error["code"].as_str().unwrap_or_default())
            })
            .collect()
    }

    /// Fails unless this is a 201; gives the answer back.
    #[track_caller]
    pub(crate) fn created(self) -> Self {
        assert_eq!(self.status, StatusCode::CREATED, "{self:?}");
        self
    }
}

impl Caller<'_> {
    /// The same caller with one header more, or another value of it.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// The same caller with this header once more.
    pub(crate) fn with_another(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    /// The same caller with bytes in a header that need not be text.
    pub(crate) fn with_bytes(mut self, name: &'static str, value: &[u8]) -> Self {
        let value = HeaderValue::from_bytes(value).unwrap();
        self.headers.insert(name, value);
        self
    }

    /// The same caller without a header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
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
        if path.starts_with("/logs") {
            said::note_entries(body);
        }
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

    /// Records one entry with more members than it needs.
    pub(crate) async fn post_entry(&self, members: Value) -> Answer {
        self.post("/logs", &entry(members)).await
    }

    /// Records an entry and gives its id.
    pub(crate) async fn record(&self, action: &str) -> Uuid {
        let body = json!({ "action": action, "resource_type": "thing" });
        let answer = self.post("/logs", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body["id"].as_str().unwrap().parse().unwrap()
    }
}

/// Sends and reads all of the answer, which is one that the OpenAPI document tells of.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let answer = Answer::of(client.execute(request).await.unwrap()).await;
    let told = spec::check(method.as_str(), &path, &answer);
    assert_eq!(told, Ok(()), "{method} {path}");
    answer
}

/// The smallest entry there is, with more members or other ones.
pub(crate) fn entry(members: Value) -> Value {
    let mut entry = json!({ "action": "UPDATE", "resource_type": "thing" });
    let Value::Object(members) = members else { unreachable!("members are an object") };
    entry.as_object_mut().unwrap().extend(members);
    entry
}
