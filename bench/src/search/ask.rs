//! The same searches, to the service and straight to OpenSearch.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::{Filter, Query, Seq, Severity};
use search::{FacetField, Index, SearchRequest, Sort};
use serde_json::{Value, json};

use super::log::Logs;
use super::opensearch;
use super::subject::{Question, Way};
use crate::http::{Connection, Getter, Request};

/// Whose logs are searched in turn, by size: the largest, some of middle size, a small one.
const RANKS: [usize; 8] = [0, 1, 2, 5, 10, 20, 50, 100];

/// Entries on a page: what the service gives unless it is told.
const LIMIT: usize = 100;

/// What OpenSearch is told it may take.
const TIMEOUT: Duration = Duration::from_secs(2);

const FACETS: [FacetField; 4] =
    [FacetField::Action, FacetField::Severity, FacetField::ResourceType, FacetField::UserId];

impl Question {
    fn q(self) -> &'static str {
        match self {
            Self::TwoWords => "berlin refund",
            Self::Filtered => "osaka",
            Self::Phrase => "\"credit note\"",
            Self::Field => "user_id:u-17",
            Self::Rare => "needlework",
            Self::Facets => "approved",
        }
    }

    fn path(self) -> String {
        let more = match self {
            Self::Filtered => "&severity=ERROR",
            Self::Facets => "&facets=action,severity,resource_type,user_id",
            _ => "",
        };
        let q = self.q().replace(' ', "%20").replace('"', "%22").replace(':', "%3A");
        format!("/logs/search?q={q}{more}")
    }

    fn filter(self) -> Filter {
        let severity = if self == Self::Filtered { vec![Severity::Error] } else { Vec::new() };
        Filter { severity, ..Filter::default() }
    }
}

/// Who is asked, and where.
#[derive(Debug)]
pub(super) struct Asked<'b> {
    pub(super) service: SocketAddr,
    pub(super) search: SocketAddr,
    pub(super) index: &'b Index,
    pub(super) logs: &'b Logs,
}

impl Asked<'_> {
    /// So many clients that ask the same question of different logs in turn.
    pub(super) async fn clients(
        &self,
        question: Question,
        way: Way,
        clients: usize,
    ) -> anyhow::Result<Vec<Getter>> {
        let mut getters = Vec::new();
        for turn in 0..clients {
            let address = if way == Way::Service { self.service } else { self.search };
            let connection = Connection::open(address).await?;
            let asking = RANKS.iter().map(|rank| self.request(question, way, *rank));
            let requests = asking.collect::<anyhow::Result<_>>()?;
            getters.push(Getter { connection, requests, entries: 0, turn });
        }
        Ok(getters)
    }

    fn request(&self, question: Question, way: Way, rank: usize) -> anyhow::Result<Request> {
        let tenant_id = self.logs.tenants[rank];
        if way == Way::Service {
            return Ok(Request::get(&question.path(), tenant_id));
        }
        let query = Query::parse(question.q())
            .map_err(|error| anyhow::anyhow!("the benchmark's own query is wrong: {error}"))?;
        let (path, mut body) = self.index.search_call(&SearchRequest {
            tenant_id,
            floor_seq: 1,
            // All: the service itself writes down who has read, so the log grows.
            last_seq: Seq::MAX.get(),
            query: Some(&query),
            filter: &question.filter(),
            sort: Sort::Newest,
            after: None,
            limit: LIMIT,
            facets: if question == Question::Facets { &FACETS } else { &[] },
            timeout: TIMEOUT,
        });
        if way == Way::Straight {
            // What anybody would ask who wants to see entries.
            body["_source"] = json!(true);
            if let Some(body) = body.as_object_mut() {
                body.remove("stored_fields");
            }
        }
        Ok(opensearch::request("POST", &path, &body))
    }

    /// Both ways must find the same entries, in the index: else the comparison means nothing.
    pub(super) async fn compare_answers(&self) -> anyhow::Result<()> {
        for question in Question::ALL {
            let mut found = 0;
            for rank in RANKS {
                let own = self.answer(question, Way::Service, rank).await?;
                let straight = self.answer(question, Way::Straight, rank).await?;
                ensure!(
                    own["source"] == "opensearch" && own["index"]["complete"] == true,
                    "the service did not search the index, or not all: {}, {}",
                    own["source"],
                    own["index"]
                );
                let ids = ids(&own["data"], "id")?;
                let straight = ids_of_hits(&straight)?;
                ensure!(ids == straight, "{question:?}: the service finds other entries");
                found += ids.len();
            }
            ensure!(found > 0, "{question:?} finds nothing");
        }
        Ok(())
    }

    async fn answer(&self, question: Question, way: Way, rank: usize) -> anyhow::Result<Value> {
        let address = if way == Way::Service { self.service } else { self.search };
        let mut connection = Connection::open(address).await?;
        let request = self.request(question, way, rank)?;
        Ok(serde_json::from_slice(connection.get(&request).await?)?)
    }
}

fn ids_of_hits(answer: &Value) -> anyhow::Result<Vec<String>> {
    ids(&answer["hits"]["hits"], "_id")
}

fn ids(hits: &Value, name: &str) -> anyhow::Result<Vec<String>> {
    let hits = hits.as_array().context("an answer without hits")?;
    let id = |hit: &Value| hit[name].as_str().map(ToOwned::to_owned).context("a hit without an id");
    hits.iter().map(id).collect()
}
