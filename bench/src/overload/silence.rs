//! Connections that ask nothing: some say nothing at all, others a byte now and then.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

/// Connections of each kind.
const MANY: usize = 1_000;

/// Between two bytes.
const BEAT: Duration = Duration::from_millis(500);

/// The service must have cut all of them by then.
const CUT_WITHIN: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(super) struct Silence {
    begun: Instant,
    lasting: JoinSet<()>,
}

impl Silence {
    /// Connects all of them.
    pub(super) async fn begin(address: SocketAddr) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut lasting = JoinSet::new();
        for _ in 0..MANY {
            lasting.spawn(say_nothing(TcpStream::connect(address).await?));
            lasting.spawn(dribble(TcpStream::connect(address).await?));
        }
        Ok(Self { begun, lasting })
    }

    /// Waits until the last is cut, and says how long that took from the first.
    pub(super) async fn until_cut(self) -> anyhow::Result<Duration> {
        let all = timeout(CUT_WITHIN, self.lasting.join_all()).await;
        ensure!(all.is_ok(), "silent connections are still there after {CUT_WITHIN:?}");
        Ok(self.begun.elapsed())
    }
}

async fn say_nothing(mut stream: TcpStream) {
    let _ = stream.read(&mut [0]).await;
}

async fn dribble(mut stream: TcpStream) {
    let mut beats = interval(BEAT);
    let endless = b"GET / HTTP/1.1\r\nx-filler: ".iter().chain(std::iter::repeat(&b'x'));
    for byte in endless {
        beats.tick().await;
        let has_ended = matches!(stream.try_read(&mut [0; 64]), Ok(0));
        if has_ended || stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}
