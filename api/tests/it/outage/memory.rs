//! More and larger requests than there is room for: what is admitted bounds the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::TenantId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Stage, turn};
use crate::support::app::SECRET;
use crate::support::database::TestDb;
use crate::support::service::Service;

/// What the service admits, unless it is told otherwise.
const ADMISSION: u64 = 256 << 20;

/// Clients that send at once.
const CLIENTS: usize = 200;

/// How long they do.
const SENT_FOR: Duration = Duration::from_secs(10);

/// How long a client waits that was refused.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Size of a body, a little below the limit.
const BODY: usize = 10 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_with_large_bulks_fit_into_what_is_admitted() {
    let _turn = turn().await;
    for chunked in [false, true] {
        let url = TestDb::new().await.url();
        let service = Service::start(&url, &[]).await;
        let stage = Stage { services: vec![service], admin_url: url };
        let tenants = stage.tenants(20).await;
        let address = stage.services[0].base.strip_prefix("http://").unwrap();
        let pid = stage.services[0].pid();
        let before = pid.memory("VmRSS");

        let sent = Arc::new(Sent { body: bulk(), chunked, created: 0.into(), refused: 0.into() });
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for n in 0..CLIENTS {
            let (address, tenant_id) = (address.to_owned(), tenants[n % tenants.len()]);
            let sending = Arc::clone(&sent).send_until(stop.clone(), address, tenant_id);
            clients.spawn(sending);
        }
        let begun = Instant::now();
        tokio::time::sleep(SENT_FOR).await;
        stop.cancel();
        clients.join_all().await;

        let grown = pid.memory("VmHWM") - before;
        let (created, refused) =
            (sent.created.load(Ordering::Relaxed), sent.refused.load(Ordering::Relaxed));
        eprintln!(
            "memory, chunked {chunked}: {created} bulks written, {refused} refused in {:.1} s; \
             {} MiB before, grown by {} MiB at the most",
            begun.elapsed().as_secs_f32(),
            before >> 20,
            grown >> 20,
        );
        assert!(created > 0 && refused > 0, "{created} written, {refused} refused");
        assert!(grown * 10 <= ADMISSION * 12, "grown by {grown} bytes, admitted are {ADMISSION}");
    }
}

struct Sent {
    body: Vec<u8>,
    chunked: bool,
    created: AtomicUsize,
    refused: AtomicUsize,
}

impl Sent {
    async fn send_until(self: Arc<Self>, stop: CancellationToken, address: String, of: TenantId) {
        while !stop.is_cancelled() {
            let status = self.send(&address, of).await;
            if status != Some(201) {
                // As a client that was told to try again later.
                tokio::time::sleep(RETRY_AFTER).await;
            }
            match status {
                Some(201) => self.created.fetch_add(1, Ordering::Relaxed),
                // None: cut off in the middle of a body that nobody reads.
                Some(503) | None => self.refused.fetch_add(1, Ordering::Relaxed),
                Some(other) => panic!("answered {other}"),
            };
        }
    }

    /// Sends one request and gives its status, if that could be read.
    async fn send(&self, address: &str, tenant_id: TenantId) -> Option<u16> {
        let (mut from, mut to) = TcpStream::connect(address).await.ok()?.into_split();
        let length = if self.chunked {
            "transfer-encoding: chunked".to_owned()
        } else {
            format!("content-length: {}", self.body.len())
        };
        let head = format!(
            "POST /api/v1/logs/bulk HTTP/1.1\r\nhost: localhost\r\n\
             content-type: application/json\r\nx-gateway-secret: {SECRET}\r\nx-user-id: alice\r\n\
             x-user-role: user\r\nx-tenant-id: {tenant_id}\r\n{length}\r\n\r\n"
        );
        let writing = async {
            to.write_all(head.as_bytes()).await?;
            for piece in self.body.chunks(64 << 10) {
                if self.chunked {
                    to.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
                }
                to.write_all(piece).await?;
                if self.chunked {
                    to.write_all(b"\r\n").await?;
                }
            }
            if self.chunked {
                to.write_all(b"0\r\n\r\n").await?;
            }
            std::io::Result::Ok(())
        };
        let mut status = [0; 12];
        let reading = async {
            from.read_exact(&mut status).await.ok()?;
            std::str::from_utf8(&status[9..]).unwrap().parse().ok()
        };
        tokio::pin!(reading);
        // An answer may come before all is sent.
        tokio::select! {
            answer = &mut reading => answer,
            _ = writing => reading.await,
        }
    }
}

/// Entries near the largest that there may be, with many small values in them.
fn bulk() -> Vec<u8> {
    let values: Vec<_> = (0..2_500).map(|n| format!("\"key {n}\":{n}")).collect();
    let entry = format!(
        "{{\"action\":\"UPDATE\",\"resource_type\":\"thing\",\"after\":{{{}}}}}",
        values.join(","),
    );
    let mut body = String::from("[");
    while body.len() + entry.len() + 2 < BODY {
        if body.len() > 1 {
            body.push(',');
        }
        body.push_str(&entry);
    }
    body.push(']');
    body.into_bytes()
}
