//! One answer of an export: what it said at its beginning, what came, what it says at its end.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use super::joined::{Facts, Range, hex};
use crate::client::fault::Fault;
use crate::client::service::Service;

/// How long after the last byte the log's entry about an export is waited for.
const RECORDED_WITHIN: Duration = Duration::from_secs(5);

const ASKED_EVERY: Duration = Duration::from_millis(250);

/// Pages of the list that are looked at; each is bounded work, so the entry may be on a later one.
const PAGES_MAX: usize = 50;

/// What an answer's headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) export_id: String,
    pub(super) range: Range,
}

impl Heading {
    pub(super) fn read(headers: &HeaderMap) -> anyhow::Result<Self> {
        let export_id = text(headers, "x-export-id").context(
            "what answered is not an export of the service (no X-Export-Id); is there a proxy in between?",
        )?;
        Ok(Self { export_id: export_id.to_owned(), range: range(headers) })
    }
}

/// The facts in an answer's trailers, where nobody has dropped them.
pub(super) fn trailing_facts(trailers: &HeaderMap) -> Option<Facts> {
    Some(Facts {
        rows: text(trailers, "x-export-rows")?.parse().ok()?,
        range: range(trailers),
        sha256: text(trailers, "x-export-sha256")?.to_owned(),
    })
}

fn range(headers: &HeaderMap) -> Range {
    let number = |name| text(headers, name)?.parse().ok();
    Range { first_seq: number("x-export-first-seq"), last_seq: number("x-export-last-seq") }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The rows and the hash of what came in one answer.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: u64,
    hash: Sha256,
}

impl Tally {
    pub(super) fn add_row(&mut self) {
        self.rows += 1;
    }

    pub(super) fn add_bytes(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Whether these are the facts of what came.
    pub(super) fn proves(&self, facts: &Facts) -> bool {
        let is = |hash| facts.sha256.eq_ignore_ascii_case(&hex(hash));
        // A cut may have taken a JSON array's last line end, which says nothing.
        self.rows == facts.rows
            && (is(self.hash.clone()) || is(self.hash.clone().chain_update(b"\n")))
    }

    /// Whether more was sent than came.
    pub(super) const fn is_short_of(&self, facts: &Facts) -> bool {
        self.rows < facts.rows
    }
}

/// A page of a list, and of its entries what is needed here.
#[derive(Deserialize)]
struct Page {
    data: Vec<Completed>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Completed {
    metadata: Facts,
}

/// The facts that the log holds about an export; none if it did not end as far as the log knows.
pub(super) async fn recorded_facts(
    service: &Service,
    export_id: &str,
) -> Result<Option<Facts>, Fault> {
    let deadline = Instant::now() + RECORDED_WITHIN;
    loop {
        let found = find_recorded(service, export_id).await;
        let ask_again = match &found {
            Ok(facts) => facts.is_none(),
            Err(fault) => fault.may_pass(),
        };
        if !ask_again || Instant::now() >= deadline {
            return found;
        }
        sleep(ASKED_EVERY).await;
    }
}

async fn find_recorded(service: &Service, export_id: &str) -> Result<Option<Facts>, Fault> {
    // The type is the service's own: nobody else can have written such an entry.
    let mut query = vec![
        ("resource_type".to_owned(), "audit_log".to_owned()),
        ("action".to_owned(), "export.completed".to_owned()),
        ("resource_id".to_owned(), export_id.to_owned()),
    ];
    for _ in 0..PAGES_MAX {
        let answer = service.send(service.get("/logs", &query)).await?;
        let page = answer.json::<Page>().await;
        let page = page.map_err(|error| Fault::of("the list", error))?;
        if let Some(completed) = page.data.into_iter().next() {
            return Ok(Some(completed.metadata));
        }
        let Some(cursor) = page.next_cursor else { break };
        query.truncate(3);
        query.push(("cursor".to_owned(), cursor));
    }
    Ok(None)
}
