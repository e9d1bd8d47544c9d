//! The rival: what comes in on one connection goes out on all others. Bare TCP, and nothing else.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

/// Read, and written to each, at a time.
const BUFFER: usize = 256 << 10;

/// Accepts in this order, then serves until whoever publishes goes away.
#[derive(Debug)]
pub(super) struct FanOut {
    pub(super) address: SocketAddr,
    serving: JoinHandle<io::Result<()>>,
}

impl FanOut {
    /// For so many subscribers, and then one who publishes.
    pub(super) fn start(subscribers: usize) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let serving = std::thread::spawn(move || {
            let accept = || {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok::<_, io::Error>(stream)
            };
            let subscribers = (0..subscribers).map(|_| accept()).collect::<Result<Vec<_>, _>>()?;
            fan_out(accept()?, subscribers)
        });
        Ok(Self { address, serving })
    }

    /// Waits for the end, after whoever publishes has gone.
    pub(super) fn end(self) -> anyhow::Result<()> {
        let served = self.serving.join();
        Ok(served.map_err(|_| anyhow::anyhow!("the bare fan-out failed"))??)
    }
}

fn fan_out(mut from: TcpStream, mut to: Vec<TcpStream>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        for subscriber in &mut to {
            subscriber.write_all(&buffer[..len])?;
        }
    }
}
