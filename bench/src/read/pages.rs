//! Pages of a list, at its beginning and deep inside.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use domain::{Order, TenantId};
use memchr::memmem;

use crate::http::{Connection, Getter, Request};

/// Entries on a page that is measured.
const PAGE: u64 = 100;

/// Entries on a page on the way to the depth.
const STRIDE: u64 = 1_000;

/// Pages that are asked for in turn.
const TURNS: usize = 16;

/// Walks so deep into the list, as a client does, and asks for the pages there; or for its first
/// page, when the depth is 0.
pub(super) async fn at_depth(
    address: SocketAddr,
    tenant_id: TenantId,
    order: Order,
    depth: u64,
) -> anyhow::Result<Getter> {
    let mut connection = Connection::open(address).await?;
    let mut cursor = String::new();
    for _ in 0..depth / STRIDE {
        let page = connection.get(&request(tenant_id, order, STRIDE, &cursor)).await?;
        cursor = next_cursor(page).context("the log is shorter than it was loaded")?;
    }
    let mut requests = Vec::new();
    for _ in 0..TURNS {
        let request = request(tenant_id, order, PAGE, &cursor);
        let page = connection.get(&request).await?;
        ensure!(entries(page) == PAGE as usize, "a page is not full");
        if depth > 0 {
            cursor = next_cursor(page).context("the log is shorter than it was loaded")?;
        }
        requests.push(request);
    }
    Ok(Getter { connection, requests, entries: PAGE, turn: 0 })
}

fn request(tenant_id: TenantId, order: Order, limit: u64, cursor: &str) -> Request {
    let more = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
    Request::get(&format!("/logs?order={}&limit={limit}{more}", order.as_str()), tenant_id)
}

/// `None` at the end of the list. Cheaper than reading all of the JSON.
pub(super) fn next_cursor(page: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\"next_cursor\":\"";
    let at = memmem::rfind(page, NAME)? + NAME.len();
    let len = memchr::memchr(b'"', &page[at..])?;
    String::from_utf8(page[at..at + len].to_vec()).ok()
}

/// How many entries are on a page.
pub(super) fn entries(page: &[u8]) -> usize {
    memmem::find_iter(page, b"{\"id\":\"").count()
}

#[cfg(test)]
mod tests {
    use super::{entries, next_cursor};

    #[test]
    fn a_page_is_read_without_parsing_it() {
        let page = br#"{"data":[{"id":"a"},{"id":"b"}],"next_cursor":"AbC-_","head_seq":7}"#;
        assert_eq!(next_cursor(page).as_deref(), Some("AbC-_"));
        assert_eq!(entries(page), 2);
        assert_eq!(next_cursor(br#"{"data":[],"next_cursor":null}"#), None);
    }
}
