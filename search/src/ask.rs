//! Counts and searches, many in one request, and what comes back.

use std::fmt::Write as _;
use std::time::Duration;

use domain::{Place, Seq, TenantId, Timestamp};
use opensearch::http::Method;
use serde::Deserialize;
use serde_json::{Number, Value, json};

use crate::client::{Body, Call};
use crate::fault::ErrorCause;
use crate::request::{Found, Hit, SearchRequest, Total};
use crate::scope::{Among, Range};
use crate::{Fault, Index, facets, query};

/// Questions of one request.
pub const QUESTIONS_MAX: usize = 1_000;

/// Totals are exact up to here.
pub const TOTAL_EXACT_MAX: u64 = 10_000;

/// How long counting may take, unless the caller says.
const COUNT_TIMEOUT: Duration = Duration::from_secs(5);

impl Index {
    /// How many documents each range of a tenant's numbers has, both ends inclusive, all at once.
    pub async fn counts(
        &self,
        tenant_id: TenantId,
        ranges: &[(i64, i64)],
    ) -> Result<Vec<u64>, Fault> {
        let range = |(first_seq, last_seq)| Range { tenant_id, first_seq, last_seq };
        let ranges: Vec<_> = ranges.iter().copied().map(range).collect();
        self.count(&ranges, Among::Searched, COUNT_TIMEOUT).await
    }

    /// How many documents each range has, all at once, also of several tenants.
    pub async fn count(
        &self,
        ranges: &[Range],
        among: Among<'_>,
        timeout: Duration,
    ) -> Result<Vec<u64>, Fault> {
        let indices = among.path(self.prefix());
        let mut questions = Questions::default();
        for range in ranges {
            questions.push(&range.header(&indices), &count_body(range, timeout));
        }
        let answers = self.ask(questions, timeout).await?;
        answers.iter().map(Answer::count).collect()
    }

    /// Searches one tenant's log.
    pub async fn search(&self, request: SearchRequest<'_>) -> Result<Found, Fault> {
        self.search_and_count(request, &[]).await.map(|(found, _)| found)
    }

    /// Searches one tenant's log and counts ranges of its numbers, in one request.
    pub async fn search_and_count(
        &self,
        request: SearchRequest<'_>,
        ranges: &[(i64, i64)],
    ) -> Result<(Found, Vec<u64>), Fault> {
        let tenant_id = request.tenant_id;
        let indices = Among::Searched.path(self.prefix());
        let mut questions = Questions::default();
        let searched =
            Range { tenant_id, first_seq: request.floor_seq, last_seq: request.last_seq };
        questions.push(&searched.header(&indices), &query::body(&request, &searched));
        for &(first_seq, last_seq) in ranges {
            let range = Range { tenant_id, first_seq, last_seq };
            questions.push(&range.header(&indices), &count_body(&range, request.timeout));
        }
        let mut answers = self.ask(questions, request.timeout).await?.into_iter();
        let missing = || unreadable("it has no answers");
        let found = answers.next().ok_or_else(missing)?.found(&request)?;
        let counts = answers.map(|answer| answer.count()).collect::<Result<_, _>>()?;
        Ok((found, counts))
    }

    async fn ask(&self, questions: Questions, timeout: Duration) -> Result<Vec<Answer>, Fault> {
        if questions.len == 0 {
            return Ok(Vec::new());
        }
        if questions.len > QUESTIONS_MAX {
            let reason = format!("more than {QUESTIONS_MAX} questions at once");
            return Err(Fault::Refused { status: 413, reason });
        }
        let call = Call {
            method: Method::Post,
            path: "/_msearch",
            query: &[("filter_path", ANSWER_FIELDS)],
            body: Body::Lines(questions.lines.into_bytes()),
            timeout,
        };
        let answers: Answers = self.client().json(call).await?;
        if answers.responses.len() != questions.len {
            return Err(unreadable("it is not one for each question"));
        }
        answers.responses.into_iter().map(WireAnswer::check).collect()
    }
}

fn count_body(range: &Range, timeout: Duration) -> Value {
    json!({
        "size": 0,
        "track_total_hits": true,
        "timeout": milliseconds(timeout),
        "query": { "bool": { "filter": range.filters() } },
    })
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{}ms", time.as_millis().max(1))
}

/// Searches, as the lines of one request.
#[derive(Default)]
struct Questions {
    lines: String,
    len: usize,
}

impl Questions {
    fn push(&mut self, header: &Value, body: &Value) {
        // Writing to memory does not fail.
        let _ = writeln!(self.lines, "{header}\n{body}");
        self.len += 1;
    }
}

const ANSWER_FIELDS: &str = "responses.error.type,responses.error.caused_by,responses.status,\
    responses.timed_out,responses._shards.failed,responses.hits.total,responses.hits.hits.sort,\
    responses.aggregations";

#[derive(Deserialize)]
struct Answers {
    responses: Vec<WireAnswer>,
}

#[derive(Deserialize)]
struct WireAnswer {
    status: u16,
    error: Option<ErrorCause>,
    timed_out: Option<bool>,
    #[serde(rename = "_shards")]
    shards: Option<Shards>,
    hits: Option<Hits>,
    aggregations: Option<Value>,
}

#[derive(Deserialize)]
struct Shards {
    failed: u64,
}

#[derive(Deserialize)]
struct Hits {
    total: WireTotal,
    #[serde(default)]
    hits: Vec<WireHit>,
}

#[derive(Deserialize)]
struct WireTotal {
    value: u64,
    relation: String,
}

#[derive(Deserialize)]
struct WireHit {
    /// What it was sorted by, as [`query::body`] says.
    sort: Vec<Number>,
}

impl WireHit {
    fn hit(&self) -> Option<Hit> {
        let (score, seq, at) = match &self.sort[..] {
            [seq, at] => (0.0, seq, at),
            [score, seq, at] => (score.as_f64()?, seq, at),
            _ => return None,
        };
        let recorded_at = Timestamp::from_millis(at.as_i64()?);
        let place = Place { recorded_at, seq: Seq::new(seq.as_i64()?)? };
        #[expect(clippy::cast_possible_truncation, reason = "a score is as precise as an f32")]
        Some(Hit { place, score: score as f32 })
    }
}

fn unreadable(why: &str) -> Fault {
    Fault::Unreadable(why.to_owned())
}

impl WireAnswer {
    /// The answer, if it is a whole one.
    fn check(self) -> Result<Answer, Fault> {
        if let Some(error) = &self.error {
            return Err(Fault::of_search(self.status, error.reason()));
        }
        if self.timed_out != Some(false) {
            return Err(Fault::TimedOut);
        }
        if self.shards.is_none_or(|shards| shards.failed > 0) {
            let reason = "some shards did not answer".to_owned();
            return Err(Fault::Unavailable { status: self.status, reason });
        }
        let hits = self.hits.ok_or_else(|| unreadable("it has no hits"))?;
        Ok(Answer { hits, aggregations: self.aggregations })
    }
}

struct Answer {
    hits: Hits,
    aggregations: Option<Value>,
}

impl Answer {
    fn total(&self) -> Total {
        let WireTotal { value, relation } = &self.hits.total;
        Total { count: *value, is_exact: relation == "eq" }
    }

    fn count(&self) -> Result<u64, Fault> {
        let total = self.total();
        if total.is_exact {
            return Ok(total.count);
        }
        Err(unreadable("a count is not exact"))
    }

    fn found(self, request: &SearchRequest<'_>) -> Result<Found, Fault> {
        let hits: Option<_> = self.hits.hits.iter().map(WireHit::hit).collect();
        Ok(Found {
            hits: hits.ok_or_else(|| unreadable("a hit does not say where it stands"))?,
            total: self.total(),
            facets: facets::read(request.facets, self.aggregations.as_ref())?,
        })
    }
}
