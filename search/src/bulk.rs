//! Documents into the index, and what became of each.

use std::collections::BTreeSet;
use std::time::Duration;

use opensearch::http::Method;
use serde::Deserialize;

use crate::client::{Body, Call};
use crate::fault::{ErrorCause, is_passing};
use crate::names::{IndexName, Month};
use crate::{Document, Fault, Index};

/// Documents of one request.
pub const BULK_LEN_MAX: usize = 10_000;

/// Requests of one [`Index::bulk`]: the first, and one after each time that a month was made.
const TRIES_MAX: usize = 3;

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the index now, as it is.
    Created,
    /// It was there before: a message came twice.
    AlreadyThere,
    /// It may get in later.
    Later {
        /// The status.
        status: u16,
        /// What OpenSearch says, without anything of the entry.
        reason: String,
    },
    /// It will never get in as it is.
    Refused {
        /// The status.
        status: u16,
        /// What OpenSearch says, without anything of the entry.
        reason: String,
    },
}

/// What becomes of a document that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// It stays.
    New,
    /// It is replaced.
    Over,
}

impl Outcome {
    /// What the answer to a request with these documents says of each of them.
    pub fn read(answer: &[u8], documents: &[Document]) -> Result<Vec<Self>, Fault> {
        let documents: Vec<_> = documents.iter().collect();
        let items = read_items(answer, &documents)?;
        Ok(items.into_iter().map(Item::outcome).collect())
    }

    /// Whether the document is in the index.
    pub fn is_there(&self) -> bool {
        matches!(self, Self::Created | Self::AlreadyThere)
    }
}

impl Index {
    /// Brings documents into the indices of their months, which are made where they are missing.
    ///
    /// The outcomes are in the order of the documents. With a [`Fault`] nothing is known of any of
    /// them; sending them again does no harm.
    pub async fn bulk(
        &self,
        documents: &[Document],
        timeout: Duration,
    ) -> Result<Vec<Outcome>, Fault> {
        let bringing = self.bring(documents, Write::New, timeout);
        tokio::time::timeout(timeout, bringing).await.unwrap_or(Err(Fault::TimedOut))
    }

    /// The same, over documents that are there.
    pub async fn rewrite(
        &self,
        documents: &[Document],
        timeout: Duration,
    ) -> Result<Vec<Outcome>, Fault> {
        let bringing = self.bring(documents, Write::Over, timeout);
        tokio::time::timeout(timeout, bringing).await.unwrap_or(Err(Fault::TimedOut))
    }

    /// Brings documents into this index, whatever aliases it has.
    pub async fn bulk_into(
        &self,
        index: &IndexName,
        documents: &[Document],
        timeout: Duration,
    ) -> Result<Vec<Outcome>, Fault> {
        let mut lines = Vec::with_capacity(documents.iter().map(Document::bytes).sum());
        let name = index.to_string();
        for document in documents {
            document.write_as(Write::New, &name, false, &mut lines);
        }
        let documents: Vec<_> = documents.iter().collect();
        let items = self.send_bulk(&documents, lines, timeout).await?;
        Ok(items.into_iter().map(Item::outcome).collect())
    }

    async fn bring(
        &self,
        documents: &[Document],
        write: Write,
        timeout: Duration,
    ) -> Result<Vec<Outcome>, Fault> {
        let everything: Vec<_> = documents.iter().collect();
        let items = self.send_to_months(&everything, write, timeout).await?;
        let mut homeless: Vec<_> =
            (0..items.len()).filter(|at| items[*at].has_no_index()).collect();
        let mut outcomes: Vec<_> = items.into_iter().map(Item::outcome).collect();
        for _ in 1..TRIES_MAX {
            if homeless.is_empty() {
                break;
            }
            let left: Vec<_> = homeless.iter().map(|at| &documents[*at]).collect();
            // What got in is in: a fault from here on is about those that are left.
            let Ok(items) = self.send_to_new_months(&left, write, timeout).await else { break };
            let mut still = Vec::new();
            for (at, item) in homeless.into_iter().zip(items) {
                if item.has_no_index() {
                    still.push(at);
                }
                outcomes[at] = item.outcome();
            }
            homeless = still;
        }
        Ok(outcomes)
    }

    async fn send_to_new_months(
        &self,
        documents: &[&Document],
        write: Write,
        timeout: Duration,
    ) -> Result<Vec<Item>, Fault> {
        let months: BTreeSet<Month> = documents.iter().map(|document| document.month()).collect();
        for month in months {
            self.make_month(month).await?;
        }
        self.send_to_months(documents, write, timeout).await
    }

    async fn send_to_months(
        &self,
        documents: &[&Document],
        write: Write,
        timeout: Duration,
    ) -> Result<Vec<Item>, Fault> {
        let mut lines = Vec::with_capacity(documents.iter().map(|document| document.bytes()).sum());
        for document in documents {
            let alias = self.prefix().write_alias(document.month());
            document.write_as(write, &alias, true, &mut lines);
        }
        self.send_bulk(documents, lines, timeout).await
    }

    /// Sends the lines.
    async fn send_bulk(
        &self,
        documents: &[&Document],
        lines: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<Item>, Fault> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        if documents.len() > BULK_LEN_MAX {
            let reason = format!("more than {BULK_LEN_MAX} documents at once");
            return Err(Fault::Refused { status: 413, reason });
        }
        let call = Call {
            method: Method::Post,
            path: "/_bulk",
            query: &[("filter_path", ANSWER_FIELDS)],
            body: Body::Lines(lines),
            timeout,
        };
        read_items(&self.client().bytes(call).await?, documents)
    }
}

const ANSWER_FIELDS: &str = "items.*._id,items.*.status,items.*.error.type,items.*.error.caused_by";

/// Believes an answer only if it names each document in its turn.
fn read_items(answer: &[u8], documents: &[&Document]) -> Result<Vec<Item>, Fault> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| Fault::of_json(&error))?;
    let items: Vec<_> = answer.items.into_iter().map(|item| item.create).collect();
    let names_each = items.len() == documents.len()
        && items.iter().zip(documents).all(|(item, document)| item.is_about(document));
    if names_each {
        return Ok(items);
    }
    Err(Fault::Unreadable("it is not about the documents that were sent".to_owned()))
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<ItemOfCreate>,
}

#[derive(Deserialize)]
struct ItemOfCreate {
    #[serde(alias = "index")]
    create: Item,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "_id")]
    id: String,
    status: u16,
    error: Option<ErrorCause>,
}

impl Item {
    fn is_about(&self, document: &Document) -> bool {
        self.id == document.id().to_string()
    }

    fn kind(&self) -> &str {
        self.error.as_ref().map_or("", ErrorCause::kind)
    }

    fn has_no_index(&self) -> bool {
        self.status == 404 && self.kind() == "index_not_found_exception"
    }

    fn outcome(self) -> Outcome {
        let reason = self.error.as_ref().map(ErrorCause::reason).unwrap_or_default();
        match self.status {
            200..=299 if self.error.is_none() => Outcome::Created,
            409 if self.kind() == "version_conflict_engine_exception" => Outcome::AlreadyThere,
            status if is_about_the_document(status) => Outcome::Refused { status, reason },
            // Whoever has taken a right or an index away may give it back: that is no reason to
            // index less of an entry than there is.
            status => Outcome::Later { status, reason },
        }
    }
}

fn is_about_the_document(status: u16) -> bool {
    matches!(status, 400 | 413 | 422) && !is_passing(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(json: &str) -> Outcome {
        serde_json::from_str::<Item>(json).unwrap().outcome()
    }

    #[test]
    fn nothing_but_a_created_or_known_document_is_there() {
        assert_eq!(outcome(r#"{"_id":"a","status":201}"#), Outcome::Created);
        let conflict =
            r#"{"_id":"a","status":409,"error":{"type":"version_conflict_engine_exception"}}"#;
        assert_eq!(outcome(conflict), Outcome::AlreadyThere);
        for json in [
            r#"{"_id":"a","status":201,"error":{"type":"odd"}}"#,
            r#"{"_id":"a","status":409,"error":{"type":"other_exception"}}"#,
            r#"{"_id":"a","status":429,"error":{"type":"rejected_execution_exception"}}"#,
            r#"{"_id":"a","status":503,"error":{"type":"unavailable_shards_exception"}}"#,
            r#"{"_id":"a","status":403,"error":{"type":"cluster_block_exception"}}"#,
            r#"{"_id":"a","status":404,"error":{"type":"index_not_found_exception"}}"#,
            r#"{"_id":"a","status":302}"#,
        ] {
            assert!(matches!(outcome(json), Outcome::Later { .. }), "{json}");
        }
        let refused = r#"{"_id":"a","status":400,"error":{"type":"mapper_parsing_exception"}}"#;
        assert!(matches!(outcome(refused), Outcome::Refused { .. }));
    }
}
