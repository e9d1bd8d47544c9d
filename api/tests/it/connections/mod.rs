//! Connections: silent, slow, too many, encrypted.

mod caps;
mod slow;
mod stopping;
mod tls;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::app::SECRET;

/// What the system of a narrow client takes.
const NARROW_BYTES: u32 = 16 << 10;

fn address(base: &str) -> &str {
    base.split_once("://").unwrap().1
}

pub(crate) async fn connect(base: &str) -> TcpStream {
    TcpStream::connect(address(base)).await.unwrap()
}

/// A connection whose client's system takes little before it is read.
pub(crate) async fn connect_narrow(base: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(NARROW_BYTES).unwrap();
    socket.connect(address(base).parse().unwrap()).await.unwrap()
}

/// The head of a request as an auditor of a tenant, without its end.
pub(crate) fn head(method: &str, path: &str, tenant_id: domain::TenantId, role: &str) -> String {
    format!(
        "{method} /api/v1{path} HTTP/1.1\r\nhost: localhost\r\nx-gateway-secret: {SECRET}\r\n\
         x-user-id: alice\r\nx-tenant-id: {tenant_id}\r\nx-user-role: {role}\r\n"
    )
}

/// Whether the other side ended the connection within that time; what it said first does not matter.
async fn is_cut_within(stream: &mut TcpStream, time: Duration) -> bool {
    let mut buffer = vec![0; 4 << 10];
    let ending = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    timeout(time, ending).await.is_ok()
}

/// Asks and reads a small answer, of a connection that stays.
pub(crate) async fn ask(stream: &mut TcpStream, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; 16 << 10];
    let read = timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap()?;
    answer.truncate(read);
    Ok(String::from_utf8(answer).unwrap())
}

pub(crate) const HEALTHZ: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
