//! The network between a service and PostgreSQL, or a client and a service: it can be cut and fall silent.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Which way bytes go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    ToServer,
    ToService,
}

/// See the module. Passes everything on, until it is told otherwise.
pub(crate) struct Proxy {
    /// The server's URL, by way of this proxy.
    pub(crate) url: String,
    network: Arc<Network>,
    accepting: JoinHandle<()>,
}

struct Network {
    server: (String, u16),
    era: Mutex<Arc<Era>>,
    /// How many bytes may still pass each way before all connections are cut.
    left: [AtomicI64; 2],
    /// Whether nobody gets through.
    closed: AtomicBool,
    /// How long each piece is held back.
    delay_ms: AtomicU64,
}

/// What connections made in the same span of time have in common.
#[derive(Default)]
struct Era {
    cut: CancellationToken,
    silent: AtomicBool,
}

/// While the connections that existed are silent: what PostgreSQL says does not arrive.
pub(crate) struct Silence(Arc<Era>);

impl Silence {
    /// Cuts them.
    pub(crate) fn end(self) {
        self.0.cut.cancel();
    }
}

impl Proxy {
    /// Before a database.
    pub(crate) async fn start(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let server = (options.get_host().to_owned(), options.get_port());
        Self::before(server, |port| options.host("127.0.0.1").port(port).to_url_lossy().to_string())
            .await
    }

    /// Before a service.
    pub(crate) async fn before_service(base: &str) -> Self {
        let (host, port) = base.strip_prefix("http://").unwrap().split_once(':').unwrap();
        let server = (host.to_owned(), port.parse().unwrap());
        Self::before(server, |port| format!("http://127.0.0.1:{port}")).await
    }

    async fn before(server: (String, u16), url: impl FnOnce(u16) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Arc::new(Network {
            server,
            era: Mutex::default(),
            left: [AtomicI64::new(i64::MAX), AtomicI64::new(i64::MAX)],
            closed: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
        });
        let url = url(listener.local_addr().unwrap().port());
        let accepting = tokio::spawn(Arc::clone(&network).accept(listener));
        Self { url, network, accepting }
    }

    /// Cuts every connection there is; new ones may be made.
    pub(crate) fn cut(&self) {
        self.network.next_era().cut.cancel();
    }

    /// Cuts every connection when so many more bytes have gone that way.
    pub(crate) fn cut_after(&self, way: Way, bytes: i64) {
        self.network.left[way as usize].store(bytes, Ordering::Relaxed);
    }

    /// Cuts every connection and lets no new one through.
    pub(crate) fn close(&self) {
        self.network.closed.store(true, Ordering::Relaxed);
        self.cut();
    }

    /// Holds back each piece that goes either way.
    pub(crate) fn slow(&self, by: Duration) {
        let delay_ms = u64::try_from(by.as_millis()).unwrap();
        self.network.delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    /// Cuts, closes and slows nothing from now on.
    pub(crate) fn mend(&self) {
        self.network.closed.store(false, Ordering::Relaxed);
        self.network.delay_ms.store(0, Ordering::Relaxed);
        for left in &self.network.left {
            left.store(i64::MAX, Ordering::Relaxed);
        }
    }

    /// Lets no answer arrive on the connections there are; new ones are whole.
    pub(crate) fn silence(&self) -> Silence {
        let era = self.network.next_era();
        era.silent.store(true, Ordering::Relaxed);
        Silence(era)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Network {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (service, _) = listener.accept().await.unwrap();
            if self.closed.load(Ordering::Relaxed) {
                continue;
            }
            let era = Arc::clone(&*self.era.lock().unwrap());
            let network = Arc::clone(&self);
            tokio::spawn(async move {
                // No server: dropping the connection says so.
                let Ok(server) = TcpStream::connect(&network.server).await else { return };
                service.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (from_service, to_service) = service.into_split();
                let (from_server, to_server) = server.into_split();
                // The first to end ends both ways: half a connection is none.
                tokio::select! {
                    () = era.cut.cancelled() => {}
                    () = network.pass(Way::ToServer, from_service, to_server, &era) => {}
                    () = network.pass(Way::ToService, from_server, to_service, &era) => {}
                }
            });
        }
    }

    async fn pass(&self, way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, era: &Era) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if matches!(way, Way::ToService) && era.silent.load(Ordering::Relaxed) {
                continue;
            }
            let delay_ms = self.delay_ms.load(Ordering::Relaxed);
            if delay_ms > 0 {
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            }
            let passes = self.spend(way, read);
            if to.write_all(&buffer[..passes]).await.is_err() {
                return;
            }
            if passes < read {
                self.next_era().cut.cancel();
                return;
            }
        }
    }

    /// How many of so many bytes may still pass; once it is less, the count is off again.
    fn spend(&self, way: Way, bytes: usize) -> usize {
        let left = &self.left[way as usize];
        let before = left.fetch_sub(bytes as i64, Ordering::Relaxed);
        if before >= bytes as i64 {
            return bytes;
        }
        left.store(i64::MAX, Ordering::Relaxed);
        usize::try_from(before).unwrap_or(0)
    }

    /// Begins another era and gives the one that ends.
    fn next_era(&self) -> Arc<Era> {
        std::mem::take(&mut *self.era.lock().unwrap())
    }
}
