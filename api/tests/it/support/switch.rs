//! What stands at an address: a real server, or what goes wrong in front of one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What becomes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It reaches the server.
    Pass,
    /// It is taken and never answered.
    Hang,
    /// It is closed at once.
    Close,
    /// It reaches the server after so long.
    Slow(Duration),
    /// Each request gets this, with status 200.
    Say(&'static str),
}

/// See the module.
pub(crate) struct Switch {
    pub(crate) url: String,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    server: String,
    mode: Mutex<(Mode, CancellationToken)>,
    accepted: AtomicUsize,
}

impl Switch {
    /// Before a server, passing everything on.
    pub(crate) async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url_here = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            server: url.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned(),
            mode: Mutex::new((Mode::Pass, CancellationToken::new())),
            accepted: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(Arc::clone(&state).accept(listener));
        Self { url: url_here, state, accepting }
    }

    /// From now on; connections from before are cut.
    pub(crate) fn set(&self, mode: Mode) {
        let before = std::mem::replace(
            &mut *self.state.mode.lock().unwrap(),
            (mode, CancellationToken::new()),
        );
        before.1.cancel();
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set(Mode::Close);
    }
}

impl State {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            self.accepted.fetch_add(1, Ordering::Relaxed);
            let (mode, cut) = self.mode.lock().unwrap().clone();
            let server = self.server.clone();
            tokio::spawn(async move {
                cut.run_until_cancelled(serve(client, mode, &server)).await;
            });
        }
    }
}

async fn serve(mut client: TcpStream, mode: Mode, server: &str) {
    match mode {
        Mode::Close => {}
        Mode::Hang => std::future::pending().await,
        Mode::Pass => pass(client, server).await,
        Mode::Slow(by) => {
            tokio::time::sleep(by).await;
            pass(client, server).await;
        }
        Mode::Say(text) => {
            let mut asked = vec![0; 64 << 10];
            while let Ok(1..) = client.read(&mut asked).await {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
                let answer = format!("{head} {}\r\n\r\n{text}", text.len());
                if client.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn pass(mut client: TcpStream, server: &str) {
    if let Ok(mut server) = TcpStream::connect(server).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
