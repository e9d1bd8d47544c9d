//! An index of its own for each test, and messages for it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::{
    CallerDefaults, CheckContext, Entry, EntryDraft, EntryId, Masking, MessageWriter, Place, Seq,
    TenantId, Timestamp,
};
use indexer_lambda::Indexer;
use search::{Among, Auth, Index, IndexSettings, Prefix, Range, Shape};
use uuid::Uuid;

pub(crate) const TENANT: TenantId = TenantId::new(Uuid::from_u128(1));

pub(crate) fn search_url() -> String {
    std::env::var("AUDIT_TEST_SEARCH_URL")
        .expect("AUDIT_TEST_SEARCH_URL: run the tests by dev/test.sh")
}

/// An index that nobody else has, and what its names begin with.
pub(crate) struct Home {
    pub(crate) prefix: String,
    pub(crate) index: Index,
}

impl Home {
    pub(crate) async fn fresh() -> Self {
        let prefix = format!("l{}", Uuid::new_v4().simple());
        let index = index_at(&search_url(), &prefix);
        index.set_up(Shape::default()).await.unwrap();
        Self { prefix, index }
    }

    /// The function, which reaches OpenSearch at this address.
    pub(crate) fn indexer_at(&self, url: &str) -> Indexer {
        Indexer::new(index_at(url, &self.prefix))
    }

    pub(crate) fn indexer(&self) -> Indexer {
        self.indexer_at(&search_url())
    }

    /// The ids of the documents of a tenant, the first 5,000.
    pub(crate) async fn ids(&self, tenant_id: TenantId) -> BTreeSet<EntryId> {
        self.ids_after(tenant_id, None).await
    }

    /// The ids of the next 5,000 documents of a tenant.
    pub(crate) async fn ids_after(
        &self,
        tenant_id: TenantId,
        after: Option<EntryId>,
    ) -> BTreeSet<EntryId> {
        self.index.refresh().await.unwrap();
        let range = Range { tenant_id, first_seq: 1, last_seq: Seq::MAX.get() };
        let ids = self.index.ids(range, Among::Searched, after).await.unwrap();
        let set: BTreeSet<_> = ids.iter().copied().collect();
        assert_eq!(set.len(), ids.len(), "no id comes twice");
        set
    }

    /// How many documents stand in for one that was refused.
    pub(crate) async fn stubs(&self) -> u64 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/{}/_count?q=_exists_:index_error", search_url(), self.prefix);
        let answer = client.get(url).send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice::<serde_json::Value>(&answer).unwrap()["count"].as_u64().unwrap()
    }
}

fn index_at(url: &str, prefix: &str) -> Index {
    let prefix = Prefix::parse(prefix).unwrap();
    Index::new(&IndexSettings { url: url.parse().unwrap(), auth: Auth::None, prefix }).unwrap()
}

/// A moment as November 2026 begins, and a second later for each number.
pub(crate) fn place(seq: i64) -> Place {
    let begin = Timestamp::parse("2026-11-01T00:00:00Z").unwrap();
    Place { recorded_at: begin.plus_millis(1_000 * (seq - 1)), seq: Seq::new(seq).unwrap() }
}

/// The entry that the API makes of a body, unless it refuses it.
pub(crate) fn accepted(tenant_id: TenantId, place: Place, body: &str) -> Option<Entry> {
    let context = CheckContext {
        now: place.recorded_at,
        caller: &CallerDefaults::service(),
        masking: &Masking::default(),
    };
    let checked = EntryDraft::read(body).ok()?.check(&context).ok()?;
    Some(Entry::new(tenant_id, place, checked))
}

pub(crate) fn simple(tenant_id: TenantId, seq: i64) -> Entry {
    let body = r#"{"action":"UPDATE","resource_type":"invoice","metadata":{"a":[1,null]}}"#;
    accepted(tenant_id, place(seq), body).unwrap()
}

/// A message of these entries, as the relay sends it.
pub(crate) fn message(entries: &[Entry]) -> String {
    let mut message = MessageWriter::new();
    for entry in entries {
        message.push(&serde_json::to_vec(entry).unwrap());
    }
    message.finish().unwrap()
}

/// Messages `m0`, `m1` … with these bodies.
pub(crate) fn batch(bodies: &[String]) -> SqsEvent {
    let record = |(at, body): (usize, &String)| serde_json::json!({ "messageId": format!("m{at}"), "body": body });
    let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
    serde_json::from_value(serde_json::json!({ "Records": records })).unwrap()
}

pub(crate) fn within(time: Duration) -> Instant {
    Instant::now() + time
}

pub(crate) const LONG: Duration = Duration::from_mins(1);

/// The ids of the messages that go back.
pub(crate) fn failures(response: &SqsBatchResponse) -> Vec<&str> {
    response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect()
}
